package io.aquarelle.sampling;

/** Samplers for distilled models, whose estimate from any noise level is meant to be the end. */
final class ConsistencySamplers {
    private ConsistencySamplers() {}

    /**
     * Multistep consistency sampling (Song et al. 2023, arXiv 2303.01469, algorithm 1; for latent consistency models
     * Luo et al. 2023, arXiv 2310.04378): to the estimate, and back to the next level with fresh noise.
     */
    static float[] lcm(Denoiser denoiser, float[] x, float[] sigmas, NoiseSource noise, StepListener listener) {
        for (int i = 0; i < sigmas.length - 1; i++) {
            float[] denoised = denoiser.denoise(x, sigmas[i]);
            x = sigmas[i + 1] == 0 ? denoised : Latents.sum(denoised, sigmas[i + 1], noise.normal(x.length));
            listener.step(i, denoised);
        }
        return x;
    }

    /**
     * Strategic stochastic sampling (gamma-sampling) of trajectory consistency models (TCD, Zheng et al. 2024, arXiv
     * 2402.19159): down to timestep {@code (1 - eta) t} and back up to t with fresh noise; eta is the
     * paper's gamma. The last step goes to the estimate, where diffusers and stable-diffusion.cpp leave the noise of
     * timestep 0.
     */
    static Sampler tcd(double eta, NoiseSchedule schedule) {
        return (denoiser, x, sigmas, noise, listener) -> {
            for (int i = 0; i < sigmas.length - 1; i++) {
                double next = sigmas[i + 1];
                double down = Math.min(next, lower(next, eta, schedule));
                float[] denoised = denoiser.denoise(x, sigmas[i]);
                x = Latents.approach(x, denoised, down / sigmas[i]);
                double up = Math.sqrt(next * next - down * down);
                if (up > 0) {
                    x = Latents.sum(x, up, noise.normal(x.length));
                }
                listener.step(i, denoised);
            }
            return x;
        };
    }

    private static double lower(double sigma, double eta, NoiseSchedule schedule) {
        if (eta == 0 || sigma == 0) {
            return sigma;
        }
        return schedule.sigma(Math.floor((1 - eta) * Math.round(schedule.timestep(sigma))));
    }
}
