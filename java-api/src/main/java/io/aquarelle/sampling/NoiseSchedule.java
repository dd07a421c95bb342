package io.aquarelle.sampling;

import java.util.Arrays;

/**
 * The noise levels that a network was trained on: sigma for each timestep, and between timesteps by linear
 * interpolation of log sigma, as in k-diffusion's discrete schedule. Training adds noise as {@code x_t = sqrt(a) x_0 +
 * sqrt(1 - a) noise} with {@code a} the product of {@code 1 - beta} up to t ("alphas_cumprod"); scaled to {@code x_0 +
 * sigma noise} that is {@code sigma = sqrt((1 - a) / a)}.
 */
public final class NoiseSchedule {
    private static final double[] PRODUCTS = scaledLinear(0.00085, 0.012, 1000);
    private static final NoiseSchedule STABLE_DIFFUSION = new NoiseSchedule(PRODUCTS);
    private static final NoiseSchedule ZERO_TERMINAL_SNR = new NoiseSchedule(zeroTerminal(PRODUCTS));

    private final float[] sigmas; // by timestep, rising
    private final double[] logSigmas;

    private NoiseSchedule(double[] alphasCumprod) {
        sigmas = new float[alphasCumprod.length];
        for (int t = 0; t < sigmas.length; t++) {
            sigmas[t] = sigmaOf(alphasCumprod[t]);
        }
        logSigmas = new double[sigmas.length];
        Arrays.setAll(logSigmas, t -> Math.log(sigmas[t]));
    }

    /** The schedule of Stable Diffusion 1.x, 2.x and SDXL: scaled-linear betas from 0.00085 to 0.012, 1000 steps. */
    public static NoiseSchedule stableDiffusion() {
        return STABLE_DIFFUSION;
    }

    /**
     * The same without signal at the last timestep (Lin et al., arXiv 2305.08891, algorithm 1): the square roots of the
     * products are moved down to end at 0, and stretched to start where they did. The last product is 4.9e-8 in place of
     * 0, as in A1111 and ComfyUI, so that its sigma is finite (4519).
     */
    public static NoiseSchedule zeroTerminalSnr() {
        return ZERO_TERMINAL_SNR;
    }

    private static double[] zeroTerminal(double[] products) {
        double first = Math.sqrt(products[0]);
        double last = Math.sqrt(products[products.length - 1]);
        double[] moved = new double[products.length];
        Arrays.setAll(moved, t -> Math.pow((Math.sqrt(products[t]) - last) * first / (first - last), 2));
        moved[moved.length - 1] = 4.8973451890853435e-8;
        return moved;
    }

    /** The products of betas whose square roots are evenly spaced. */
    private static double[] scaledLinear(double first, double last, int steps) {
        double[] products = new double[steps];
        double start = Math.sqrt(first);
        double slope = (Math.sqrt(last) - start) / (steps - 1);
        double product = 1;
        for (int t = 0; t < steps; t++) {
            double rootBeta = start + slope * t;
            product *= 1 - rootBeta * rootBeta;
            products[t] = product;
        }
        return products;
    }

    private static float sigmaOf(double alphaCumprod) {
        return (float) Math.sqrt((1 - alphaCumprod) / alphaCumprod);
    }

    /** The number of timesteps, 1000 for Stable Diffusion. */
    public int steps() {
        return sigmas.length;
    }

    /** The noise level of timestep 0. */
    public float sigmaMin() {
        return sigmas[0];
    }

    /** The noise level of the last timestep. */
    public float sigmaMax() {
        return sigmas[sigmas.length - 1];
    }

    /**
     * The noise level of a timestep.
     *
     * @param timestep from 0 to {@code steps() - 1}, fractions allowed
     * @throws IllegalArgumentException if it lies outside
     */
    public float sigma(double timestep) {
        if (!(timestep >= 0 && timestep <= steps() - 1)) {
            throw new IllegalArgumentException("timestep " + timestep + " is not between 0 and " + (steps() - 1));
        }
        int low = (int) Math.min(timestep, steps() - 2);
        double w = timestep - low;
        return (float) Math.exp((1 - w) * logSigmas[low] + w * logSigmas[low + 1]);
    }

    /**
     * The timestep of a noise level, the inverse of {@link #sigma}. Levels outside the schedule get its first or last
     * timestep.
     *
     * @throws IllegalArgumentException if sigma is negative or not a number
     */
    public float timestep(double sigma) {
        if (!(sigma >= 0)) {
            throw new IllegalArgumentException("sigma " + sigma + " is not a noise level; it must be 0 or more");
        }
        double logSigma = Math.log(sigma);
        int found = Arrays.binarySearch(logSigmas, logSigma);
        int low = Math.clamp(found >= 0 ? found : -found - 2, 0, steps() - 2);
        double w = (logSigma - logSigmas[low]) / (logSigmas[low + 1] - logSigmas[low]);
        return (float) (low + Math.clamp(w, 0.0, 1.0));
    }
}
