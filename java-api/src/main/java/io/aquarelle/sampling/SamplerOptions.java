package io.aquarelle.sampling;

import org.jspecify.annotations.Nullable;

/**
 * What a sampler may be told.
 *
 * @param eta how much fresh noise a step adds, 0 to 100: 0 none, 1 as much as the forward process; null is the
 *     sampler's own choice. Samplers without noise ignore it
 * @param noiseSchedule what the network was trained on, for the sampler that thinks in timesteps (TCD)
 */
public record SamplerOptions(@Nullable Float eta, NoiseSchedule noiseSchedule) {
    /** Each sampler's own eta, and Stable Diffusion's noise schedule. */
    public static final SamplerOptions DEFAULT = new SamplerOptions(null, NoiseSchedule.stableDiffusion());

    private static final float MAX_ETA = 100;

    /** Refuses what is no scale of noise. */
    public SamplerOptions {
        requireEta(eta);
    }

    /**
     * Checks an eta.
     *
     * @throws IllegalArgumentException unless it is null or 0 to 100
     */
    public static void requireEta(@Nullable Float eta) {
        if (eta != null && !(eta >= 0 && eta <= MAX_ETA)) {
            throw new IllegalArgumentException("eta is " + eta + "; it must be 0 to " + (int) MAX_ETA);
        }
    }
}
