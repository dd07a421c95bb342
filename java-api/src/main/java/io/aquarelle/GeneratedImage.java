package io.aquarelle;

import io.aquarelle.plan.Work;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;

/** A finished image, 8 bits each of red, green and blue, and what it was made from. Immutable. */
public final class GeneratedImage {
    private final int width;
    private final int height;
    private final byte[] rgb;
    private final long seed;
    private final String infotext;
    private final int unetCalls;
    private final Work work;

    /**
     * Copies {@code rgb}.
     *
     * @param rgb [height][width][3]
     */
    GeneratedImage(int width, int height, byte[] rgb, long seed, String infotext, int unetCalls, Work work) {
        if (width < 1 || height < 1 || rgb.length != 3L * width * height) {
            throw new IllegalArgumentException(
                    "an image of " + width + "x" + height + " pixels can't be made of " + rgb.length + " bytes");
        }
        this.width = width;
        this.height = height;
        this.rgb = rgb.clone();
        this.seed = seed;
        this.infotext = infotext;
        this.unetCalls = unetCalls;
        this.work = work;
    }

    /** Pixels in a row. */
    public int width() {
        return width;
    }

    /** Evaluations of the UNet that it took, with and without the prompt counted apart. */
    public int unetCalls() {
        return unetCalls;
    }

    /** What these evaluations did, all together: less than the whole UNet where the request had a plan. */
    public Work work() {
        return work;
    }

    /** Rows. */
    public int height() {
        return height;
    }

    /** A new array [height][width][3] of red, green and blue, rows from top to bottom. */
    public byte[] rgb() {
        return rgb.clone();
    }

    /** The seed of this image, an unsigned number; each image of a batch has its own. */
    public long seed() {
        return seed;
    }

    /** The same picture, enlarged, with another infotext. */
    GeneratedImage enlarged(Picture picture, String newInfotext) {
        return new GeneratedImage(picture.width(), picture.height(), picture.rgb(), seed, newInfotext, unetCalls, work);
    }

    /** Prompt and settings in the form of A1111's web UI, which other programs read back into theirs. */
    public String infotext() {
        return infotext;
    }

    /** The same without what it was made from. */
    public Picture picture() {
        return Picture.of(width, height, rgb);
    }

    /** A new image of type {@link BufferedImage#TYPE_INT_RGB}. */
    public BufferedImage toBufferedImage() {
        return PngFile.image(width, height, rgb);
    }

    /** A PNG file with {@link #infotext} in a text chunk named {@code parameters}, where A1111 puts it. */
    public byte[] png() {
        return PngFile.bytes(width, height, rgb, infotext);
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
}
