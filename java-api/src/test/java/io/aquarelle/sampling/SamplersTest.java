package io.aquarelle.sampling;

import static io.aquarelle.sampling.Numbers.assertClose;
import static io.aquarelle.sampling.Numbers.filled;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import org.junit.jupiter.api.Test;

class SamplersTest {
    private static final float[] SIGMAS = Problems.SIGMAS;
    private static final float[] LATENT = Problems.LATENT;
    private static final NoiseSource NO_NOISE = Problems.NO_NOISE;
    private static final Denoiser TWO_GAUSSIANS = Problems.TWO_GAUSSIANS;

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

    @Test
    void withoutEtaAncestralSamplingIsEulersMethod() {
        float[] euler = Samplers.EULER.sample(TWO_GAUSSIANS, LATENT, SIGMAS, NO_NOISE, StepListener.NONE);
        float[] ancestral =
                EulerSamplers.ancestral(0).sample(TWO_GAUSSIANS, LATENT, SIGMAS, NO_NOISE, StepListener.NONE);
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
    void severalLatentsTogetherBecomeWhatEachBecomesAlone() {
        List<float[]> latents = List.of(LATENT, Latents.scale(0.5, LATENT), Latents.scale(-1, LATENT));
        for (String name : Samplers.names()) {
            Sampler sampler = Samplers.byName(name, new SamplerOptions(1f, NoiseSchedule.stableDiffusion()));
            List<NoiseSource> sources = new ArrayList<>();
            List<float[]> alone = new ArrayList<>();
            for (int i = 0; i < latents.size(); i++) {
                sources.add(RandomSources.philox(i));
                alone.add(sampler.sample(
                        TWO_GAUSSIANS, latents.get(i), SIGMAS, RandomSources.philox(i), StepListener.NONE));
            }
            float[] together = sampler.sample(
                    TWO_GAUSSIANS, Latents.joined(latents), SIGMAS, NoiseSource.together(sources), StepListener.NONE);
            assertArrayEquals(Latents.joined(alone), together, name);
        }
    }

    /** The first estimate of a step is at its sigma, and the listener's; trials may follow. */
    @Test
    void theListenerHearsOfEveryStepWithItsEstimate() {
        for (String name : Samplers.names()) {
            List<float[]> estimates = new ArrayList<>();
            List<float[]> heard = new ArrayList<>();
            List<Integer> indices = new ArrayList<>();
            Denoiser denoiser = (x, sigma) -> {
                float[] estimate = TWO_GAUSSIANS.denoise(x, sigma);
                if (estimates.size() == heard.size()) {
                    assertEquals(SIGMAS[heard.size()], sigma, name);
                    estimates.add(estimate);
                } else {
                    assertTrue(sigma < SIGMAS[heard.size()] && sigma > 0, name);
                }
                return estimate.clone();
            };
            Samplers.byName(name).sample(denoiser, LATENT, SIGMAS, Problems.sineNoise(), (index, denoised) -> {
                indices.add(index);
                heard.add(denoised.clone());
            });
            assertEquals(List.of(0, 1, 2, 3, 4, 5), indices);
            for (int i = 0; i < heard.size(); i++) {
                assertArrayEquals(estimates.get(i), heard.get(i), name);
            }
        }
    }

    @Test
    void aListenerThatThrowsEndsTheRun() {
        for (String name : Samplers.names()) {
            boolean[] stopped = {false};
            Denoiser untilStopped = (x, sigma) -> {
                assertFalse(stopped[0], name);
                return TWO_GAUSSIANS.denoise(x, sigma);
            };
            StepListener stop = (index, denoised) -> {
                if (index == 2) {
                    stopped[0] = true;
                    throw new CancellationException();
                }
            };
            Sampler sampler = Samplers.byName(name);
            assertThrows(
                    CancellationException.class,
                    () -> sampler.sample(untilStopped, LATENT, SIGMAS, Problems.sineNoise(), stop));
        }
    }

    @Test
    void argumentsStayAsTheyAre() {
        for (String name : Samplers.names()) {
            float[] latent = LATENT.clone();
            float[] sigmas = SIGMAS.clone();
            float[] sampled = Samplers.byName(name)
                    .sample(TWO_GAUSSIANS, latent, sigmas, Problems.sineNoise(), StepListener.NONE);
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
                    () -> sampler.sample(
                            (x, sigma) -> new float[5], LATENT, SIGMAS, Problems.sineNoise(), StepListener.NONE));
            assertTrue(wrong.getMessage().contains("5 values"));
        }
    }

    @Test
    void everySamplerOnEverySchedulePaintsTheSameTwiceWithoutNan() {
        NoiseSchedule trained = NoiseSchedule.stableDiffusion();
        for (String schedule : SigmaSchedules.names()) {
            for (int steps : new int[] {1, 2, 3, 20}) {
                float[] sigmas = SigmaSchedules.byName(schedule).sigmas(trained, steps);
                for (String name : Samplers.names()) {
                    requireFiniteAndSame(name, schedule, TWO_GAUSSIANS, sigmas);
                }
            }
        }
    }

    @Test
    void aThousandStepsEndNearTheData() {
        for (String schedule : List.of("discrete", "karras", "exponential", "beta", "sgm_uniform", "bong_tangent")) {
            float[] sigmas = SigmaSchedules.byName(schedule).sigmas(NoiseSchedule.stableDiffusion(), 1000);
            for (String name : Samplers.names()) {
                for (float value : requireFiniteAndSame(name, schedule, TWO_GAUSSIANS::denoise, sigmas)) {
                    // Five deviations, at most, from the nearer of the two means.
                    assertEquals(1, Math.abs(value), 2.5, name + " on " + schedule);
                }
            }
        }
    }

    private static float[] requireFiniteAndSame(String name, String schedule, Denoiser denoiser, float[] sigmas) {
        float[] latent = Problems.startingAt(sigmas[0]);
        float[] first =
                Samplers.byName(name).sample(denoiser, latent, sigmas, RandomSources.philox(1), StepListener.NONE);
        float[] second =
                Samplers.byName(name).sample(denoiser, latent, sigmas, RandomSources.philox(1), StepListener.NONE);
        String what = name + " on " + schedule + " with " + (sigmas.length - 1) + " steps";
        assertArrayEquals(first, second, what);
        for (float value : first) {
            assertTrue(Float.isFinite(value), what);
        }
        return first;
    }

    @Test
    void withoutGuidanceCfgPlusPlusIsEulersMethod() {
        float[] euler = Samplers.EULER.sample(TWO_GAUSSIANS, LATENT, SIGMAS, NO_NOISE, StepListener.NONE);
        float[] plus = Samplers.byName("euler_cfg_pp")
                .sample(TWO_GAUSSIANS::denoise, LATENT, SIGMAS, NO_NOISE, StepListener.NONE);
        assertArrayEquals(euler, plus, 2e-6f);
    }

    @Test
    void etaIsTheScaleOfTheNoise() {
        for (String name : List.of("euler_a", "dpm++2s_a", "er_sde", "dpm++2m_sde", "euler_ge", "tcd")) {
            float[][] latents = new float[3][];
            for (int i = 0; i < 3; i++) {
                SamplerOptions options = new SamplerOptions(i / 2f, NoiseSchedule.stableDiffusion());
                latents[i] = Samplers.byName(name, options)
                        .sample(
                                TWO_GAUSSIANS,
                                LATENT,
                                SIGMAS,
                                i == 0 ? NO_NOISE : Problems.sineNoise(),
                                StepListener.NONE);
            }
            assertFalse(Arrays.equals(latents[0], latents[1]), name);
            assertFalse(Arrays.equals(latents[1], latents[2]), name);
        }
        for (float wrong : new float[] {-0.1f, 101, Float.NaN, Float.POSITIVE_INFINITY}) {
            assertThrows(
                    IllegalArgumentException.class, () -> new SamplerOptions(wrong, NoiseSchedule.stableDiffusion()));
        }
    }

    @Test
    void namesAreThoseOfThePeers() {
        List<String> stableDiffusionCpp = List.of(
                ("euler euler_a heun dpm2 dpm++2s_a dpm++2m dpm++2mv2 ipndm ipndm_v lcm ddim_trailing tcd res_multistep"
                                + " res_2s er_sde euler_cfg_pp euler_a_cfg_pp euler_ge dpm++2m_sde dpm++2m_sde_bt lms")
                        .split(" "));
        assertTrue(Samplers.names().containsAll(stableDiffusionCpp));
        List<String> a1111 = List.of(
                "Euler a",
                "Euler",
                "LMS",
                "Heun",
                "DPM2",
                "DPM2 a",
                "DPM++ 2S a",
                "DPM++ 2M",
                "DPM++ SDE",
                "DPM++ 2M SDE",
                "DPM++ 2M SDE Heun",
                "DPM++ 3M SDE",
                "LCM",
                "DDIM",
                "PLMS",
                "UniPC");
        for (String name : a1111) {
            assertEquals(name, Samplers.displayName(name));
        }
        Map<String, String> aliases = Map.ofEntries(
                Map.entry("k_euler_ancestral", "Euler a"),
                Map.entry("EULER A", "Euler a"),
                Map.entry("k_dpmpp_2m", "DPM++ 2M"),
                Map.entry("dpm_2_ancestral", "DPM2 a"),
                Map.entry("dpmpp_2s_ancestral", "DPM++ 2S a"),
                Map.entry("dpmpp_3m_sde", "DPM++ 3M SDE"),
                Map.entry("dpmpp_2m_sde_heun", "DPM++ 2M SDE Heun"),
                Map.entry("uni_pc_bh2", "UniPC bh2"),
                Map.entry("pndm", "PLMS"),
                Map.entry("gradient_estimation", "Euler GE"),
                Map.entry("euler_ancestral_cfg_pp", "Euler a CFG++"));
        aliases.forEach((alias, name) -> assertEquals(name, Samplers.displayName(alias)));
        var unknown = assertThrows(IllegalArgumentException.class, () -> Samplers.byName("rk4"));
        assertEquals("unknown sampler 'rk4'; use one of " + String.join(", ", Samplers.names()), unknown.getMessage());
    }

    @Test
    void everySamplerHasASchedule() {
        for (String name : Samplers.names()) {
            assertTrue(SigmaSchedules.names().contains(Samplers.defaultSchedule(name)), name);
        }
        assertEquals("lcm", Samplers.defaultSchedule("tcd"));
        assertEquals("simple", Samplers.defaultSchedule("ddim_trailing"));
        assertEquals("discrete", Samplers.defaultSchedule("Euler a"));
    }
}
