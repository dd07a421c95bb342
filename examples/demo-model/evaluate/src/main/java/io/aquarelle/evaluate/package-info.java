/**
 * Measures how good the pictures of the demonstration model are, so that a change to kernels, quantisation, samplers or
 * step skipping can be judged by what it does to pictures.
 *
 * <pre>{@code
 * mvn -q -DskipTests package -pl examples/demo-model/evaluate -am
 * java -jar examples/demo-model/evaluate/target/evaluate.jar -o baseline
 * java -jar examples/demo-model/evaluate/target/evaluate.jar -o changed --baseline baseline --steps 10
 * }</pre>
 *
 * <p>Needs Java 22 or newer.
 */
package io.aquarelle.evaluate;
