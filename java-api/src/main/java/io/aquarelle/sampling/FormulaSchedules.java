package io.aquarelle.sampling;

import java.util.Arrays;
import java.util.function.DoubleUnaryOperator;

/** Schedules by a formula between the largest and the smallest sigma of the network's training, ending in 0. */
final class FormulaSchedules {
    private FormulaSchedules() {}

    /** {@code sigma^(1/7)} evenly spaced: Karras et al. 2022, equation 5 with rho = 7. */
    static float[] karras(NoiseSchedule schedule, int steps) {
        double rho = 7;
        double max = Math.pow(schedule.sigmaMax(), 1 / rho);
        double min = Math.pow(schedule.sigmaMin(), 1 / rho);
        return alongRamp(steps, ramp -> Math.pow(max + ramp * (min - max), rho));
    }

    /** Log sigma evenly spaced (k-diffusion's {@code get_sigmas_exponential}). */
    static float[] exponential(NoiseSchedule schedule, int steps) {
        double ratio = (double) schedule.sigmaMin() / schedule.sigmaMax();
        return alongRamp(steps, ramp -> schedule.sigmaMax() * Math.pow(ratio, ramp));
    }

    /** {@code atan sigma} evenly spaced: Sabour et al. 2024 (arXiv 2404.14507). */
    static float[] klOptimal(NoiseSchedule schedule, int steps) {
        double max = Math.atan(schedule.sigmaMax());
        double min = Math.atan(schedule.sigmaMin());
        return alongRamp(steps, ramp -> Math.tan(max + ramp * (min - max)));
    }

    /**
     * Two arcs of the arc tangent, from the largest sigma to the middle and on to the smallest (RES4LYF's
     * "bong_tangent" with its defaults, as in stable-diffusion.cpp): few large sigmas, many small ones.
     */
    static float[] bongTangent(NoiseSchedule schedule, int steps) {
        double max = schedule.sigmaMax();
        double min = schedule.sigmaMin();
        double middle = (max + min) / 2;
        if (steps == 1) {
            return new float[] {(float) max, 0};
        }
        int points = steps + 2; // the middle is on both arcs, and the smallest sigma is left out
        double slope = 0.2 * 40 / points;
        int pivot = (int) (points * 0.6f);
        double[] upper = arc(pivot, slope, pivot, max, middle);
        double[] lower = arc(points - pivot, slope, 0, middle, min);
        float[] sigmas = new float[steps + 1];
        for (int i = 0; i < steps; i++) {
            sigmas[i] = (float) (i < pivot - 1 ? upper[i] : lower[i - (pivot - 1)]);
        }
        return sigmas;
    }

    /** {@code count} points of {@code -atan(slope (i - pivot))}, scaled to fall from {@code start} to {@code end}. */
    private static double[] arc(int count, double slope, int pivot, double start, double end) {
        double[] values = new double[count];
        Arrays.setAll(values, i -> -Math.atan(slope * (i - pivot)));
        double first = values[0];
        double last = values[count - 1];
        Arrays.setAll(values, i -> end + (start - end) * (count == 1 ? 1 : (values[i] - last) / (first - last)));
        return values;
    }

    /** The values of {@code sigma} at {@code steps} even points from 0 to 1, then 0; a single step takes point 0. */
    private static float[] alongRamp(int steps, DoubleUnaryOperator sigma) {
        float[] sigmas = new float[steps + 1];
        for (int i = 0; i < steps; i++) {
            sigmas[i] = (float) sigma.applyAsDouble(i / Math.max(steps - 1.0, 1));
        }
        return sigmas;
    }
}
