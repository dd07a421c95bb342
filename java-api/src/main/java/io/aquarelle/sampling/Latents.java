package io.aquarelle.sampling;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Arithmetic on whole latents, in double precision between reading and writing. Every function returns a new array;
 * lengths must agree.
 */
public final class Latents {
    private Latents() {}

    /** One behind another. */
    public static float[] joined(List<float[]> parts) {
        float[] joined = new float[parts.stream().mapToInt(part -> part.length).sum()];
        int at = 0;
        for (float[] part : parts) {
            System.arraycopy(part, 0, joined, at, part.length);
            at += part.length;
        }
        return joined;
    }

    /** The opposite: parts of one length. */
    public static List<float[]> split(float[] latents, int count) {
        int length = latents.length / count;
        return IntStream.range(0, count)
                .mapToObj(i -> Arrays.copyOfRange(latents, i * length, (i + 1) * length))
                .toList();
    }

    /** a x. */
    static float[] scale(double a, float[] x) {
        return sum(a, x, 0, x);
    }

    /** a x + b y. */
    static float[] sum(double a, float[] x, double b, float[] y) {
        float[] sum = new float[x.length];
        for (int i = 0; i < x.length; i++) {
            sum[i] = (float) (a * x[i] + b * y[i]);
        }
        return sum;
    }

    /** x + b y. */
    static float[] sum(float[] x, double b, float[] y) {
        return sum(1, x, b, y);
    }

    /** a x + b y + c z. */
    static float[] sum(double a, float[] x, double b, float[] y, double c, float[] z) {
        float[] sum = new float[x.length];
        for (int i = 0; i < x.length; i++) {
            sum[i] = (float) (a * x[i] + b * y[i] + c * z[i]);
        }
        return sum;
    }

    /** (x - y) / divisor. */
    static float[] difference(float[] x, float[] y, double divisor) {
        float[] difference = new float[x.length];
        for (int i = 0; i < x.length; i++) {
            difference[i] = (float) ((x[i] - y[i]) / divisor);
        }
        return difference;
    }

    /**
     * {@code ratio x + (1 - ratio) denoised}: the exact path from noise level sigma to {@code ratio sigma} if the
     * estimate stayed as it is, and at the same time Euler's step. Ratio 0 gives the estimate.
     */
    static float[] approach(float[] x, float[] denoised, double ratio) {
        return sum(ratio, x, 1 - ratio, denoised);
    }
}
