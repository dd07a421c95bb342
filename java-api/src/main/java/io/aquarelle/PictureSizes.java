package io.aquarelle;

/**
 * The sizes that SDXL was told of each picture in training (Podell et al., arXiv 2307.01952, section 2.2), and may be
 * told of the one to draw: a small original looks soft, a crop away from 0 cuts things off. Pixels.
 *
 * @param originalWidth width before scaling, 0 to 65536
 * @param originalHeight height before scaling
 * @param cropLeft what was cut off on the left
 * @param cropTop what was cut off at the top
 * @param targetWidth width of the picture
 * @param targetHeight height of the picture
 */
public record PictureSizes(
        int originalWidth, int originalHeight, int cropLeft, int cropTop, int targetWidth, int targetHeight) {
    private static final int MOST = 1 << 16;

    /** Refuses what no picture has. */
    public PictureSizes {
        requireSize("original width", originalWidth);
        requireSize("original height", originalHeight);
        requireSize("left crop", cropLeft);
        requireSize("top crop", cropTop);
        requireSize("target width", targetWidth);
        requireSize("target height", targetHeight);
    }

    /** A picture of that size, neither scaled nor cropped. */
    public static PictureSizes of(int width, int height) {
        return new PictureSizes(width, height, 0, 0, width, height);
    }

    private static void requireSize(String name, int size) {
        if (size < 0 || size > MOST) {
            throw new IllegalArgumentException(name + " is " + size + "; it must be 0 to " + MOST);
        }
    }

    /** In the order of the base model's label. */
    float[] numbers() {
        return new float[] {originalHeight, originalWidth, cropTop, cropLeft, targetHeight, targetWidth};
    }

    /** In the order of the refiner's label. */
    float[] numbers(float aesthetics) {
        return new float[] {originalHeight, originalWidth, cropTop, cropLeft, aesthetics};
    }
}
