package io.aquarelle.sampling;

import static io.aquarelle.sampling.Numbers.filled;
import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * For Gaussian data of deviation s the estimate is {@code s^2 x / (s^2 + sigma^2)} and the path is
 * {@code x(sigma) = x(0) sqrt(s^2 + sigma^2) / s}.
 */
class SamplerOrderTest {
    private static final double S = 0.5;

    /** Noise levels whose steps all shrink together as there are more of them. They are no model's. */
    private enum Grid {
        EVEN {
            @Override
            float[] sigmas(int steps) {
                return filled(steps + 1, i -> 20 * (1 - (double) i / steps));
            }
        },
        CUBIC {
            @Override
            float[] sigmas(int steps) {
                return filled(steps + 1, i -> 10 * Math.pow(1 - (double) i / steps, 3));
            }
        },
        /** Even in log sigma, down to where the last step matters no more. */
        LOGARITHMIC {
            @Override
            float[] sigmas(int steps) {
                return filled(steps + 1, i -> i == steps ? 0 : 10 * Math.pow(5e-5, i / (steps - 1.0)));
            }
        };

        abstract float[] sigmas(int steps);
    }

    @ParameterizedTest
    @CsvSource({
        "euler, LOGARITHMIC, 160, 1, 0.05",
        "euler_a, LOGARITHMIC, 160, 1, 0.05",
        "ddim, CUBIC, 160, 1, 0.05",
        "ddim_trailing, CUBIC, 160, 1, 0.05",
        "tcd, CUBIC, 160, 1, 0.05",
        "euler_cfg_pp, LOGARITHMIC, 160, 1, 0.05",
        "euler_a_cfg_pp, LOGARITHMIC, 160, 1, 0.05",
        "euler_ge, LOGARITHMIC, 320, 1, 0.05",
        "heun, LOGARITHMIC, 80, 2, 0.1",
        "heun, CUBIC, 80, 2, 0.1",
        "dpm2, LOGARITHMIC, 80, 2, 0.1",
        "dpm2_a, CUBIC, 80, 2, 0.1",
        "dpm++2s_a, LOGARITHMIC, 80, 2, 0.1",
        "dpm++2s_a, CUBIC, 80, 2, 0.1",
        "dpm++2m, LOGARITHMIC, 80, 2, 0.1",
        "dpm++2m, CUBIC, 160, 2, 0.1",
        "dpm++2mv2, LOGARITHMIC, 80, 2, 0.1",
        "dpm++sde, LOGARITHMIC, 80, 2, 0.1",
        "dpm++2m_sde, LOGARITHMIC, 80, 2, 0.1",
        "dpm++2m_sde, CUBIC, 160, 2, 0.1",
        "dpm++2m_sde_bt, LOGARITHMIC, 80, 2, 0.1",
        "dpm++2m_sde_heun, LOGARITHMIC, 160, 2, 0.1",
        "dpm++3m_sde, LOGARITHMIC, 160, 2, 0.1",
        "res_multistep, LOGARITHMIC, 160, 2, 0.1",
        "res_multistep, CUBIC, 160, 2, 0.1",
        "res_2s, LOGARITHMIC, 80, 2, 0.1",
        "res_2s, CUBIC, 80, 2, 0.1",
        "ipndm, LOGARITHMIC, 80, 2, 0.1",
        "ipndm, EVEN, 400, 4, 0.2",
        "plms, LOGARITHMIC, 80, 2, 0.1",
        "plms, EVEN, 400, 4, 0.2",
        "lms, CUBIC, 80, 4, 0.3",
        "ipndm_v, CUBIC, 80, 4, 0.3",
        "unipc, CUBIC, 80, 4, 0.4",
        "unipc_bh2, CUBIC, 80, 4, 0.4",
    })
    void errorsFallWithTheOrder(String name, Grid grid, int steps, double order, double tolerance) {
        double coarse = error(name, grid.sigmas(steps));
        double fine = error(name, grid.sigmas(2 * steps));
        assertEquals(order, Math.log(coarse / fine) / Math.log(2), tolerance, coarse + ", then " + fine);
    }

    private static double error(String name, float[] sigmas) {
        Sampler sampler = Samplers.byName(name, new SamplerOptions(0f, NoiseSchedule.stableDiffusion()));
        float[] start = {(float) Math.hypot(S, sigmas[0])};
        float[] end = sampler.sample(Problems.gaussian(S), start, sigmas, Problems.NO_NOISE, StepListener.NONE);
        return Math.abs(end[0] - S);
    }

    /** Their noise makes up for what their steps take away. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "euler_a",
                "dpm2_a",
                "dpm++2s_a",
                "dpm++sde",
                "dpm++2m_sde",
                "dpm++2m_sde_bt",
                "dpm++2m_sde_heun",
                "dpm++3m_sde",
                "ddim",
                "res_multistep",
                "res_2s",
                "er_sde",
                "euler_a_cfg_pp",
                "euler_ge"
            })
    void noisySamplingOfGaussianDataGivesTheirDeviation(String name) {
        int steps = 100;
        NoiseSource noise = RandomSources.philox(11);
        float[] sigmas = SigmaSchedules.KARRAS.sigmas(NoiseSchedule.stableDiffusion(), steps);
        float[] first = noise.normal(3_000);
        float[] latent = filled(first.length, i -> Math.hypot(S, sigmas[0]) * first[i]);
        int[] draws = {0};
        NoiseSource counted = count -> {
            draws[0]++;
            return noise.normal(count);
        };
        float[] sampled = Samplers.byName(name, new SamplerOptions(1f, NoiseSchedule.stableDiffusion()))
                .sample(Problems.gaussian(S), latent, sigmas, counted, StepListener.NONE);
        double variance = 0;
        for (float value : sampled) {
            variance += (double) value * value / sampled.length;
        }
        assertEquals(S, Math.sqrt(variance), 0.03);
        boolean path = name.startsWith("dpm++") && name.contains("sde") && !name.equals("dpm++2m_sde");
        assertEquals(path ? 1 : steps - 1, draws[0], "draws from the source");
    }

    /** The last step's polynomial would reach a hundred steps out. */
    @Test
    void manyStepsOfLinearMultistepDoNotMagnifyRoundingErrors() {
        float[] sigmas = SigmaSchedules.KARRAS.sigmas(NoiseSchedule.stableDiffusion(), 1000);
        assertEquals(0, error("lms", sigmas), 2e-3);
    }
}
