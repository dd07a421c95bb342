package io.aquarelle.sampling;

/**
 * Takes a latent down a list of noise levels to 0. {@link Samplers} has the implementations. They treat each value by
 * itself, so several latents behind one another, with {@linkplain NoiseSource#together noise of as many sources}, become
 * what each becomes alone.
 */
@FunctionalInterface
public interface Sampler {
    /**
     * Samples one latent.
     *
     * @param denoiser the estimate to follow
     * @param latent the start at noise level {@code sigmas[0]}, usually that times normal noise; not changed
     * @param sigmas the noise levels, falling strictly, the last one 0: one more than there are steps
     * @param noise where ancestral and stochastic samplers draw fresh noise, {@code latent.length} values at a time
     * @param listener called after each step
     * @return the clean latent, a new array
     * @throws IllegalArgumentException if the latent is empty or the sigmas are not as described
     */
    float[] sample(Denoiser denoiser, float[] latent, float[] sigmas, NoiseSource noise, StepListener listener);
}
