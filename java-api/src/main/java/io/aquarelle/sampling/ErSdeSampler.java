package io.aquarelle.sampling;

import org.jspecify.annotations.Nullable;

/**
 * ER-SDE-Solver-3 (Cui et al. 2023, arXiv 2309.06169) in the variable sigma, with the authors' noise scale
 * {@code phi(sigma) = sigma (exp(sigma^0.3) + 10)} and their sum of 200 rectangles for the integrals. {@code eta}
 * multiplies the noise; 1 is the paper's, and in stable-diffusion.cpp anything above 0 is 1. The last step, to 0, goes
 * to its estimate.
 */
final class ErSdeSampler {
    private static final int RECTANGLES = 200;

    private ErSdeSampler() {}

    static Sampler erSde(double eta) {
        return (denoiser, x, sigmas, noise, listener) -> {
            float @Nullable [] before = null;
            float @Nullable [] slopeBefore = null; // change of the estimate by sigma
            for (int i = 0; i < sigmas.length - 1; i++) {
                double sigma = sigmas[i];
                double next = sigmas[i + 1];
                float[] denoised = denoiser.denoise(x, sigmas[i]);
                double ratio = next == 0 ? 0 : scale(next) / scale(sigma);
                x = Latents.approach(x, denoised, ratio);
                if (next > 0 && before != null) {
                    float[] slope = Latents.difference(denoised, before, sigma - sigmas[i - 1]);
                    x = Latents.sum(x, next - sigma + scale(next) * integral(sigma, next, 0), slope);
                    if (slopeBefore != null) {
                        float[] bend = Latents.difference(slope, slopeBefore, (sigma - sigmas[i - 2]) / 2);
                        double square = (next - sigma) * (next - sigma) / 2;
                        x = Latents.sum(x, square + scale(next) * integral(sigma, next, 1), bend);
                    }
                    slopeBefore = slope;
                }
                double variance = next * next - sigma * sigma * ratio * ratio;
                if (eta > 0 && variance > 0) {
                    x = Latents.sum(x, eta * Math.sqrt(variance), noise.normal(x.length));
                }
                before = denoised;
                listener.step(i, denoised);
            }
            return x;
        };
    }

    private static double scale(double sigma) {
        return sigma * (Math.exp(Math.pow(sigma, 0.3)) + 10);
    }

    /** The integral of {@code (s - sigma)^power / phi(s)} over s from {@code next} to {@code sigma}. */
    private static double integral(double sigma, double next, int power) {
        double width = (sigma - next) / RECTANGLES;
        double sum = 0;
        for (int p = 0; p < RECTANGLES; p++) {
            double s = next + p * width;
            sum += Math.pow(s - sigma, power) / scale(s);
        }
        return sum * width;
    }
}
