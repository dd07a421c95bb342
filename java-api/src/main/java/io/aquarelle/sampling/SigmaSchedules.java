package io.aquarelle.sampling;

import java.util.List;
import java.util.function.DoubleUnaryOperator;

/** The sigma schedules, by name. */
public final class SigmaSchedules {
    /** Timesteps evenly spaced from the last to 0 (k-diffusion's {@code get_sigmas}; "Uniform" in A1111). */
    public static final SigmaSchedule DISCRETE = SigmaSchedules::discrete;

    /** {@code sigma^(1/7)} evenly spaced from the schedule's largest to its smallest sigma (Karras et al. 2022). */
    public static final SigmaSchedule KARRAS = SigmaSchedules::karras;

    // A1111's "Automatic" is the sampler's own choice, which for both Euler samplers is the uniform schedule.
    private static final Registry<SigmaSchedule> REGISTRY = new Registry<SigmaSchedule>("schedule")
            .add("discrete", "Uniform", DISCRETE, "normal", "automatic", "default")
            .add("karras", "Karras", KARRAS);

    private SigmaSchedules() {}

    /** The names that commands use, which are those of stable-diffusion.cpp. */
    public static List<String> names() {
        return REGISTRY.names();
    }

    /**
     * The schedule with a name of stable-diffusion.cpp or A1111; case, spaces, hyphens and underscores do not matter.
     *
     * @throws IllegalArgumentException if there is none; the message lists the names
     */
    public static SigmaSchedule byName(String name) {
        return REGISTRY.value(name);
    }

    /**
     * A1111's name of a schedule, as in an image's parameters.
     *
     * @throws IllegalArgumentException if there is none; the message lists the names
     */
    public static String displayName(String name) {
        return REGISTRY.displayName(name);
    }

    private static float[] discrete(NoiseSchedule schedule, int steps) {
        int last = schedule.steps() - 1;
        return alongRamp(steps, ramp -> schedule.sigma(last * (1 - ramp)));
    }

    // Equation 5 of Karras et al. 2022 with rho = 7.
    private static float[] karras(NoiseSchedule schedule, int steps) {
        double rho = 7;
        double max = Math.pow(schedule.sigmaMax(), 1 / rho);
        double min = Math.pow(schedule.sigmaMin(), 1 / rho);
        return alongRamp(steps, ramp -> Math.pow(max + ramp * (min - max), rho));
    }

    /** The values of {@code sigma} at {@code steps} even points from 0 to 1, then 0; a single step takes point 0. */
    private static float[] alongRamp(int steps, DoubleUnaryOperator sigma) {
        if (steps < 1) {
            throw new IllegalArgumentException("steps is " + steps + "; sampling needs at least 1");
        }
        float[] sigmas = new float[steps + 1];
        for (int i = 0; i < steps; i++) {
            sigmas[i] = (float) sigma.applyAsDouble(i / Math.max(steps - 1.0, 1.0));
        }
        return sigmas;
    }
}
