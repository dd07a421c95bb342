package io.aquarelle.sampling;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * UniPC, the unified predictor-corrector (Zhao et al. 2023, arXiv 2302.04867, predicting data): one
 * evaluation a step, which first corrects the step that led there and then predicts the next. In the variable
 * {@code lambda = -log sigma}. Order {@code order + 1}; the first and the last steps are of lower order.
 */
final class UniPcSampler {
    /** The paper's two choices of B(h). */
    enum Variant {
        /** {@code B(h) = h}. */
        BH1,
        /** {@code B(h) = exp(h) - 1}. */
        BH2
    }

    private UniPcSampler() {}

    /** {@code order} is the highest number of estimates that a prediction uses, 1 to 3. */
    static Sampler uniPc(int order, Variant variant) {
        return (denoiser, x, sigmas, noise, listener) -> {
            int steps = sigmas.length - 1;
            List<float[]> estimates = new ArrayList<>(); // the newest first
            float[] origin = x; // where the last prediction started
            int p = 0; // its order
            for (int i = 0; i < steps; i++) {
                float[] denoised = denoiser.denoise(x, sigmas[i]);
                if (i > 0) {
                    x = step(origin, estimates, denoised, sigmas, i - 1, p, variant);
                }
                estimates.addFirst(denoised);
                if (estimates.size() > order) {
                    estimates.removeLast();
                }
                origin = x;
                p = Math.min(Math.min(order, i + 1), steps - i);
                x = sigmas[i + 1] == 0 ? denoised : step(origin, estimates, null, sigmas, i, p, variant);
                listener.step(i, denoised);
            }
            return x;
        };
    }

    /**
     * From {@code origin} at {@code sigmas[i]} to the next level: a prediction of order p, or with the estimate
     * {@code there} at that level its correction.
     *
     * @param estimates at {@code sigmas[i]}, {@code sigmas[i - 1]} and so on; p of them are used
     */
    private static float[] step(
            float[] origin,
            List<float[]> estimates,
            float @Nullable [] there,
            float[] sigmas,
            int i,
            int p,
            Variant variant) {
        double h = Math.log((double) sigmas[i] / sigmas[i + 1]);
        float[] here = estimates.getFirst();
        List<float[]> differences = new ArrayList<>();
        List<Double> places = new ArrayList<>(); // in lambda, as parts of h: negative behind, 1 ahead
        for (int k = 1; k < p; k++) {
            double place = Math.log((double) sigmas[i] / sigmas[i - k]) / h;
            differences.add(Latents.difference(estimates.get(k), here, place));
            places.add(place);
        }
        if (there != null) {
            differences.add(Latents.difference(there, here, 1));
            places.add(1.0);
        }
        double b = variant == Variant.BH1 ? -h : Math.expm1(-h);
        double[] weights = weights(places, -h, b);
        float[] x = Latents.approach(origin, here, Math.exp(-h));
        for (int k = 0; k < weights.length; k++) {
            x = Latents.sum(x, -b * weights[k], differences.get(k));
        }
        return x;
    }

    /** The solution a of {@code sum over k of r_k^(j-1) a_k = j! z phi_(j+1)(z) / B} for all j: R a B = phi. */
    private static double[] weights(List<Double> places, double z, double b) {
        int n = places.size();
        if (n == 1) {
            return new double[] {0.5}; // for one point the paper takes this, whatever B is
        }
        double[][] rows = new double[n][n + 1];
        for (int j = 0; j < n; j++) {
            for (int k = 0; k < n; k++) {
                rows[j][k] = Math.pow(places.get(k), j);
            }
            rows[j][n] = Phi.factorial(j + 1) * z * Phi.phi(j + 2, z) / b;
        }
        return solve(rows);
    }

    /** Gauss-Jordan elimination; a Vandermonde matrix of distinct places needs no pivoting. */
    private static double[] solve(double[][] rows) {
        int n = rows.length;
        for (int pivot = 0; pivot < n; pivot++) {
            for (int j = 0; j < n; j++) {
                double factor = j == pivot ? 1 - 1 / rows[pivot][pivot] : rows[j][pivot] / rows[pivot][pivot];
                for (int k = n; k >= pivot; k--) {
                    rows[j][k] -= factor * rows[pivot][k];
                }
            }
        }
        double[] solution = new double[n];
        for (int j = 0; j < n; j++) {
            solution[j] = rows[j][n];
        }
        return solution;
    }
}
