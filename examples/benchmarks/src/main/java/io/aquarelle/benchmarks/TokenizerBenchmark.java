package io.aquarelle.benchmarks;

import io.aquarelle.text.ClipTokenizer;
import io.aquarelle.text.PromptTokens;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/** Text to tokens. The words are in the tokenizer's cache after warm-up, as common ones are in a running program. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
public class TokenizerBenchmark {
    /** How much is written. */
    public enum Length {
        /** A line within one chunk. */
        SHORT("a red apple on a wooden table"),

        /** Four chunks of words, weights, numbers and punctuation. */
        LONG("(masterpiece:1.2), a lighthouse at dusk, [oil painting], 19th century, warm light, café. ".repeat(12));

        private final String prompt;

        Length(String prompt) {
            this.prompt = prompt;
        }
    }

    @Param
    Length length;

    private ClipTokenizer tokenizer;
    private String text;

    /** Loads the tokenizer. */
    @Setup
    public void load() {
        tokenizer = ClipTokenizer.instance();
        text = length.prompt;
    }

    /** Plain text to token ids. */
    @Benchmark
    public int[] encode() {
        return tokenizer.encode(text);
    }

    /** A prompt with its syntax to chunks of tokens and weights. */
    @Benchmark
    public PromptTokens prompt() {
        return PromptTokens.of(text, tokenizer);
    }
}
