package io.aquarelle.benchmarks;

import io.aquarelle.sampling.NoiseSource;
import io.aquarelle.sampling.RandomSources;
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

/** The random sources: normal values for one latent of 4x64x64. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
public class NoiseBenchmark {
    @Param({"cuda", "cpu", "std_default"})
    String rng;

    private NoiseSource source;

    /** Seeds the source. */
    @Setup
    public void seed() {
        source = RandomSources.byName(rng, 1);
    }

    /** The next latent's noise. */
    @Benchmark
    public float[] normal() {
        return source.normal(SamplerBenchmark.LATENT);
    }
}
