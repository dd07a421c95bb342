package io.aquarelle.sampling;

import static io.aquarelle.sampling.Numbers.filled;

/** What samplers are tried on. */
final class Problems {
    static final float[] SIGMAS = {14.5f, 6, 2.5f, 1, 0.4f, 0.1f, 0};
    static final float[] LATENT = startingAt(14.5f);

    /** For samplers that shall draw none. */
    static final NoiseSource NO_NOISE = count -> {
        throw new AssertionError("noise was drawn");
    };

    /**
     * The exact estimate for data of two Gaussians around -1 and 1 with variance 1/4; without the prompt, of one
     * Gaussian around 0.
     */
    static final Denoiser TWO_GAUSSIANS = new Denoiser() {
        @Override
        public float[] denoise(float[] x, float sigma) {
            return filled(x.length, i -> {
                double level = (double) sigma * sigma;
                double variance = level + 0.25;
                return (0.25 * x[i] + level * Math.tanh(x[i] / variance)) / variance;
            });
        }

        @Override
        public Estimates estimates(float[] x, float sigma) {
            return new Estimates(denoise(x, sigma), gaussian(0.5).denoise(x, sigma));
        }
    };

    private Problems() {}

    /** The exact estimate for data of one Gaussian of deviation s. */
    static Denoiser gaussian(double s) {
        return (x, sigma) -> filled(x.length, i -> x[i] * s * s / (s * s + (double) sigma * sigma));
    }

    /** The k-th value of all is {@code 1.4 sin k}. */
    static NoiseSource sineNoise() {
        int[] drawn = {0};
        return count -> filled(count, i -> 1.4 * Math.sin(drawn[0]++));
    }

    static float[] startingAt(float sigma) {
        return filled(6, i -> sigma * Math.cos(i));
    }
}
