package io.aquarelle.sampling;

import java.util.function.DoubleUnaryOperator;

/**
 * Schedules that pick timesteps of the network's training, T of them from 0 to T - 1, and take their sigmas. The first
 * is always T - 1 or near it; sigma 0 is added at the end.
 *
 * <p>Some are defined by whole timesteps. With so many steps that two would fall on one timestep, the same places
 * unrounded are taken, or even ones.
 */
final class TimestepSchedules {
    /** Evaluations that latent consistency models are distilled from. */
    private static final int LCM_STEPS = 50;

    private static final BetaDistribution BETA = new BetaDistribution(0.6);

    private TimestepSchedules() {}

    /** Evenly from T - 1 to 0, fractions allowed (k-diffusion's {@code get_sigmas}). */
    static float[] discrete(NoiseSchedule schedule, int steps) {
        int last = schedule.steps() - 1;
        return sigmas(schedule, steps, i -> last * (1 - i / Math.max(steps - 1.0, 1)));
    }

    /** Evenly from T - 1 to 0 with one step more, whose 0 is left out (sgm; ComfyUI's "sgm_uniform"). */
    static float[] sgmUniform(NoiseSchedule schedule, int steps) {
        return sigmas(schedule, steps, i -> even(schedule, steps, i));
    }

    /** Every (T / steps)-th from T - 1 downwards (ComfyUI's "simple"). */
    static float[] simple(NoiseSchedule schedule, int steps) {
        double stride = (double) schedule.steps() / steps;
        return whole(schedule, steps, i -> schedule.steps() - 1 - Math.floor(i * stride));
    }

    /** "Trailing" of Lin et al. 2023 (arXiv 2305.08891): T - 1 is always among them. */
    static float[] trailing(NoiseSchedule schedule, int steps) {
        double stride = (double) schedule.steps() / steps;
        return whole(schedule, steps, i -> Math.rint(schedule.steps() - i * stride) - 1);
    }

    /**
     * "Leading" of Lin et al. 2023, plus 1: the timesteps of DDIM and PLMS in CompVis, diffusers and A1111. A single
     * step takes T - 1, where those would start without noise.
     */
    static float[] leading(NoiseSchedule schedule, int steps) {
        if (steps == 1) {
            return new float[] {schedule.sigmaMax(), 0};
        }
        int stride = schedule.steps() / steps;
        int offset = Math.min(1, schedule.steps() - 1 - stride * (steps - 1));
        return whole(schedule, steps, i -> stride * (steps - 1 - i) + offset);
    }

    /** Among the 50 timesteps that LCM is trained on (Luo et al. 2023, arXiv 2310.04378), evenly from the last. */
    static float[] lcm(NoiseSchedule schedule, int steps) {
        int stride = schedule.steps() / LCM_STEPS;
        return whole(schedule, steps, i -> (LCM_STEPS - Math.floor(i * LCM_STEPS / (double) steps)) * stride - 1);
    }

    /** Denser at both ends by {@code 3 u^2 - 2 u^3} (stable-diffusion.cpp's "smoothstep"). */
    static float[] smoothstep(NoiseSchedule schedule, int steps) {
        return rounded(schedule, steps, i -> {
            double u = 1 - i / steps;
            return u * u * (3 - 2 * u) * (schedule.steps() - 1);
        });
    }

    /** Denser at both ends by the beta distribution of 0.6 and 0.6 (Lee et al. 2024, arXiv 2407.12173). */
    static float[] beta(NoiseSchedule schedule, int steps) {
        return rounded(schedule, steps, i -> BETA.quantile(1 - i / steps) * (schedule.steps() - 1));
    }

    private static double even(NoiseSchedule schedule, int steps, double i) {
        return (schedule.steps() - 1) * (1 - i / steps);
    }

    private static float[] rounded(NoiseSchedule schedule, int steps, DoubleUnaryOperator timestep) {
        DoubleUnaryOperator rounded = i -> Math.floor(timestep.applyAsDouble(i) + 0.5);
        return sigmas(schedule, steps, fits(schedule, steps, rounded) ? rounded : timestep);
    }

    private static float[] whole(NoiseSchedule schedule, int steps, DoubleUnaryOperator timestep) {
        return sigmas(schedule, steps, fits(schedule, steps, timestep) ? timestep : i -> even(schedule, steps, i));
    }

    /** Whether the timesteps fall from each to the next and lie on the schedule. */
    private static boolean fits(NoiseSchedule schedule, int steps, DoubleUnaryOperator timestep) {
        double before = schedule.steps();
        for (int i = 0; i < steps; i++) {
            double t = timestep.applyAsDouble(i);
            if (!(t < before && t >= 0)) {
                return false;
            }
            before = t;
        }
        return true;
    }

    /** The sigmas of the timesteps of steps 0, 1, and so on, and a 0. */
    private static float[] sigmas(NoiseSchedule schedule, int steps, DoubleUnaryOperator timestep) {
        float[] sigmas = new float[steps + 1];
        for (int i = 0; i < steps; i++) {
            sigmas[i] = schedule.sigma(timestep.applyAsDouble(i));
        }
        return sigmas;
    }
}
