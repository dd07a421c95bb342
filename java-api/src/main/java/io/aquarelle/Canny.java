package io.aquarelle;

import java.util.ArrayDeque;

/**
 * Finds edges (Canny, "A Computational Approach to Edge Detection", IEEE PAMI 8(6), 1986): a Gaussian, Sobel's
 * derivatives, only maxima across the edge, and hysteresis, by which weak edges stay that hang on strong ones.
 *
 * @param high gradients from this share of the picture's largest on are strong, 0 to 1
 * @param low gradients from this share of {@code high} on are weak, 0 to 1
 * @param inverse black edges on white in place of white on black
 */
public record Canny(float high, float low, boolean inverse) {
    /** The thresholds of stable-diffusion.cpp's command. */
    public static final Canny DEFAULT = new Canny(0.08f, 0.08f, false);

    // exp(-d² / 2 DEVIATION²) for d from -REACH to REACH is the usual 5 x 5 kernel.
    private static final double DEVIATION = 1.4;
    private static final int REACH = 2;

    /** Refuses thresholds out of range. */
    public Canny {
        requireShare("high", high);
        requireShare("low", low);
    }

    private static void requireShare(String name, float value) {
        if (!(value >= 0 && value <= 1)) {
            throw new IllegalArgumentException(name + " threshold is " + value + "; it must be 0 to 1");
        }
    }

    Picture edges(Picture picture) {
        int width = picture.width();
        int height = picture.height();
        float[] smooth = smooth(grey(picture), width, height);
        float[] across = new float[smooth.length];
        float[] down = new float[smooth.length];
        float[] strength = new float[smooth.length];
        float largest = 0;
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                int p = y * width + x;
                across[p] = sobel(smooth, width, height, x, y, 1, 0);
                down[p] = sobel(smooth, width, height, x, y, 0, 1);
                strength[p] = (float) Math.hypot(across[p], down[p]);
                largest = Math.max(largest, strength[p]);
            }
        }
        boolean[] edges = hysteresis(maxima(strength, across, down, width, height), width, high * largest);
        byte[] rgb = new byte[3 * edges.length];
        for (int i = 0; i < rgb.length; i++) {
            rgb[i] = (byte) (edges[i / 3] != inverse ? 255 : 0);
        }
        return Picture.of(width, height, rgb);
    }

    private static float[] grey(Picture picture) {
        byte[] rgb = picture.rgb();
        float[] grey = new float[rgb.length / 3];
        for (int p = 0; p < grey.length; p++) {
            grey[p] = (0.2989f * (rgb[3 * p] & 0xff)
                            + 0.587f * (rgb[3 * p + 1] & 0xff)
                            + 0.114f * (rgb[3 * p + 2] & 0xff))
                    / 255;
        }
        return grey;
    }

    private static float[] smooth(float[] grey, int width, int height) {
        double[] weights = new double[2 * REACH + 1];
        double sum = 0;
        for (int d = -REACH; d <= REACH; d++) {
            weights[d + REACH] = Math.exp(-d * d / (2 * DEVIATION * DEVIATION));
            sum += weights[d + REACH];
        }
        float[] wide = new float[grey.length];
        float[] smooth = new float[grey.length];
        for (int pass = 0; pass < 2; pass++) {
            float[] from = pass == 0 ? grey : wide;
            float[] to = pass == 0 ? wide : smooth;
            for (int y = 0; y < height; y++) {
                for (int x = 0; x < width; x++) {
                    double value = 0;
                    for (int d = -REACH; d <= REACH; d++) {
                        value += weights[d + REACH] * at(from, width, height, x + (1 - pass) * d, y + pass * d);
                    }
                    to[y * width + x] = (float) (value / sum);
                }
            }
        }
        return smooth;
    }

    /** The value nearest to a place, within the picture or not. */
    private static float at(float[] values, int width, int height, int x, int y) {
        return values[Math.clamp(y, 0, height - 1) * width + Math.clamp(x, 0, width - 1)];
    }

    /** The derivative in direction (dx, dy), which is (1, 0) or (0, 1), smoothed by 1, 2, 1 across it. */
    private static float sobel(float[] values, int width, int height, int x, int y, int dx, int dy) {
        float sum = 0;
        for (int side = -1; side <= 1; side++) {
            int weight = side == 0 ? 2 : 1;
            int sx = x + side * dy;
            int sy = y + side * dx;
            sum += weight * (at(values, width, height, sx + dx, sy + dy) - at(values, width, height, sx - dx, sy - dy));
        }
        return sum;
    }

    /** Gradients that neither neighbour in their direction, the nearest of eight, exceeds; 0 elsewhere. */
    private static float[] maxima(float[] strength, float[] across, float[] down, int width, int height) {
        float[] maxima = new float[strength.length];
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                int p = y * width + x;
                int eighth = (int) Math.round(Math.atan2(down[p], across[p]) / (Math.PI / 4));
                int dx = Math.abs(eighth) % 4 == 2 ? 0 : Math.abs(eighth) < 2 ? 1 : -1;
                int dy = eighth % 4 == 0 ? 0 : eighth > 0 ? 1 : -1;
                // Of two equal neighbours one must give way, or a straight edge would be two pixels wide.
                if (strength[p] > inside(strength, width, height, x - dx, y - dy)
                        && strength[p] >= inside(strength, width, height, x + dx, y + dy)) {
                    maxima[p] = strength[p];
                }
            }
        }
        return maxima;
    }

    private static float inside(float[] values, int width, int height, int x, int y) {
        return x < 0 || y < 0 || x >= width || y >= height ? 0 : values[y * width + x];
    }

    /** Strong maxima, and weak ones that hang on them by neighbours. */
    private boolean[] hysteresis(float[] maxima, int width, float strong) {
        boolean[] edges = new boolean[maxima.length];
        var open = new ArrayDeque<Integer>();
        for (int p = 0; p < maxima.length; p++) {
            if (maxima[p] > 0 && maxima[p] >= strong) {
                edges[p] = true;
                open.add(p);
            }
        }
        int height = maxima.length / width;
        while (!open.isEmpty()) {
            int p = open.remove();
            for (int y = Math.max(p / width - 1, 0); y <= Math.min(p / width + 1, height - 1); y++) {
                for (int x = Math.max(p % width - 1, 0); x <= Math.min(p % width + 1, width - 1); x++) {
                    int q = y * width + x;
                    if (!edges[q] && maxima[q] > 0 && maxima[q] >= low * strong) {
                        edges[q] = true;
                        open.add(q);
                    }
                }
            }
        }
        return edges;
    }
}
