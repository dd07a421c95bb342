package io.aquarelle.sampling;

import java.util.List;

/** The sigma schedules, by name. */
public final class SigmaSchedules {
    /** Timesteps evenly spaced from the last to 0 ("discrete"; "Uniform" in A1111). */
    public static final SigmaSchedule DISCRETE = checked(TimestepSchedules::discrete);

    /** {@code sigma^(1/7)} evenly spaced from the schedule's largest to its smallest sigma (Karras et al. 2022). */
    public static final SigmaSchedule KARRAS = checked(FormulaSchedules::karras);

    private static final Registry<SigmaSchedule> REGISTRY = new Registry<SigmaSchedule>("schedule")
            .add("discrete", "Uniform", DISCRETE, "normal")
            .add("karras", "Karras", KARRAS)
            .add("exponential", "Exponential", checked(FormulaSchedules::exponential), "polyexponential")
            .add("ays", "Align Your Steps", checked(TabulatedSchedules::ays))
            .add("ays_sdxl", "Align Your Steps SDXL", checked(TabulatedSchedules::aysSdxl))
            .add("gits", "Align Your Steps GITS", checked(TabulatedSchedules::gits))
            .add("sgm_uniform", "SGM Uniform", checked(TimestepSchedules::sgmUniform))
            .add("simple", "Simple", checked(TimestepSchedules::simple))
            .add("smoothstep", "Smoothstep", checked(TimestepSchedules::smoothstep))
            .add("kl_optimal", "KL Optimal", checked(FormulaSchedules::klOptimal))
            .add("lcm", "LCM", checked(TimestepSchedules::lcm))
            .add("bong_tangent", "Bong Tangent", checked(FormulaSchedules::bongTangent))
            .add("beta", "Beta", checked(TimestepSchedules::beta))
            .add("leading", "DDIM", checked(TimestepSchedules::leading), "ddim_uniform")
            .add("trailing", "Trailing", checked(TimestepSchedules::trailing));

    private SigmaSchedules() {}

    /** The names that commands use, which are those of stable-diffusion.cpp. */
    public static List<String> names() {
        return REGISTRY.names();
    }

    /**
     * The schedule with a name of stable-diffusion.cpp, A1111 or ComfyUI; case, spaces, hyphens and underscores do not
     * matter.
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

    /**
     * The schedule's name among {@link #names}: "default" and A1111's "automatic" are the one that suits the sampler.
     *
     * @throws IllegalArgumentException if there is no such schedule or sampler; the message lists the names
     */
    public static String named(String name, String sampler) {
        String suited = Samplers.defaultSchedule(sampler);
        return name.equalsIgnoreCase("default") || name.equalsIgnoreCase("automatic") ? suited : REGISTRY.name(name);
    }

    /**
     * Noise levels of one's own.
     *
     * @param levels falling strictly, above 0; a last 0 may be there or not
     * @return the levels and a 0
     * @throws IllegalArgumentException if there is no level or they are not as described
     */
    public static float[] custom(List<Float> levels) {
        int count = !levels.isEmpty() && levels.getLast() == 0 ? levels.size() - 1 : levels.size();
        if (count < 1) {
            throw new IllegalArgumentException("sigmas has no noise level above 0; list them from the largest down");
        }
        float[] sigmas = new float[count + 1];
        for (int i = 0; i < count; i++) {
            float sigma = levels.get(i);
            if (!(sigma > 0 && Float.isFinite(sigma)) || i > 0 && sigma >= sigmas[i - 1]) {
                throw new IllegalArgumentException("sigmas has " + sigma + " as number " + (i + 1)
                        + "; noise levels must be above 0 and fall from each to the next");
            }
            sigmas[i] = sigma;
        }
        return sigmas;
    }

    /** Checks the number of steps. */
    private static SigmaSchedule checked(SigmaSchedule function) {
        return (schedule, steps) -> {
            if (steps < 1) {
                throw new IllegalArgumentException("steps is " + steps + "; sampling needs at least 1");
            }
            return function.sigmas(schedule, steps);
        };
    }
}
