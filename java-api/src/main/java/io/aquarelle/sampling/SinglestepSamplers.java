package io.aquarelle.sampling;

/**
 * Samplers that forget all steps before and evaluate twice in each: a trial step, then the step itself with what was
 * found there. The last step, to 0, has one evaluation and goes to its estimate.
 */
final class SinglestepSamplers {
    private SinglestepSamplers() {}

    /** Heun's method: Karras et al. 2022, algorithm 1. Order 2. */
    static float[] heun(Denoiser denoiser, float[] x, float[] sigmas, NoiseSource noise, StepListener listener) {
        for (int i = 0; i < sigmas.length - 1; i++) {
            double length = (double) sigmas[i + 1] - sigmas[i];
            float[] denoised = denoiser.denoise(x, sigmas[i]);
            float[] slope = Latents.difference(x, denoised, sigmas[i]);
            float[] trial = Latents.sum(x, length, slope);
            if (sigmas[i + 1] == 0) {
                x = trial;
            } else {
                float[] there = denoiser.denoise(trial, sigmas[i + 1]);
                x = Latents.sum(1, x, length / 2, slope, length / 2, Latents.difference(trial, there, sigmas[i + 1]));
            }
            listener.step(i, denoised);
        }
        return x;
    }

    /**
     * The midpoint method with the middle in log sigma (k-diffusion's {@code sample_dpm_2} and
     * {@code sample_dpm_2_ancestral}, after DPM-Solver-2 of Lu et al. 2022, arXiv 2206.00927). Order 2 with eta 0.
     */
    static Sampler dpm2(double eta) {
        return ancestral(eta, (denoiser, x, denoised, sigma, down) -> {
            float middle = (float) Math.sqrt(sigma * down);
            float[] trial = Latents.approach(x, denoised, middle / sigma);
            float[] there = denoiser.denoise(trial, middle);
            return Latents.sum(x, down - sigma, Latents.difference(trial, there, middle));
        });
    }

    /**
     * DPM-Solver++(2S), Lu et al. 2022 (arXiv 2211.01095, algorithm 1 with r = 1/2), with ancestral noise
     * (k-diffusion's {@code sample_dpmpp_2s_ancestral}). Order 2 with eta 0.
     */
    static Sampler dpmPlusPlus2s(double eta) {
        return ancestral(eta, (denoiser, x, denoised, sigma, down) -> {
            float middle = (float) Math.sqrt(sigma * down);
            float[] trial = Latents.approach(x, denoised, middle / sigma);
            return Latents.approach(x, denoiser.denoise(trial, middle), down / sigma);
        });
    }

    /**
     * The refined exponential solver with two stages (RES, Zhang et al. 2023, arXiv 2308.02157) with
     * c2 = 1/2 and ancestral noise as stable-diffusion.cpp adds it. Order 2 with eta 0.
     */
    static Sampler res2s(double eta) {
        double c2 = 0.5;
        return ancestral(eta, (denoiser, x, denoised, sigma, down) -> {
            double h = Math.log(sigma / down);
            double b2 = Phi.phi(2, -h) / c2;
            double b1 = Phi.phi(1, -h) - b2;
            float stage = (float) (sigma * Math.exp(-c2 * h));
            float[] trial = Latents.approach(x, denoised, stage / sigma);
            float[] there = denoiser.denoise(trial, stage);
            return Latents.sum(Math.exp(-h), x, h * b1, denoised, h * b2, there);
        });
    }

    /** Goes from {@code sigma}, where x was estimated as {@code denoised}, to {@code down}, which is not 0. */
    @FunctionalInterface
    private interface Solver {
        float[] step(Denoiser denoiser, float[] x, float[] denoised, float sigma, double down);
    }

    /** A solver's steps with ancestral noise between them. */
    private static Sampler ancestral(double eta, Solver solver) {
        return (denoiser, x, sigmas, noise, listener) -> {
            for (int i = 0; i < sigmas.length - 1; i++) {
                AncestralStep step = AncestralStep.of(sigmas[i], sigmas[i + 1], eta);
                float[] denoised = denoiser.denoise(x, sigmas[i]);
                x = step.down() == 0 ? denoised : solver.step(denoiser, x, denoised, sigmas[i], step.down());
                x = step.addNoise(x, noise);
                listener.step(i, denoised);
            }
            return x;
        };
    }
}
