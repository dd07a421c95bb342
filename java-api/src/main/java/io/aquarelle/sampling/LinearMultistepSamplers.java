package io.aquarelle.sampling;

import java.util.ArrayList;
import java.util.List;

/**
 * Samplers that go along a combination of the slopes {@code dx/dsigma} of this step and up to three before it
 * (Adams-Bashforth methods): one evaluation a step. The first steps have fewer slopes and a lower order.
 */
final class LinearMultistepSamplers {
    private static final int ORDER = 4;

    /** The Adams-Bashforth weights of equal steps by number of slopes, the newest slope first. */
    private static final double[][] EQUAL_STEPS = {
        {1}, {3 / 2.0, -1 / 2.0}, {23 / 12.0, -16 / 12.0, 5 / 12.0}, {55 / 24.0, -59 / 24.0, 37 / 24.0, -9 / 24.0}
    };

    private LinearMultistepSamplers() {}

    /**
     * Linear multistep with the polynomial through the slopes integrated exactly (k-diffusion's {@code sample_lms}).
     * Order 4. A step much longer than the one before, as the last of many steps is, follows its own slope alone: so
     * far out the polynomial would magnify the errors of the slopes. stable-diffusion.cpp's own "lms" shifts the
     * history by one step.
     */
    static float[] lms(Denoiser denoiser, float[] x, float[] sigmas, NoiseSource noise, StepListener listener) {
        List<float[]> slopes = new ArrayList<>(); // the newest first
        for (int i = 0; i < sigmas.length - 1; i++) {
            float[] denoised = denoiser.denoise(x, sigmas[i]);
            remember(slopes, Latents.difference(x, denoised, sigmas[i]));
            x = along(slopes, integrals(sigmas, i, farOut(sigmas, i) ? 1 : slopes.size()), x);
            listener.step(i, denoised);
        }
        return x;
    }

    /**
     * The improved pseudo linear multistep method (iPNDM, Zhang and Chen 2022, arXiv 2204.13902): weights
     * of equal steps, whatever the steps are. Order 4 on equal steps, 2 on others.
     */
    static float[] ipndm(Denoiser denoiser, float[] x, float[] sigmas, NoiseSource noise, StepListener listener) {
        List<float[]> slopes = new ArrayList<>();
        for (int i = 0; i < sigmas.length - 1; i++) {
            float[] denoised = denoiser.denoise(x, sigmas[i]);
            remember(slopes, Latents.difference(x, denoised, sigmas[i]));
            x = along(slopes, equalSteps(sigmas, i, slopes.size()), x);
            listener.step(i, denoised);
        }
        return x;
    }

    /**
     * iPNDM with weights of the true steps, and a last step that goes to the estimate. Order 4. The weights are the
     * exact ones; those of ComfyUI and stable-diffusion.cpp, which differ from each other, are exact up to order 2.
     */
    static float[] ipndmVariable(
            Denoiser denoiser, float[] x, float[] sigmas, NoiseSource noise, StepListener listener) {
        List<float[]> slopes = new ArrayList<>();
        for (int i = 0; i < sigmas.length - 1; i++) {
            float[] denoised = denoiser.denoise(x, sigmas[i]);
            remember(slopes, Latents.difference(x, denoised, sigmas[i]));
            x = sigmas[i + 1] == 0 ? denoised : along(slopes, integrals(sigmas, i, slopes.size()), x);
            listener.step(i, denoised);
        }
        return x;
    }

    /**
     * The pseudo linear multistep method (PLMS; PNDM without its Runge-Kutta start: Liu et al. 2022, arXiv 2202.09778,
     * with the start of CompVis and diffusers): weights of equal steps after a first step by Heun's method, which costs
     * one evaluation more. Order 2 on steps that are not equal.
     */
    static float[] plms(Denoiser denoiser, float[] x, float[] sigmas, NoiseSource noise, StepListener listener) {
        List<float[]> slopes = new ArrayList<>();
        for (int i = 0; i < sigmas.length - 1; i++) {
            float[] denoised = denoiser.denoise(x, sigmas[i]);
            remember(slopes, Latents.difference(x, denoised, sigmas[i]));
            float[] next = along(slopes, equalSteps(sigmas, i, slopes.size()), x);
            if (i == 0 && sigmas[1] > 0) {
                float[] there = Latents.difference(next, denoiser.denoise(next, sigmas[1]), sigmas[1]);
                double length = (double) sigmas[1] - sigmas[0];
                next = Latents.sum(1, x, length / 2, slopes.getFirst(), length / 2, there);
            }
            x = next;
            listener.step(i, denoised);
        }
        return x;
    }

    private static boolean farOut(float[] sigmas, int i) {
        return i > 0 && sigmas[i] - sigmas[i + 1] > 4 * (sigmas[i - 1] - sigmas[i]);
    }

    private static void remember(List<float[]> slopes, float[] slope) {
        slopes.addFirst(slope);
        if (slopes.size() > ORDER) {
            slopes.removeLast();
        }
    }

    private static float[] along(List<float[]> slopes, double[] weights, float[] x) {
        for (int j = 0; j < weights.length; j++) {
            x = Latents.sum(x, weights[j], slopes.get(j));
        }
        return x;
    }

    private static double[] equalSteps(float[] sigmas, int i, int order) {
        double[] weights = EQUAL_STEPS[order - 1].clone();
        for (int j = 0; j < order; j++) {
            weights[j] *= (double) sigmas[i + 1] - sigmas[i];
        }
        return weights;
    }

    /**
     * The integrals from {@code sigmas[i]} to {@code sigmas[i + 1]} of the Lagrange polynomials over {@code sigmas[i]},
     * {@code sigmas[i - 1]} and so on, by the two-point Gauss rule, which is exact up to degree 3.
     */
    private static double[] integrals(float[] sigmas, int i, int order) {
        double middle = ((double) sigmas[i] + sigmas[i + 1]) / 2;
        double half = ((double) sigmas[i + 1] - sigmas[i]) / 2;
        double[] integrals = new double[order];
        for (int j = 0; j < order; j++) {
            double left = lagrange(sigmas, i, order, j, middle - half / Math.sqrt(3));
            double right = lagrange(sigmas, i, order, j, middle + half / Math.sqrt(3));
            integrals[j] = half * (left + right);
        }
        return integrals;
    }

    private static double lagrange(float[] sigmas, int i, int order, int j, double at) {
        double product = 1;
        for (int k = 0; k < order; k++) {
            if (k != j) {
                product *= (at - sigmas[i - k]) / ((double) sigmas[i - j] - sigmas[i - k]);
            }
        }
        return product;
    }
}
