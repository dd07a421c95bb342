package io.aquarelle;

import java.util.Arrays;

/** Planes in another size as PyTorch's {@code interpolate} makes them, pixels being squares ({@code align_corners=False}). */
enum Interpolation {
    NEAREST,
    NEAREST_EXACT,
    LINEAR,
    CUBIC;

    /** Keys' kernel (IEEE ASSP 29(6), 1981) with PyTorch's parameter. */
    private static final double CUBIC_PARAMETER = -0.75;

    private static final int TAPS = 4;

    /** Every plane of [planes][height][width]. */
    float[] resized(float[] values, int height, int width, int newHeight, int newWidth) {
        int planes = values.length / (height * width);
        float[] wide = new float[planes * height * newWidth];
        along(values, width, 1, wide, newWidth, planes * height);
        float[] result = new float[planes * newHeight * newWidth];
        for (int p = 0; p < planes; p++) {
            // A column of rows is one line whose pixels are rows.
            float[] plane = Arrays.copyOfRange(wide, p * height * newWidth, (p + 1) * height * newWidth);
            float[] high = new float[newHeight * newWidth];
            along(plane, height, newWidth, high, newHeight, 1);
            System.arraycopy(high, 0, result, p * high.length, high.length);
        }
        return result;
    }

    /** Lines of {@code size} pixels of {@code span} values each, one behind the other. */
    private void along(float[] from, int size, int span, float[] to, int newSize, int lines) {
        double scale = (double) size / newSize;
        double[] weights = new double[TAPS];
        for (int i = 0; i < newSize; i++) {
            int first = weigh(i, scale, size, weights);
            for (int line = 0; line < lines; line++) {
                for (int s = 0; s < span; s++) {
                    double sum = 0;
                    for (int k = 0; k < TAPS; k++) {
                        int pixel = Math.clamp(first + k, 0, size - 1);
                        sum += weights[k] * from[(line * size + pixel) * span + s];
                    }
                    to[(line * newSize + i) * span + s] = (float) sum;
                }
            }
        }
    }

    /** The weights of four pixels for the new pixel {@code i}; returns the place of the first. */
    private int weigh(int i, double scale, int size, double[] weights) {
        double place = (i + 0.5) * scale - 0.5;
        Arrays.fill(weights, 0);
        switch (this) {
            case NEAREST -> {
                weights[0] = 1;
                return Math.min((int) Math.floor(i * scale), size - 1);
            }
            case NEAREST_EXACT -> {
                weights[0] = 1;
                return Math.min((int) Math.floor((i + 0.5) * scale), size - 1);
            }
            case LINEAR -> {
                double inside = Math.max(place, 0);
                int first = (int) inside;
                weights[1] = inside - first;
                weights[0] = 1 - weights[1];
                return first;
            }
            default -> {
                int before = (int) Math.floor(place);
                double t = place - before;
                weights[0] = outer(t + 1);
                weights[1] = inner(t);
                weights[2] = inner(1 - t);
                weights[3] = outer(2 - t);
                return before - 1;
            }
        }
    }

    private static double inner(double x) {
        return ((CUBIC_PARAMETER + 2) * x - (CUBIC_PARAMETER + 3)) * x * x + 1;
    }

    private static double outer(double x) {
        return CUBIC_PARAMETER * (((x - 5) * x + 8) * x - 4);
    }
}
