package io.aquarelle.sampling;

import org.jspecify.annotations.Nullable;

/**
 * Samplers of one evaluation a step that use the estimate before the last one too, in the variable
 * {@code lambda = -log sigma}: h is the step's length in lambda. The last step, to 0, goes to its estimate.
 */
final class DpmMultistepSamplers {
    private DpmMultistepSamplers() {}

    /** DPM-Solver++(2M): Lu et al. 2022 (arXiv 2211.01095), algorithm 2. Order 2. */
    static float[] dpmPlusPlus2m(
            Denoiser denoiser, float[] x, float[] sigmas, NoiseSource noise, StepListener listener) {
        float @Nullable [] before = null;
        for (int i = 0; i < sigmas.length - 1; i++) {
            float[] denoised = denoiser.denoise(x, sigmas[i]);
            float[] ahead = denoised;
            if (before != null && sigmas[i + 1] > 0) {
                double r = step(sigmas, i - 1) / step(sigmas, i);
                ahead = Latents.sum(1 + 1 / (2 * r), denoised, -1 / (2 * r), before);
            }
            x = Latents.approach(x, ahead, (double) sigmas[i + 1] / sigmas[i]);
            before = denoised;
            listener.step(i, denoised);
        }
        return x;
    }

    /**
     * stable-diffusion.cpp's variant "dpm++2mv2" of {@link #dpmPlusPlus2m} for few steps, by feel rather than theory:
     * it takes the ratio of the longer to the shorter of the last two steps for r, and their mean length for the
     * estimate's weight. Order 2 where all steps have one length; elsewhere it does not converge.
     */
    static float[] dpmPlusPlus2mV2(
            Denoiser denoiser, float[] x, float[] sigmas, NoiseSource noise, StepListener listener) {
        float @Nullable [] before = null;
        for (int i = 0; i < sigmas.length - 1; i++) {
            float[] denoised = denoiser.denoise(x, sigmas[i]);
            double ratio = (double) sigmas[i + 1] / sigmas[i];
            if (before == null || sigmas[i + 1] == 0) {
                x = Latents.approach(x, denoised, ratio);
            } else {
                double last = step(sigmas, i - 1);
                double h = step(sigmas, i);
                double r = Math.max(last, h) / Math.min(last, h);
                double weight = -Math.expm1(-(last + h) / 2);
                x = Latents.sum(ratio, x, weight * (1 + 1 / (2 * r)), denoised, -weight / (2 * r), before);
            }
            before = denoised;
            listener.step(i, denoised);
        }
        return x;
    }

    /**
     * The refined exponential solver as a multistep method (RES, Zhang et al. 2023, arXiv 2308.02157),
     * with ancestral noise as ComfyUI adds it. Order 2 with eta 0.
     */
    static Sampler resMultistep(double eta) {
        return (denoiser, x, sigmas, noise, listener) -> {
            float @Nullable [] before = null;
            double downBefore = 0;
            for (int i = 0; i < sigmas.length - 1; i++) {
                AncestralStep step = AncestralStep.of(sigmas[i], sigmas[i + 1], eta);
                float[] denoised = denoiser.denoise(x, sigmas[i]);
                if (before == null || step.down() == 0) {
                    x = Latents.approach(x, denoised, step.down() / sigmas[i]);
                } else {
                    double h = Math.log(sigmas[i] / step.down());
                    double c2 = Math.log(downBefore / sigmas[i - 1]) / h; // negative: the other point lies behind
                    double b2 = Phi.phi(2, -h) / c2;
                    double b1 = Phi.phi(1, -h) - b2;
                    x = Latents.sum(Math.exp(-h), x, h * b1, denoised, h * b2, before);
                }
                x = step.addNoise(x, noise);
                before = denoised;
                downBefore = step.down();
                listener.step(i, denoised);
            }
            return x;
        };
    }

    /** The length of step i in lambda. */
    private static double step(float[] sigmas, int i) {
        return Math.log((double) sigmas[i] / sigmas[i + 1]);
    }
}
