package io.aquarelle.evaluate;

import java.awt.image.BufferedImage;

/** A picture as [3][height][width] values of red, green and blue. */
final class Planes {
    private Planes() {}

    /** Values from -1 to 1, as autoencoders take them. */
    static float[] of(BufferedImage picture) {
        int width = picture.getWidth();
        int pixels = width * picture.getHeight();
        float[] planes = new float[3 * pixels];
        for (int i = 0; i < pixels; i++) {
            int rgb = picture.getRGB(i % width, i / width);
            for (int c = 0; c < 3; c++) {
                planes[c * pixels + i] = (rgb >> 16 - 8 * c & 0xff) / 127.5f - 1;
            }
        }
        return planes;
    }

    /** Means of squares of {@code by} times {@code by} pixels. */
    static float[] shrink(float[] planes, int width, int by) {
        int height = planes.length / 3 / width;
        int smallWidth = width / by;
        int smallHeight = height / by;
        float[] small = new float[3 * smallWidth * smallHeight];
        for (int c = 0; c < 3; c++) {
            for (int y = 0; y < smallHeight * by; y++) {
                for (int x = 0; x < smallWidth * by; x++) {
                    small[(c * smallHeight + y / by) * smallWidth + x / by] +=
                            planes[(c * height + y) * width + x] / (by * by);
                }
            }
        }
        return small;
    }
}
