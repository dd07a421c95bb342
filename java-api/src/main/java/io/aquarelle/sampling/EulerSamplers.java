package io.aquarelle.sampling;

import org.jspecify.annotations.Nullable;

/** Samplers of one evaluation and one straight step: Euler's method and its relatives. */
final class EulerSamplers {
    private EulerSamplers() {}

    /** Euler's method: Karras et al. 2022, algorithm 1 without second-order correction and noise. Order 1. */
    static float[] euler(Denoiser denoiser, float[] x, float[] sigmas, NoiseSource noise, StepListener listener) {
        for (int i = 0; i < sigmas.length - 1; i++) {
            float[] denoised = denoiser.denoise(x, sigmas[i]);
            float[] slope = Latents.difference(x, denoised, sigmas[i]);
            x = Latents.sum(x, (double) sigmas[i + 1] - sigmas[i], slope);
            listener.step(i, denoised);
        }
        return x;
    }

    /**
     * Euler's method with ancestral noise (k-diffusion's {@code sample_euler_ancestral}), which is DDIM (Song et al.
     * 2020, arXiv 2010.02502, equation 12) in the variables of this package. With eta 0, Euler's method.
     */
    static Sampler ancestral(double eta) {
        return (denoiser, x, sigmas, noise, listener) -> {
            for (int i = 0; i < sigmas.length - 1; i++) {
                AncestralStep step = AncestralStep.of(sigmas[i], sigmas[i + 1], eta);
                float[] denoised = denoiser.denoise(x, sigmas[i]);
                x = Latents.approach(x, denoised, step.down() / sigmas[i]);
                x = step.addNoise(x, noise);
                listener.step(i, denoised);
            }
            return x;
        };
    }

    /**
     * CFG++ (Chung et al. 2024, arXiv 2406.08070): the noise that is put back comes from the estimate
     * without the prompt. Ancestral noise as in {@link #ancestral}.
     */
    static Sampler cfgPlusPlus(double eta) {
        return (denoiser, x, sigmas, noise, listener) -> {
            for (int i = 0; i < sigmas.length - 1; i++) {
                AncestralStep step = AncestralStep.of(sigmas[i], sigmas[i + 1], eta);
                Denoiser.Estimates estimates = denoiser.estimates(x, sigmas[i]);
                float[] slope = Latents.difference(x, estimates.unconditional(), sigmas[i]);
                x = Latents.sum(estimates.guided(), step.down(), slope);
                x = step.addNoise(x, noise);
                listener.step(i, estimates.guided());
            }
            return x;
        };
    }

    /**
     * Gradient estimation (Permenter and Yuan 2024, arXiv 2306.04848) with gamma 2: Euler's method along
     * {@code gamma d + (1 - gamma) d_before}. The last step goes to the estimate. Ancestral noise as in
     * {@link #ancestral}, which stable-diffusion.cpp adds to the paper.
     */
    static Sampler gradientEstimation(double eta) {
        double gamma = 2;
        return (denoiser, x, sigmas, noise, listener) -> {
            float @Nullable [] before = null;
            for (int i = 0; i < sigmas.length - 1; i++) {
                AncestralStep step = AncestralStep.of(sigmas[i], sigmas[i + 1], eta);
                float[] denoised = denoiser.denoise(x, sigmas[i]);
                float[] slope = Latents.difference(x, denoised, sigmas[i]);
                double length = step.down() - sigmas[i];
                if (before == null || sigmas[i + 1] == 0) {
                    x = Latents.sum(x, length, slope);
                } else {
                    x = Latents.sum(1, x, length * gamma, slope, length * (1 - gamma), before);
                }
                x = step.addNoise(x, noise);
                before = slope;
                listener.step(i, denoised);
            }
            return x;
        };
    }
}
