package io.aquarelle;

import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.ColorModel;
import java.awt.image.Raster;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** A picture to draw from: 8 bits each of red, green and blue. Immutable. */
public final class Picture {
    /** The longest side. */
    static final int MAX_SIDE = 8192;

    private final int width;
    private final int height;
    private final byte[] rgb;

    /** {@code rgb} is not copied. */
    private Picture(int width, int height, byte[] rgb) {
        this.width = width;
        this.height = height;
        this.rgb = rgb;
    }

    /**
     * A picture of ready values.
     *
     * @param rgb [height][width][3] of red, green and blue, rows from top to bottom; copied
     * @throws IllegalArgumentException if a side is not 1 to 8192 or the array has another length
     */
    public static Picture of(int width, int height, byte[] rgb) {
        requireSides(width, height);
        if (rgb.length != 3 * width * height) {
            throw new IllegalArgumentException("a picture of " + width + "x" + height + " has " + 3 * width * height
                    + " bytes of red, green and blue; these are " + rgb.length);
        }
        return new Picture(width, height, rgb.clone());
    }

    /**
     * A copy of an image; what is transparent shows white behind it, as in A1111.
     *
     * @throws IllegalArgumentException if a side is longer than 8192
     */
    public static Picture of(BufferedImage image) {
        int width = image.getWidth();
        int height = image.getHeight();
        requireSides(width, height);
        byte[] rgb = new byte[3 * width * height];
        int[] row = new int[width];
        for (int y = 0; y < height; y++) {
            argb(image, y, row);
            for (int x = 0; x < width; x++) {
                int alpha = row[x] >>> 24;
                for (int c = 0; c < 3; c++) {
                    int value = row[x] >>> 16 - 8 * c & 0xff;
                    rgb[3 * (y * width + x) + c] = (byte) ((value * alpha + 255 * (255 - alpha) + 127) / 255);
                }
            }
        }
        return new Picture(width, height, rgb);
    }

    /** The same without a copy: the array belongs to the picture from here on. */
    static Picture owning(int width, int height, byte[] rgb) {
        return new Picture(width, height, rgb);
    }

    /** Of [3][height][width] from -1 to 1, clamped and rounded half up. */
    static Picture of(int width, int height, float[] planes) {
        int pixels = width * height;
        byte[] rgb = new byte[3 * pixels];
        for (int p = 0; p < pixels; p++) {
            for (int c = 0; c < 3; c++) {
                float value = (planes[c * pixels + p] + 1) / 2;
                rgb[3 * p + c] = (byte) (Math.max(0, Math.min(1, value)) * 255 + 0.5f);
            }
        }
        return new Picture(width, height, rgb);
    }

    /** A row of pixels. ImageIO says that grey pictures are linear, which they are not; those are taken as they are. */
    private static void argb(BufferedImage image, int y, int[] row) {
        ColorModel colours = image.getColorModel();
        boolean grey = colours.getColorSpace().getType() == ColorSpace.TYPE_GRAY;
        if (!grey || colours.getNumComponents() != image.getRaster().getNumBands()) {
            image.getRGB(0, y, row.length, 1, row, 0, row.length);
            return;
        }
        Raster raster = image.getRaster();
        int bits = colours.getComponentSize(0);
        for (int x = 0; x < row.length; x++) {
            int value = raster.getSample(x, y, 0) * 255 / ((1 << bits) - 1);
            int alpha = colours.hasAlpha() ? raster.getSample(x, y, 1) * 255 / ((1 << bits) - 1) : 255;
            row[x] = alpha << 24 | value << 16 | value << 8 | value;
        }
    }

    /**
     * Reads a PNG, JPEG, GIF or BMP file.
     *
     * @throws IOException if it cannot be read, is damaged or of another format, or has a side longer than 8192; the
     *     message is one line that names the file
     */
    public static Picture read(Path file) throws IOException {
        return PictureReader.read(file);
    }

    private static void requireSides(int width, int height) {
        if (width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE) {
            throw new IllegalArgumentException(
                    "a picture of " + width + "x" + height + " can't be used; its sides must be 1 to " + MAX_SIDE);
        }
    }

    public int width() {
        return width;
    }

    public int height() {
        return height;
    }

    /** A new array [height][width][3] of red, green and blue, rows from top to bottom. */
    public byte[] rgb() {
        return rgb.clone();
    }

    /**
     * The peak signal-to-noise ratio of this picture and another one in dB; infinite where they are the same.
     *
     * @throws IllegalArgumentException if they differ in size
     */
    public double psnr(Picture other) {
        return psnr(squaredError(other));
    }

    /** The same of a mean of squared differences. */
    static double psnr(double squaredError) {
        return 10 * Math.log10(255 * 255 / squaredError);
    }

    /** The mean of the squared differences of all values. */
    double squaredError(Picture other) {
        if (width != other.width || height != other.height) {
            throw new IllegalArgumentException("pictures of " + this + " and " + other + " cannot be compared");
        }
        double sum = 0;
        for (int i = 0; i < rgb.length; i++) {
            double difference = (rgb[i] & 0xff) - (other.rgb[i] & 0xff);
            sum += difference * difference;
        }
        return sum / rgb.length;
    }

    /** A new image of type {@link BufferedImage#TYPE_INT_RGB}. */
    public BufferedImage toBufferedImage() {
        return PngFile.image(width, height, rgb);
    }

    /** A PNG file. */
    public byte[] png() {
        return PngFile.bytes(width, height, rgb, null);
    }

    /**
     * Writes {@link #png} to a file, which appears complete or not at all; until then an older one stays.
     *
     * @throws IOException if the folder does not exist or cannot be written to, its disk is full, or {@code file} is a
     *     folder or a device; the message is one line that names the file
     */
    public void writePng(Path file) throws IOException {
        PngFile.write(file, png());
    }

    /**
     * The picture in another size: the middle of the same shape is cut out and resized by Lanczos' filter.
     *
     * @throws IllegalArgumentException if a side is not 1 to 8192
     */
    public Picture fitted(int newWidth, int newHeight) {
        requireSides(newWidth, newHeight);
        if (newWidth == width && newHeight == height) {
            return this;
        }
        double scale = Math.max((double) newWidth / width, (double) newHeight / height);
        double cutWidth = newWidth / scale;
        double cutHeight = newHeight / scale;
        Lanczos across = new Lanczos((width - cutWidth) / 2, cutWidth, width, newWidth);
        Lanczos down = new Lanczos((height - cutHeight) / 2, cutHeight, height, newHeight);
        float[] wide = across.rows(rgb, height);
        float[] high = down.columns(wide, newWidth);
        byte[] resized = new byte[high.length];
        for (int i = 0; i < high.length; i++) {
            resized[i] = (byte) Math.clamp(Math.round(high[i]), 0, 255);
        }
        return new Picture(newWidth, newHeight, resized);
    }

    /** What control nets take: [3][height][width], 0 to 1. */
    float[] unitPlanes() {
        return unitPlanes(0, 0, width, height);
    }

    /**
     * A part of it, [3][height][width], 0 to 1. Beyond the picture its last rows and columns go on.
     *
     * @param left first column
     * @param top first row
     */
    float[] unitPlanes(int left, int top, int partWidth, int partHeight) {
        float[] planes = new float[3 * partWidth * partHeight];
        for (int i = 0; i < planes.length; i++) {
            int x = Math.min(left + i % partWidth, width - 1);
            int y = Math.min(top + i / partWidth % partHeight, height - 1);
            planes[i] = (rgb[3 * (y * width + x) + i / (partWidth * partHeight)] & 0xff) / 255f;
        }
        return planes;
    }

    /**
     * The edges in this picture, white on black, for control nets that read such; see {@link Canny}.
     *
     * @throws IllegalArgumentException if a threshold is not 0 to 1
     */
    public Picture edges(Canny canny) {
        return canny.edges(this);
    }

    /** What the VAE's encoder takes: [3][height][width], -1 to 1. */
    float[] planes() {
        return planes(null);
    }

    /** The same with 0, grey, where the mask is light. */
    float[] planes(@Nullable Picture mask) {
        int pixels = width * height;
        float[] planes = new float[rgb.length];
        for (int p = 0; p < pixels; p++) {
            if (mask == null || mask.lightness(p % width, p / width) <= 0.5f) {
                for (int c = 0; c < 3; c++) {
                    planes[c * pixels + p] = (rgb[3 * p + c] & 0xff) / 127.5f - 1;
                }
            }
        }
        return planes;
    }

    /** The mean of a pixel's colours, 0 to 1. */
    float lightness(int x, int y) {
        int p = 3 * (y * width + x);
        return ((rgb[p] & 0xff) + (rgb[p + 1] & 0xff) + (rgb[p + 2] & 0xff)) / (3 * 255f);
    }

    /**
     * This picture with another one over it: all of the other where the mask is white, nothing where it is black.
     *
     * @param other of the same size, as is {@code mask}
     */
    Picture under(Picture other, Picture mask) {
        byte[] mixed = new byte[rgb.length];
        for (int i = 0; i < mixed.length; i++) {
            float share = mask.lightness(i / 3 % width, i / 3 / width);
            mixed[i] = (byte) Math.round(share * (other.rgb[i] & 0xff) + (1 - share) * (rgb[i] & 0xff));
        }
        return new Picture(width, height, mixed);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Picture picture
                && picture.width == width
                && picture.height == height
                && Arrays.equals(picture.rgb, rgb);
    }

    @Override
    public int hashCode() {
        return 31 * width + Arrays.hashCode(rgb);
    }

    @Override
    public String toString() {
        return width + "x" + height;
    }
}
