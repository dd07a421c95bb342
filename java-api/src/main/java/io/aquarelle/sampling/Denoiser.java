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
}
