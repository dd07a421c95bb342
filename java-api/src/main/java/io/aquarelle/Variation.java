package io.aquarelle;

import io.aquarelle.sampling.NoiseSource;

/**
 * Pictures that are a little different: the starting noise turned towards that of another seed, as A1111's "variation
 * seed" does.
 *
 * @param seed of the other noise, an unsigned 64-bit number; each further picture of a batch adds 1, and the request's
 *     own seed stays
 * @param strength how far: 0 is the request's seed alone, 1 the other one alone
 */
public record Variation(long seed, float strength) {
    /** None. */
    public static final Variation NONE = new Variation(0, 0);

    private static final double ALIKE = 0.9995;

    /** Refuses a strength out of range. */
    public Variation {
        if (!(strength >= 0 && strength <= 1)) {
            throw new IllegalArgumentException("variation strength is " + strength + "; it must be 0 to 1");
        }
    }

    /** The noise of a latent between that of two sources. */
    float[] noise(NoiseSource own, NoiseSource other, int channels, int height, int width) {
        float[] noise = own.normal(channels * height * width);
        return strength == 0 ? noise : between(noise, other.normal(noise.length), height, width);
    }

    /**
     * A1111's {@code slerp}: each column of each channel on its arc,
     * {@code sin((1-t) w)/sin(w) a + sin(t w)/sin(w) b} with the angle w between the two; straight where they are alike.
     */
    private float[] between(float[] a, float[] b, int height, int width) {
        int columns = a.length / height;
        double[] cosines = new double[columns];
        double mean = 0;
        for (int column = 0; column < columns; column++) {
            double dot = 0;
            double aa = 0;
            double bb = 0;
            for (int y = 0; y < height; y++) {
                int i = place(column, y, height, width);
                dot += (double) a[i] * b[i];
                aa += (double) a[i] * a[i];
                bb += (double) b[i] * b[i];
            }
            cosines[column] = dot / Math.sqrt(aa * bb);
            mean += cosines[column] / columns;
        }
        float[] result = new float[a.length];
        for (int column = 0; column < columns; column++) {
            double angle = Math.acos(Math.clamp(cosines[column], -1, 1));
            boolean alike = mean > ALIKE || Math.sin(angle) == 0;
            double left = alike ? 1 - strength : Math.sin((1 - strength) * angle) / Math.sin(angle);
            double right = alike ? strength : Math.sin(strength * angle) / Math.sin(angle);
            for (int y = 0; y < height; y++) {
                int i = place(column, y, height, width);
                result[i] = (float) (left * a[i] + right * b[i]);
            }
        }
        return result;
    }

    private static int place(int column, int y, int height, int width) {
        return (column / width * height + y) * width + column % width;
    }
}
