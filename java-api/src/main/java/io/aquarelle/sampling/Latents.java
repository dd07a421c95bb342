package io.aquarelle.sampling;

/** Arithmetic on whole latents. Every function returns a new array; lengths must agree. */
final class Latents {
    private Latents() {}

    /** a x + b y. */
    static float[] sum(float a, float[] x, float b, float[] y) {
        float[] sum = new float[x.length];
        for (int i = 0; i < x.length; i++) {
            sum[i] = a * x[i] + b * y[i];
        }
        return sum;
    }

    /** x + b y. */
    static float[] sum(float[] x, float b, float[] y) {
        return sum(1, x, b, y);
    }

    /** (x - y) / divisor. */
    static float[] difference(float[] x, float[] y, float divisor) {
        float[] difference = new float[x.length];
        for (int i = 0; i < x.length; i++) {
            difference[i] = (x[i] - y[i]) / divisor;
        }
        return difference;
    }
}
