package io.aquarelle.sampling;

/**
 * What a network's output means. The network sees the latent scaled to unit variance, {@code c_in x}, and its output F
 * makes the denoised estimate {@code c_skip x + c_out F}: Karras et al. 2022, equation 7, with the factors of
 * k-diffusion's CompVisDenoiser and CompVisVDenoiser.
 */
public enum Prediction {
    /** The output is the noise (Stable Diffusion 1.x, 2.x base, SDXL). */
    EPS {
        @Override
        public float skipScale(float sigma) {
            return 1;
        }

        @Override
        public float outputScale(float sigma) {
            return -sigma;
        }
    },

    /** The output is the velocity of Salimans and Ho 2022 (Stable Diffusion 2.x at 768). */
    V {
        @Override
        public float skipScale(float sigma) {
            return 1 / (sigma * sigma + 1);
        }

        @Override
        public float outputScale(float sigma) {
            return -sigma / (float) Math.sqrt(sigma * sigma + 1);
        }
    };

    /** c_skip: what of the latent goes into the estimate. */
    public abstract float skipScale(float sigma);

    /** c_out: what of the network's output goes into the estimate. */
    public abstract float outputScale(float sigma);

    /** c_in: what the latent is multiplied by before the network sees it. */
    public float inputScale(float sigma) {
        return 1 / (float) Math.sqrt(sigma * sigma + 1);
    }

    /**
     * The denoised estimate.
     *
     * @param x the latent at noise level {@code sigma}, not scaled
     * @param output what the network made of {@code inputScale(sigma) * x}, as long as {@code x}
     * @return a new array: {@code skipScale(sigma) * x + outputScale(sigma) * output}
     * @throws IllegalArgumentException if the lengths differ
     */
    public float[] denoised(float[] x, float[] output, float sigma) {
        if (output.length != x.length) {
            throw new IllegalArgumentException(
                    "network output has " + output.length + " values, the latent has " + x.length);
        }
        return Latents.sum(skipScale(sigma), x, outputScale(sigma), output);
    }
}
