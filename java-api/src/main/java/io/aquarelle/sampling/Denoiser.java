package io.aquarelle.sampling;

/** Estimates the clean latent: the function D(x; sigma) of Karras et al. 2022. */
@FunctionalInterface
public interface Denoiser {
    /**
     * The denoised estimate of a noisy latent.
     *
     * @param x the latent at noise level {@code sigma}, not scaled for the network; only read, and only during the call
     * @param sigma the noise level, above 0
     * @return a new array as long as {@code x}, left to the caller
     */
    float[] denoise(float[] x, float sigma);

    /**
     * The denoised estimate with guidance, and the one without the prompt (of the negative prompt alone), which the
     * CFG++ samplers need. This default knows no guidance: both are {@link #denoise}.
     *
     * @param x as for {@link #denoise}, as is {@code sigma}
     */
    default Estimates estimates(float[] x, float sigma) {
        float[] denoised = denoise(x, sigma);
        return new Estimates(denoised, denoised);
    }

    /**
     * Two estimates of the same latent; arrays as long as it, left to the caller.
     *
     * @param guided with guidance, what {@link Denoiser#denoise} gives
     * @param unconditional without the prompt
     */
    record Estimates(float[] guided, float[] unconditional) {}
}
