package io.aquarelle.sampling;

import java.util.List;

/**
 * The samplers, by name. Each is a function that solves {@code dx/dsigma = (x - D(x; sigma)) / sigma} from
 * {@code sigmas[0]} to 0 (Karras et al. 2022, equation 3), some of them adding fresh noise on the way.
 */
public final class Samplers {
    /** Euler's method (Karras et al. 2022, algorithm 1 without second-order correction and noise); order 1. */
    public static final Sampler EULER = checked(Samplers::euler);

    /** Euler's method with ancestral noise, eta 1 (k-diffusion's {@code sample_euler_ancestral}). */
    public static final Sampler EULER_ANCESTRAL = eulerAncestral(1);

    private static final Registry<Sampler> REGISTRY = new Registry<Sampler>("sampler")
            .add("euler", "Euler", EULER, "k_euler")
            .add("euler_a", "Euler a", EULER_ANCESTRAL, "k_euler_a", "euler_ancestral", "k_euler_ancestral");

    private Samplers() {}

    /** The names that commands use, which are those of stable-diffusion.cpp. */
    public static List<String> names() {
        return REGISTRY.names();
    }

    /**
     * The sampler with a name of stable-diffusion.cpp or A1111; case, spaces, hyphens and underscores do not matter.
     *
     * @throws IllegalArgumentException if there is none; the message lists the names
     */
    public static Sampler byName(String name) {
        return REGISTRY.value(name);
    }

    /**
     * A1111's name of a sampler, as in an image's parameters: "Euler a" for "euler_a".
     *
     * @throws IllegalArgumentException if there is none; the message lists the names
     */
    public static String displayName(String name) {
        return REGISTRY.displayName(name);
    }

    /** Euler's method with {@code eta} times the ancestral noise; 0 is Euler's method. */
    static Sampler eulerAncestral(float eta) {
        return checked(
                (denoiser, x, sigmas, noise, listener) -> eulerAncestral(denoiser, x, sigmas, noise, listener, eta));
    }

    private static float[] euler(
            Denoiser denoiser, float[] x, float[] sigmas, NoiseSource noise, StepListener listener) {
        for (int i = 0; i < sigmas.length - 1; i++) {
            float sigma = sigmas[i];
            float next = sigmas[i + 1];
            float[] denoised = denoiser.denoise(x, sigma);
            float[] slope = Latents.difference(x, denoised, sigma);
            x = Latents.sum(x, next - sigma, slope);
            listener.step(i, denoised);
        }
        return x;
    }

    private static float[] eulerAncestral(
            Denoiser denoiser, float[] x, float[] sigmas, NoiseSource noise, StepListener listener, float eta) {
        for (int i = 0; i < sigmas.length - 1; i++) {
            float sigma = sigmas[i];
            float next = sigmas[i + 1];
            float up = ancestralNoise(sigma, next, eta);
            float down = (float) Math.sqrt(Math.max(next * next - up * up, 0));
            float[] denoised = denoiser.denoise(x, sigma);
            // Euler's step to `down`, gathered by x and denoised.
            x = Latents.sum(down / sigma, x, 1 - down / sigma, denoised);
            if (up > 0) {
                x = Latents.sum(x, up, noise.normal(x.length));
            }
            listener.step(i, denoised);
        }
        return x;
    }

    /**
     * The noise to add after an ancestral step: with eta 1, what the reverse of the forward process adds. The step
     * itself then goes down to {@code sqrt(next^2 - noise^2)}, so that both together end at {@code next}.
     */
    private static float ancestralNoise(float sigma, float next, float eta) {
        float variance = next * next * (sigma * sigma - next * next) / (sigma * sigma);
        return Math.min(next, eta * (float) Math.sqrt(Math.max(variance, 0)));
    }

    /** Checks arguments before a run and the denoiser's results during it. */
    private static Sampler checked(Sampler sampler) {
        return (denoiser, latent, sigmas, noise, listener) -> {
            if (latent.length == 0) {
                throw new IllegalArgumentException("the latent is empty; there is nothing to sample");
            }
            check(sigmas);
            Denoiser sameLength = (x, sigma) -> {
                float[] denoised = denoiser.denoise(x, sigma);
                if (denoised.length != x.length) {
                    throw new IllegalStateException(
                            "the denoiser returned " + denoised.length + " values for a latent of " + x.length);
                }
                return denoised;
            };
            return sampler.sample(sameLength, latent, sigmas.clone(), noise, listener);
        };
    }

    private static void check(float[] sigmas) {
        if (sigmas.length < 2) {
            throw new IllegalArgumentException(
                    "sigmas has " + sigmas.length + " values; a run needs at least one noise level and the final 0");
        }
        for (int i = 0; i < sigmas.length; i++) {
            if (!Float.isFinite(sigmas[i]) || i > 0 && sigmas[i] >= sigmas[i - 1]) {
                throw new IllegalArgumentException("sigmas[" + i + "] is " + sigmas[i]
                        + "; noise levels must be finite and fall from each to the next");
            }
        }
        if (sigmas[sigmas.length - 1] != 0) {
            throw new IllegalArgumentException("sigmas ends in " + sigmas[sigmas.length - 1] + "; it must end in 0");
        }
    }
}
