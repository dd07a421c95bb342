package io.aquarelle;

import io.aquarelle.plan.Work;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.ThreadLocalRandom;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageTypeSpecifier;
import javax.imageio.ImageWriter;
import javax.imageio.metadata.IIOInvalidTreeException;
import javax.imageio.metadata.IIOMetadata;
import javax.imageio.metadata.IIOMetadataNode;
import javax.imageio.stream.MemoryCacheImageOutputStream;

/** A finished image, 8 bits each of red, green and blue, and what it was made from. Immutable. */
public final class GeneratedImage {
    /** What ImageIO calls its tree of a PNG file's chunks. */
    private static final String PNG_CHUNKS = "javax_imageio_png_1.0";

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

    /** Prompt and settings in the form of A1111's web UI, which other programs read back into theirs. */
    public String infotext() {
        return infotext;
    }

    /** A new image of type {@link BufferedImage#TYPE_INT_RGB}. */
    public BufferedImage toBufferedImage() {
        int[] pixels = new int[width * height];
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = (rgb[3 * i] & 0xff) << 16 | (rgb[3 * i + 1] & 0xff) << 8 | rgb[3 * i + 2] & 0xff;
        }
        var image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
        image.getRaster().setDataElements(0, 0, width, height, pixels);
        return image;
    }

    /** A PNG file with {@link #infotext} in a text chunk named {@code parameters}, where A1111 puts it. */
    public byte[] png() {
        BufferedImage image = toBufferedImage();
        ImageWriter writer = pngWriter();
        var bytes = new ByteArrayOutputStream();
        try (var stream = new MemoryCacheImageOutputStream(bytes)) {
            IIOMetadata chunks =
                    writer.getDefaultImageMetadata(ImageTypeSpecifier.createFromRenderedImage(image), null);
            chunks.mergeTree(PNG_CHUNKS, infotextChunk());
            writer.setOutput(stream);
            writer.write(new IIOImage(image, null, chunks));
        } catch (IOException e) {
            throw new UncheckedIOException(e); // nothing here leaves memory
        } finally {
            writer.dispose();
        }
        return bytes.toByteArray();
    }

    /** The JDK's writer or one that takes the same chunks; a plug-in on the class path may know others. */
    private static ImageWriter pngWriter() {
        var writers = ImageIO.getImageWritersByFormatName("png");
        while (writers.hasNext()) {
            ImageWriter writer = writers.next();
            if (PNG_CHUNKS.equals(writer.getOriginatingProvider().getNativeImageMetadataFormatName())) {
                return writer;
            }
        }
        throw new IllegalStateException(
                "this Java runtime can't write PNG files; use one with the module java.desktop");
    }

    /** tEXt, which every program reads but which holds Latin-1 only, or else iTXt, which holds UTF-8. */
    private IIOMetadataNode infotextChunk() throws IIOInvalidTreeException {
        boolean latin = StandardCharsets.ISO_8859_1.newEncoder().canEncode(infotext);
        var entry = new IIOMetadataNode(latin ? "tEXtEntry" : "iTXtEntry");
        entry.setAttribute("keyword", "parameters");
        if (latin) {
            entry.setAttribute("value", infotext);
        } else {
            entry.setAttribute("compressionFlag", "FALSE");
            entry.setAttribute("compressionMethod", "0");
            entry.setAttribute("languageTag", "");
            entry.setAttribute("translatedKeyword", "");
            entry.setAttribute("text", infotext);
        }
        var chunk = new IIOMetadataNode(latin ? "tEXt" : "iTXt");
        chunk.appendChild(entry);
        var root = new IIOMetadataNode(PNG_CHUNKS);
        root.appendChild(chunk);
        return root;
    }

    /**
     * Writes {@link #png} to a file, which appears complete or not at all; until then an older one stays.
     *
     * @throws IOException if the folder does not exist or cannot be written to, its disk is full, or {@code file} is a
     *     folder or a device; the message is one line that names the file
     */
    public void writePng(Path file) throws IOException {
        byte[] png = png();
        Path target = target(file);
        Path hidden = target.resolveSibling(
                ".aquarelle-%016x.part".formatted(ThreadLocalRandom.current().nextLong()));
        try {
            write(hidden, png);
            Files.move(hidden, target, StandardCopyOption.ATOMIC_MOVE);
        } catch (FileSystemException e) {
            String reason = e.getReason() == null ? "its folder takes no new files; choose another" : e.getReason();
            throw new IOException(file + " cannot be written: " + reason, e);
        } catch (IOException e) {
            throw new IOException(file + " cannot be written: " + e.getMessage(), e);
        } finally {
            Files.deleteIfExists(hidden);
        }
    }

    private static void write(Path file, byte[] bytes) throws IOException {
        try (var channel = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            ByteBuffer rest = ByteBuffer.wrap(bytes);
            while (rest.hasRemaining()) {
                channel.write(rest);
            }
            channel.force(true); // the rename must not reach the disk before the content
        }
    }

    /** Follows a link, so that the file that it points to is replaced. */
    private static Path target(Path file) throws IOException {
        if (Files.exists(file)) {
            if (!Files.isRegularFile(file)) {
                throw new IOException(file + " is not a file; choose another name");
            }
            return file.toRealPath();
        }
        Path absolute = file.toAbsolutePath();
        if (absolute.getParent() == null || !Files.isDirectory(absolute.getParent())) {
            throw new NoSuchFileException(file.toString(), null, "its folder does not exist; create it first");
        }
        return absolute;
    }
}
