package io.aquarelle.sampling;

import static io.aquarelle.sampling.Numbers.assertClose;
import static io.aquarelle.sampling.Numbers.filled;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import org.junit.jupiter.api.Test;

class SamplersTest {
    private static final float[] SIGMAS = {14.5f, 6, 2.5f, 1, 0.4f, 0.1f, 0};
    private static final float[] LATENT = filled(6, i -> 14.5 * Math.cos(i));
    private static final NoiseSource NO_NOISE = count -> {
        throw new AssertionError("noise was drawn");
    };

    /** The exact estimate for data of two Gaussians around -1 and 1 with variance 1/4. */
    private static final Denoiser TWO_GAUSSIANS = (x, sigma) -> filled(x.length, i -> {
        double level = (double) sigma * sigma;
        double variance = level + 0.25;
        return (0.25 * x[i] + level * Math.tanh(x[i] / variance)) / variance;
    });

    // k-diffusion 0.1.1 in float64: sample_euler and sample_euler_ancestral over the same function, sigmas and noise.
    @Test
    void latentsEqualKDiffusions() {
        assertClose(
                2e-6,
                "1.04866396 0.723730001 -0.609054418 -1.04257229 -0.815022665 0.460749747",
                Samplers.EULER.sample(TWO_GAUSSIANS, LATENT, SIGMAS, NO_NOISE, StepListener.NONE));
        assertClose(
                2e-6,
                "-1.13301137 1.10497712 1.6871605 1.30498719 -0.951235694 -1.65584674",
                Samplers.EULER_ANCESTRAL.sample(TWO_GAUSSIANS, LATENT, SIGMAS, sineNoise(), StepListener.NONE));
        assertClose(
                2e-6,
                "0.236223135 1.27049261 1.35371066 0.173889012 -1.19346244 -1.39604066",
                Samplers.eulerAncestral(0.5f).sample(TWO_GAUSSIANS, LATENT, SIGMAS, sineNoise(), StepListener.NONE));
    }

    // stable-diffusion.cpp 97d2990: sample_k_diffusion on the same function and sigmas. One PhiloxRNG of seed 42 gives
    // the start and the ancestral noise.
    @Test
    void latentsEqualThoseOfStableDiffusionCpp() {
        assertClose(
                1e-6,
                "0.338626504 1.63613129 -0.305415273 0.953209698 -1.52807307 0.814520597",
                sampleFromNoise(Samplers.EULER, RandomSources.philox(42)));
        assertClose(
                1e-6,
                "-0.980655849 -0.652327538 -0.618388057 -0.611695945 -0.619287074 0.835832715",
                sampleFromNoise(Samplers.EULER_ANCESTRAL, RandomSources.philox(42)));
    }

    private static float[] sampleFromNoise(Sampler sampler, NoiseSource noise) {
        float[] start = noise.normal(6);
        float[] latent = filled(6, i -> SIGMAS[0] * start[i]);
        return sampler.sample(TWO_GAUSSIANS, latent, SIGMAS, noise, StepListener.NONE);
    }

    /**
     * For Gaussian data of deviation s the estimate is {@code s^2 x / (s^2 + sigma^2)} and the path is
     * {@code x(sigma) = x(0) sqrt(s^2 + sigma^2) / s}. All steps shrink together, the last one too, so the sigmas are
     * no model's.
     */
    @Test
    void eulerConvergesWithOrderOne() {
        double s = 0.5;
        float[] start = {10};
        double exact = 10 * s / Math.hypot(s, 10);
        double before = Double.NaN;
        for (int steps : new int[] {50, 100, 200, 400, 800}) {
            float[] sigmas = filled(steps + 1, i -> 10 * Math.pow(1 - (double) i / steps, 3));
            float[] end = Samplers.EULER.sample(gaussian(s), start, sigmas, NO_NOISE, StepListener.NONE);
            double error = end[0] - exact;
            if (steps > 50) {
                assertEquals(1, Math.log(before / error) / Math.log(2), 0.05, "order at " + steps + " steps");
            }
            before = error;
        }
    }

    @Test
    void ancestralSamplingOfGaussianDataGivesTheirDeviation() {
        double s = 0.5;
        NoiseSource noise = RandomSources.philox(11);
        float[] sigmas = SigmaSchedules.KARRAS.sigmas(NoiseSchedule.stableDiffusion(), 400);
        float[] first = noise.normal(10_000);
        float[] latent = filled(first.length, i -> Math.hypot(s, sigmas[0]) * first[i]);
        float[] sampled = Samplers.EULER_ANCESTRAL.sample(gaussian(s), latent, sigmas, noise, StepListener.NONE);
        double variance = 0;
        for (float value : sampled) {
            variance += (double) value * value / sampled.length;
        }
        assertEquals(s, Math.sqrt(variance), 0.02);
    }

    @Test
    void withoutEtaAncestralSamplingIsEulersMethod() {
        float[] euler = Samplers.EULER.sample(TWO_GAUSSIANS, LATENT, SIGMAS, NO_NOISE, StepListener.NONE);
        float[] ancestral =
                Samplers.eulerAncestral(0).sample(TWO_GAUSSIANS, LATENT, SIGMAS, NO_NOISE, StepListener.NONE);
        assertArrayEquals(euler, ancestral, 2e-6f);
    }

    @Test
    void oneStepGivesTheEstimate() {
        float[] sigmas = {14.5f, 0};
        float[] estimate = TWO_GAUSSIANS.denoise(LATENT, 14.5f);
        for (String name : Samplers.names()) {
            float[] sampled = Samplers.byName(name).sample(TWO_GAUSSIANS, LATENT, sigmas, NO_NOISE, StepListener.NONE);
            assertArrayEquals(estimate, sampled, 2e-6f, name);
        }
    }

    @Test
    void theListenerHearsOfEveryStepWithItsEstimate() {
        for (String name : Samplers.names()) {
            List<float[]> estimates = new ArrayList<>();
            List<float[]> heard = new ArrayList<>();
            List<Integer> indices = new ArrayList<>();
            Denoiser denoiser = (x, sigma) -> {
                assertEquals(SIGMAS[estimates.size()], sigma);
                assertEquals(estimates.size(), heard.size(), "the step before is reported");
                estimates.add(TWO_GAUSSIANS.denoise(x, sigma));
                return estimates.getLast().clone();
            };
            Samplers.byName(name).sample(denoiser, LATENT, SIGMAS, sineNoise(), (index, denoised) -> {
                indices.add(index);
                heard.add(denoised.clone());
            });
            assertEquals(List.of(0, 1, 2, 3, 4, 5), indices);
            for (int i = 0; i < heard.size(); i++) {
                assertArrayEquals(estimates.get(i), heard.get(i));
            }
        }
    }

    @Test
    void aListenerThatThrowsEndsTheRun() {
        for (String name : Samplers.names()) {
            int[] calls = {0};
            Denoiser counting = (x, sigma) -> {
                calls[0]++;
                return TWO_GAUSSIANS.denoise(x, sigma);
            };
            StepListener stop = (index, denoised) -> {
                if (index == 2) {
                    throw new CancellationException();
                }
            };
            Sampler sampler = Samplers.byName(name);
            assertThrows(
                    CancellationException.class, () -> sampler.sample(counting, LATENT, SIGMAS, sineNoise(), stop));
            assertEquals(3, calls[0]);
        }
    }

    @Test
    void argumentsStayAsTheyAre() {
        for (String name : Samplers.names()) {
            float[] latent = LATENT.clone();
            float[] sigmas = SIGMAS.clone();
            float[] sampled =
                    Samplers.byName(name).sample(TWO_GAUSSIANS, latent, sigmas, sineNoise(), StepListener.NONE);
            assertNotSame(latent, sampled);
            assertArrayEquals(LATENT, latent);
            assertArrayEquals(SIGMAS, sigmas);
        }
    }

    @Test
    void badArgumentsAreRefusedBeforeTheFirstEstimate() {
        Denoiser untouched = (x, sigma) -> {
            throw new AssertionError("an estimate was asked for");
        };
        List<String> wrong =
                List.of("0", "1", "1 2 0", "2 2 0", "1 0 0", "2 1", "2 1 -1", "NaN 0", "2 NaN 0", "Infinity 1 0");
        for (String name : Samplers.names()) {
            Sampler sampler = Samplers.byName(name);
            for (String text : wrong) {
                double[] values = Numbers.parse(text);
                float[] sigmas = filled(values.length, i -> values[i]);
                assertThrows(
                        IllegalArgumentException.class,
                        () -> sampler.sample(untouched, LATENT, sigmas, NO_NOISE, StepListener.NONE),
                        text);
            }
            assertThrows(
                    IllegalArgumentException.class,
                    () -> sampler.sample(untouched, LATENT, new float[0], NO_NOISE, StepListener.NONE));
            assertThrows(
                    IllegalArgumentException.class,
                    () -> sampler.sample(untouched, new float[0], SIGMAS, NO_NOISE, StepListener.NONE));
        }
    }

    @Test
    void anEstimateOfAnotherLengthIsReported() {
        for (String name : Samplers.names()) {
            Sampler sampler = Samplers.byName(name);
            var wrong = assertThrows(
                    IllegalStateException.class,
                    () -> sampler.sample((x, sigma) -> new float[5], LATENT, SIGMAS, sineNoise(), StepListener.NONE));
            assertTrue(wrong.getMessage().contains("5 values"));
        }
    }

    @Test
    void namesAreThoseOfStableDiffusionCppAndA1111() {
        assertEquals(List.of("euler", "euler_a"), Samplers.names());
        for (String name : List.of("euler", "Euler", "k_euler")) {
            assertSame(Samplers.EULER, Samplers.byName(name));
        }
        for (String name : List.of("euler_a", "Euler a", "Euler A", "k_euler_a", "euler_ancestral")) {
            assertSame(Samplers.EULER_ANCESTRAL, Samplers.byName(name));
        }
        assertEquals("Euler", Samplers.displayName("euler"));
        assertEquals("Euler a", Samplers.displayName("euler_a"));
        var unknown = assertThrows(IllegalArgumentException.class, () -> Samplers.byName("rk4"));
        assertEquals("unknown sampler 'rk4'; use one of euler, euler_a", unknown.getMessage());
    }

    private static Denoiser gaussian(double s) {
        return (x, sigma) -> filled(x.length, i -> x[i] * s * s / (s * s + (double) sigma * sigma));
    }

    /** The k-th value of all is {@code 1.4 sin k}. */
    private static NoiseSource sineNoise() {
        int[] drawn = {0};
        return count -> filled(count, i -> 1.4 * Math.sin(drawn[0]++));
    }
}
