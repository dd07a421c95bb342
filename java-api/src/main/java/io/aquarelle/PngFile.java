package io.aquarelle;

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
import org.jspecify.annotations.Nullable;

/** Makes PNG files and writes them whole. */
final class PngFile {
    /** What ImageIO calls its tree of a PNG file's chunks. */
    private static final String PNG_CHUNKS = "javax_imageio_png_1.0";

    private PngFile() {}

    /** A new image of type {@link BufferedImage#TYPE_INT_RGB} of [height][width][3]. */
    static BufferedImage image(int width, int height, byte[] rgb) {
        int[] pixels = new int[width * height];
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = (rgb[3 * i] & 0xff) << 16 | (rgb[3 * i + 1] & 0xff) << 8 | rgb[3 * i + 2] & 0xff;
        }
        var image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
        image.getRaster().setDataElements(0, 0, width, height, pixels);
        return image;
    }

    /**
     * The bytes of a PNG file.
     *
     * @param rgb [height][width][3]
     * @param infotext for a text chunk named {@code parameters}; null for none
     */
    static byte[] bytes(int width, int height, byte[] rgb, @Nullable String infotext) {
        BufferedImage image = image(width, height, rgb);
        ImageWriter writer = pngWriter();
        var bytes = new ByteArrayOutputStream();
        try (var stream = new MemoryCacheImageOutputStream(bytes)) {
            IIOMetadata chunks =
                    writer.getDefaultImageMetadata(ImageTypeSpecifier.createFromRenderedImage(image), null);
            if (infotext != null) {
                chunks.mergeTree(PNG_CHUNKS, infotextChunk(infotext));
            }
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
    private static IIOMetadataNode infotextChunk(String infotext) throws IIOInvalidTreeException {
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
     * Writes a file that appears complete or not at all; until then an older one stays.
     *
     * @throws IOException if the folder does not exist or cannot be written to, its disk is full, or {@code file} is a
     *     folder or a device; the message is one line that names the file
     */
    static void write(Path file, byte[] png) throws IOException {
        Path target = target(file);
        Path hidden = target.resolveSibling(
                ".aquarelle-%016x.part".formatted(ThreadLocalRandom.current().nextLong()));
        try {
            writeNew(hidden, png);
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

    private static void writeNew(Path file, byte[] bytes) throws IOException {
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
