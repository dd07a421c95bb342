/**
 * JMH benchmarks of what runs in Java, of crossing to native code, and of the networks as an application calls them.
 *
 * <pre>{@code
 * mvn -q -DskipTests package -pl examples/benchmarks -am
 * java -jar examples/benchmarks/target/benchmarks.jar                                # all that need no model
 * java -jar examples/benchmarks/target/benchmarks.jar Network -p model=FILE          # UNet call and VAE decode
 * java -jar examples/benchmarks/target/benchmarks.jar Tokenizer -f 1 -wi 1 -i 1      # a quick look
 * java -jar examples/benchmarks/target/benchmarks.jar -h                             # JMH's options
 * }</pre>
 *
 * <p>Needs Java 22 or newer. {@code aquarelle synth} writes a model to measure with.
 */
package io.aquarelle.benchmarks;
