package io.aquarelle.sampling;

import org.jspecify.annotations.Nullable;

/**
 * Solvers of the stochastic differential equation that keeps the same marginals: DPM-Solver++ with noise (Lu et al.
 * 2022, arXiv 2211.01095, as k-diffusion extends it by eta). {@code h} is a step's length in
 * {@code lambda = -log sigma}; with eta 0 nothing is random. The last step, to 0, goes to its estimate.
 */
final class DpmSdeSamplers {
    private DpmSdeSamplers() {}

    /** DPM-Solver++ SDE with two evaluations a step (k-diffusion's {@code sample_dpmpp_sde} with r = 1/2). */
    static Sampler singlestep(double eta, BrownianMotion.Source source) {
        return (denoiser, x, sigmas, noise, listener) -> {
            BrownianMotion motion = source.start(noise, sigmas, x.length);
            for (int i = 0; i < sigmas.length - 1; i++) {
                float sigma = sigmas[i];
                float next = sigmas[i + 1];
                float[] denoised = denoiser.denoise(x, sigma);
                if (next == 0) {
                    x = denoised;
                } else {
                    float middle = (float) Math.sqrt((double) sigma * next);
                    float[] there = denoiser.denoise(ancestral(x, denoised, sigma, middle, eta, motion), middle);
                    x = ancestral(x, there, sigma, next, eta, motion);
                }
                listener.step(i, denoised);
            }
            return x;
        };
    }

    private static float[] ancestral(
            float[] x, float[] denoised, float sigma, float next, double eta, BrownianMotion motion) {
        AncestralStep step = AncestralStep.of(sigma, next, eta);
        float[] down = Latents.approach(x, denoised, step.down() / sigma);
        return step.up() > 0 ? Latents.sum(down, step.up(), motion.increment(sigma, next)) : down;
    }

    /** What a second-order step makes of the change of the estimate. */
    enum Correction {
        MIDPOINT,
        HEUN
    }

    /**
     * SDE-DPM-Solver++(2M): one evaluation a step and the estimate before (k-diffusion's {@code sample_dpmpp_2m_sde}).
     * Order 2 with eta 0.
     */
    static Sampler multistep2(double eta, Correction correction, BrownianMotion.Source source) {
        return (denoiser, x, sigmas, noise, listener) -> {
            BrownianMotion motion = source.start(noise, sigmas, x.length);
            float @Nullable [] before = null;
            double hBefore = Double.NaN;
            for (int i = 0; i < sigmas.length - 1; i++) {
                float[] denoised = denoiser.denoise(x, sigmas[i]);
                if (sigmas[i + 1] == 0) {
                    x = denoised;
                } else {
                    double h = Math.log((double) sigmas[i] / sigmas[i + 1]);
                    double z = -(1 + eta) * h;
                    x = Latents.approach(x, denoised, Math.exp(z));
                    if (before != null) {
                        double weight = correction == Correction.MIDPOINT ? -Math.expm1(z) / 2 : -z * Phi.phi(2, z);
                        double r = hBefore / h;
                        x = Latents.sum(1, x, weight / r, denoised, -weight / r, before);
                    }
                    x = addNoise(x, sigmas[i], sigmas[i + 1], eta * h, motion);
                    hBefore = h;
                }
                before = denoised;
                listener.step(i, denoised);
            }
            return x;
        };
    }

    /**
     * The same with the two estimates before (k-diffusion's {@code sample_dpmpp_3m_sde}). With eta 0 its errors are
     * smaller, but of order 2 still: order 3 would take twice k-diffusion's term of the second derivative.
     */
    static Sampler multistep3(double eta, BrownianMotion.Source source) {
        return (denoiser, x, sigmas, noise, listener) -> {
            BrownianMotion motion = source.start(noise, sigmas, x.length);
            float @Nullable [] before = null;
            float @Nullable [] slopeBefore = null; // change of the estimate by lambda
            double hBefore = Double.NaN;
            for (int i = 0; i < sigmas.length - 1; i++) {
                float[] denoised = denoiser.denoise(x, sigmas[i]);
                if (sigmas[i + 1] == 0) {
                    x = denoised;
                } else {
                    double h = Math.log((double) sigmas[i] / sigmas[i + 1]);
                    double z = -(1 + eta) * h;
                    x = Latents.approach(x, denoised, Math.exp(z));
                    if (before != null) {
                        // The estimate as a polynomial in lambda: h times its first derivative, h times its second.
                        float[] slope = Latents.difference(denoised, before, hBefore);
                        float[] first = Latents.scale(h, slope);
                        if (slopeBefore != null) {
                            double apart = hBefore + Math.log((double) sigmas[i - 2] / sigmas[i - 1]);
                            float[] bend = Latents.difference(slope, slopeBefore, apart / h);
                            first = Latents.sum(first, hBefore, bend);
                            x = Latents.sum(x, -z * Phi.phi(3, z) * h, bend);
                        }
                        x = Latents.sum(x, -z * Phi.phi(2, z), first);
                        slopeBefore = slope;
                    }
                    x = addNoise(x, sigmas[i], sigmas[i + 1], eta * h, motion);
                    hBefore = h;
                }
                before = denoised;
                listener.step(i, denoised);
            }
            return x;
        };
    }

    private static float[] addNoise(float[] x, float sigma, float next, double etaH, BrownianMotion motion) {
        double deviation = next * Math.sqrt(-Math.expm1(-2 * etaH));
        return deviation > 0 ? Latents.sum(x, deviation, motion.increment(sigma, next)) : x;
    }
}
