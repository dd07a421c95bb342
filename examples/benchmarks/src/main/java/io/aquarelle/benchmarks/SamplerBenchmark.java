package io.aquarelle.benchmarks;

import io.aquarelle.sampling.NoiseSchedule;
import io.aquarelle.sampling.RandomSources;
import io.aquarelle.sampling.Sampler;
import io.aquarelle.sampling.Samplers;
import io.aquarelle.sampling.SigmaSchedules;
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

/**
 * A sampler's own arithmetic: 20 steps on a latent of 4x64x64, which is a picture of 512x512. The denoiser and the noise
 * source return ready arrays; {@link NoiseBenchmark} times the sources.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
public class SamplerBenchmark {
    static final int LATENT = 4 * 64 * 64;
    private static final int STEPS = 20;

    @Param({"euler", "euler_a"})
    String sampler;

    private Sampler function;
    private float[] latent;
    private float[] denoised;
    private float[] noise;
    private float[] sigmas;

    /** Draws the arrays. */
    @Setup
    public void draw() {
        var source = RandomSources.philox(1);
        latent = source.normal(LATENT);
        denoised = source.normal(LATENT);
        noise = source.normal(LATENT);
        sigmas = SigmaSchedules.DISCRETE.sigmas(NoiseSchedule.stableDiffusion(), STEPS);
        function = Samplers.byName(sampler);
    }

    /** All steps; returns the clean latent. */
    @Benchmark
    public float[] sample() {
        return function.sample((x, sigma) -> denoised, latent, sigmas, count -> noise, (step, estimate) -> {});
    }
}
