package io.aquarelle;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.stream.ImageInputStream;
import org.jspecify.annotations.Nullable;

/** Reads picture files of whatever origin: formats that the JDK decodes in Java, of sizes that are known before. */
final class PictureReader {
    private static final List<String> FORMATS = List.of("png", "jpeg", "gif", "bmp");

    private PictureReader() {}

    static Picture read(Path file) throws IOException {
        if (!Files.exists(file)) {
            throw new IOException(file + ": no such file");
        }
        if (!Files.isRegularFile(file)) {
            throw new IOException(file + " is not a file; name a picture");
        }
        try (ImageInputStream stream = ImageIO.createImageInputStream(file.toFile())) {
            if (stream == null) {
                throw new IOException(file + " cannot be read");
            }
            ImageReader reader = reader(stream);
            if (reader == null) {
                throw new IOException(file + " is no picture that can be read; use PNG, JPEG, GIF or BMP");
            }
            try {
                return read(file, stream, reader);
            } finally {
                reader.dispose();
            }
        }
    }

    private static Picture read(Path file, ImageInputStream stream, ImageReader reader) throws IOException {
        int width;
        int height;
        try {
            reader.setInput(stream, true, true); // without metadata, which may unpack to any size
            width = reader.getWidth(0);
            height = reader.getHeight(0);
        } catch (IOException | RuntimeException e) {
            throw damaged(file, e);
        }
        if (width > Picture.MAX_SIDE || height > Picture.MAX_SIDE) {
            throw new IOException(file + " is a picture of " + width + "x" + height + "; sides of at most "
                    + Picture.MAX_SIDE + " can be read: shrink it first");
        }
        try {
            return Picture.of(reader.read(0));
        } catch (IOException | RuntimeException e) {
            throw damaged(file, e);
        }
    }

    private static @Nullable ImageReader reader(ImageInputStream stream) throws IOException {
        Iterator<ImageReader> readers = ImageIO.getImageReaders(stream);
        while (readers.hasNext()) {
            ImageReader reader = readers.next();
            if (FORMATS.contains(reader.getFormatName().toLowerCase(Locale.ROOT))) {
                return reader;
            }
            reader.dispose();
        }
        return null;
    }

    private static IOException damaged(Path file, Exception cause) {
        String reason = cause.getMessage() == null ? cause.toString() : cause.getMessage();
        return new IOException(
                file + " is damaged or of a kind that can't be read: "
                        + reason.lines().findFirst().orElse(""),
                cause);
    }
}
