package io.aquarelle;

/**
 * Resamples a line of pixels by Lanczos' filter of three lobes, widened for shrinking so that all pixels count, as
 * Pillow's LANCZOS does. Pixels have three channels.
 */
final class Lanczos {
    private static final int LOBES = 3;

    private final int[] first;
    private final float[][] weights;

    /**
     * For one axis.
     *
     * @param start where on the line of {@code size} pixels to begin, as far as {@code length}
     * @param newSize pixels to make of it
     */
    Lanczos(double start, double length, int size, int newSize) {
        double scale = length / newSize;
        double stretch = Math.max(scale, 1);
        first = new int[newSize];
        weights = new float[newSize][];
        for (int i = 0; i < newSize; i++) {
            double centre = start + (i + 0.5) * scale;
            int low = Math.max((int) (centre - LOBES * stretch + 0.5), 0);
            int high = Math.min((int) (centre + LOBES * stretch + 0.5), size);
            double[] raw = new double[high - low];
            double sum = 0;
            for (int k = 0; k < raw.length; k++) {
                raw[k] = filter((low + k + 0.5 - centre) / stretch);
                sum += raw[k];
            }
            first[i] = low;
            weights[i] = new float[raw.length];
            for (int k = 0; k < raw.length; k++) {
                weights[i][k] = (float) (raw[k] / sum);
            }
        }
    }

    private static double filter(double x) {
        return Math.abs(x) < LOBES ? sinc(x) * sinc(x / LOBES) : 0;
    }

    private static double sinc(double x) {
        return x == 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
    }

    /** Resamples each of {@code height} rows of an interleaved picture. */
    float[] rows(byte[] picture, int height) {
        int width = picture.length / 3 / height;
        float[] resized = new float[3 * first.length * height];
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < first.length; x++) {
                int to = 3 * (y * first.length + x);
                int from = 3 * (y * width + first[x]);
                for (int k = 0; k < weights[x].length; k++) {
                    for (int c = 0; c < 3; c++) {
                        resized[to + c] += weights[x][k] * (picture[from + 3 * k + c] & 0xff);
                    }
                }
            }
        }
        return resized;
    }

    /** Resamples each of {@code width} columns of an interleaved picture. */
    float[] columns(float[] picture, int width) {
        int row = 3 * width;
        float[] resized = new float[row * first.length];
        for (int y = 0; y < first.length; y++) {
            for (int k = 0; k < weights[y].length; k++) {
                int from = (first[y] + k) * row;
                for (int i = 0; i < row; i++) {
                    resized[y * row + i] += weights[y][k] * picture[from + i];
                }
            }
        }
        return resized;
    }
}
