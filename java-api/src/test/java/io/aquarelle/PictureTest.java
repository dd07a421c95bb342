package io.aquarelle;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.zip.CRC32;
import java.util.zip.DeflaterOutputStream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PictureTest {
    @TempDir
    Path folder;

    /** The values that Pillow was given. */
    private static Picture pattern(int width, int height) {
        byte[] rgb = new byte[3 * width * height];
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                for (int c = 0; c < 3; c++) {
                    int value = 37 * x + 91 * y + 53 * c * (x + 1) + x * y % 7 * 19;
                    rgb[3 * (y * width + x) + c] = (byte) value;
                }
            }
        }
        return Picture.of(width, height, rgb);
    }

    // Image.resize of Pillow 13.0.0 with LANCZOS, in float ("F"), of the box that is the middle of the new shape.
    @ParameterizedTest
    @CsvSource({
        "6, 4, 3, 2, 80 160 157 92 156 102 120 166 127 97 172 106 123 137 78 116 89 76",
        "3, 2, 6, 4, 0 31 61 0 45 131 4 84 241 31 170 255 47 236 191 54 255 136 17 63 112 26 90 150 46 139 206 79 190 198"
                + " 99 203 132 108 204 89 65 106 177 76 148 175 101 212 160 142 217 106 167 159 54 178 120 27 101 138 227"
                + " 114 192 193 143 255 125 190 237 36 218 126 0 231 55 0",
        "9, 4, 4, 4, 93 150 45 130 77 101 160 237 110 232 158 125 103 161 96 2 142 124 90 119 155 158 125 207 135 192 81"
                + " 122 70 93 112 183 55 217 184 145 217 112 48 50 74 50 113 0 56 175 101 61",
        "4, 7, 2, 2, 95 168 122 127 157 84 137 155 108 136 91 115",
    })
    void fittingEqualsPillows(int width, int height, int newWidth, int newHeight, String expected) {
        Picture fitted = pattern(width, height).fitted(newWidth, newHeight);
        assertEquals(newWidth, fitted.width());
        assertEquals(newHeight, fitted.height());
        String[] values = expected.split(" ");
        byte[] rgb = fitted.rgb();
        assertEquals(values.length, rgb.length);
        for (int i = 0; i < values.length; i++) {
            assertEquals(Integer.parseInt(values[i]), rgb[i] & 0xff, 1, "value " + i);
        }
    }

    @Test
    void aPictureOfTheSizeStaysAsItIs() {
        Picture picture = pattern(5, 3);
        assertArrayEquals(picture.rgb(), picture.fitted(5, 3).rgb());
        assertEquals(picture, pattern(5, 3));
        assertFalse(picture.equals(pattern(3, 5)));
    }

    @Test
    void filesOfEveryFormatAreRead() throws IOException {
        Picture picture = pattern(20, 10);
        BufferedImage image = image(picture, BufferedImage.TYPE_INT_RGB);
        for (String format : List.of("png", "bmp")) {
            assertEquals(picture, Picture.read(write(image, format)), format);
        }
        Picture grey = Picture.read(write(image(picture, BufferedImage.TYPE_BYTE_GRAY), "jpeg"));
        assertEquals(20, grey.width());
        assertEquals(10, Picture.read(write(image, "gif")).height());
    }

    @Test
    void greyIsWhatTheFileSays() throws IOException {
        var image = new BufferedImage(256, 1, BufferedImage.TYPE_BYTE_GRAY);
        for (int x = 0; x < 256; x++) {
            image.getRaster().setSample(x, 0, 0, x);
        }
        byte[] rgb = Picture.read(write(image, "png")).rgb();
        for (int i = 0; i < rgb.length; i++) {
            assertEquals(i / 3, rgb[i] & 0xff);
        }
        var deep = new BufferedImage(2, 1, BufferedImage.TYPE_USHORT_GRAY);
        deep.getRaster().setSample(0, 0, 0, 0x8000);
        deep.getRaster().setSample(1, 0, 0, 0xffff);
        assertArrayEquals(
                new byte[] {127, 127, 127, -1, -1, -1},
                Picture.read(write(deep, "png")).rgb());
    }

    @Test
    void whatIsTransparentIsWhite() throws IOException {
        var image = new BufferedImage(3, 1, BufferedImage.TYPE_INT_ARGB);
        image.setRGB(0, 0, 0x00123456);
        image.setRGB(1, 0, 0xff123456);
        image.setRGB(2, 0, 0x80000000);
        byte[] expected = {-1, -1, -1, 0x12, 0x34, 0x56, 127, 127, 127};
        assertArrayEquals(expected, Picture.read(write(image, "png")).rgb());
        assertArrayEquals(expected, Picture.of(image).rgb());
    }

    @Test
    void theSignalToNoiseRatioIsThatOfTheWholeRange() {
        Picture grey = Picture.of(2, 1, new byte[] {100, 100, 100, 100, 100, 100});
        Picture other = Picture.of(2, 1, new byte[] {125, 75, 126, 100, 100, 100});
        assertEquals(Double.POSITIVE_INFINITY, grey.psnr(grey));
        assertEquals(10 * Math.log10(255 * 255 * 6.0 / (25 * 25 + 25 * 25 + 26 * 26)), grey.psnr(other), 1e-9);
        assertEquals(grey.psnr(other), other.psnr(grey));
        assertThrows(IllegalArgumentException.class, () -> grey.psnr(Picture.of(1, 2, new byte[6])));
    }

    @Test
    void aMaskMixesTwoPictures() {
        Picture under = Picture.of(3, 1, new byte[] {10, 20, 30, 10, 20, 30, 10, 20, 30});
        Picture over = Picture.of(3, 1, new byte[] {90, 90, 90, 90, 90, 90, 90, 90, 90});
        Picture mask = Picture.of(3, 1, new byte[] {0, 0, 0, -1, -1, -1, 51, 51, 51});
        assertArrayEquals(
                new byte[] {10, 20, 30, 90, 90, 90, 26, 34, 42},
                under.under(over, mask).rgb());
    }

    @Test
    void planesAreGreyUnderTheMask() {
        Picture picture = Picture.of(2, 1, new byte[] {0, -1, 51, 0, -1, 51});
        assertArrayEquals(new float[] {-1, -1, 1, 1, -0.6f, -0.6f}, picture.planes(), 1e-6f);
        Picture mask = Picture.of(2, 1, new byte[] {127, 127, 127, -128, -128, -128});
        assertArrayEquals(new float[] {-1, 0, 1, 0, -0.6f, 0}, picture.planes(mask), 1e-6f);
    }

    @Test
    void arraysOfTheWrongSizeAreRefused() {
        assertThrows(IllegalArgumentException.class, () -> Picture.of(2, 2, new byte[11]));
        assertThrows(IllegalArgumentException.class, () -> Picture.of(0, 2, new byte[0]));
        assertThrows(IllegalArgumentException.class, () -> Picture.of(100_000, 100_000, new byte[0]));
        assertThrows(IllegalArgumentException.class, () -> pattern(2, 2).fitted(0, 5));
    }

    @Test
    void filesThatAreNoPicturesAreRefusedByName() throws IOException {
        assertRefused(folder.resolve("none.png"), "no such file");
        assertRefused(folder, "not a file");
        assertRefused(Files.write(folder.resolve("empty.png"), new byte[0]), "PNG, JPEG, GIF or BMP");
        assertRefused(Files.writeString(folder.resolve("text.png"), "hello"), "PNG, JPEG, GIF or BMP");
    }

    /** 4 GB of pixels in 60 bytes: refused by its header. */
    @Test
    void hugePicturesAreRefusedBeforeTheyAreDecoded() throws IOException {
        assertRefused(png("wide.png", 65_000, 65_000, new byte[0]), "65000x65000", "8192");
        assertRefused(png("max.png", Integer.MAX_VALUE, 1, new byte[0]), "2147483647x1");
    }

    /** Else a damaged text would be noticed, and a packed one take any memory. */
    @Test
    void metadataIsNotUnpacked() throws IOException {
        byte[] notPacked = "title\0\0not deflated".getBytes(StandardCharsets.ISO_8859_1);
        assertEquals(2, Picture.read(png("text.png", 2, 2, notPacked)).width());
    }

    @Test
    void damagedFilesAreRefusedByName() throws IOException {
        Random random = new Random(3);
        BufferedImage image = image(pattern(40, 30), BufferedImage.TYPE_INT_RGB);
        for (String format : List.of("png", "jpeg", "gif", "bmp")) {
            byte[] good = Files.readAllBytes(write(image, format));
            Path file = folder.resolve("damaged." + format);
            for (int round = 0; round < 200; round++) {
                byte[] bad = Arrays.copyOf(good, round % 2 == 0 ? good.length : 8 + random.nextInt(good.length - 8));
                for (int i = 0; i < 1 + round % 5; i++) {
                    bad[4 + random.nextInt(bad.length - 4)] = (byte) random.nextInt();
                }
                Files.write(file, bad);
                try {
                    Picture.read(file);
                } catch (IOException e) {
                    assertTrue(e.getMessage().startsWith(file.toString()), e.getMessage());
                    assertEquals(1, e.getMessage().lines().count(), e.getMessage());
                }
            }
        }
    }

    private static void assertRefused(Path file, String... words) {
        String message =
                assertThrows(IOException.class, () -> Picture.read(file)).getMessage();
        assertTrue(message.startsWith(file.toString()), message);
        for (String word : words) {
            assertTrue(message.contains(word), message);
        }
    }

    private static BufferedImage image(Picture picture, int type) {
        var image = new BufferedImage(picture.width(), picture.height(), type);
        byte[] rgb = picture.rgb();
        for (int p = 0; p < rgb.length / 3; p++) {
            int value = (rgb[3 * p] & 0xff) << 16 | (rgb[3 * p + 1] & 0xff) << 8 | rgb[3 * p + 2] & 0xff;
            image.setRGB(p % picture.width(), p / picture.width(), value);
        }
        return image;
    }

    private Path write(BufferedImage image, String format) throws IOException {
        Path file = folder.resolve("picture." + format);
        assertTrue(ImageIO.write(image, format, file.toFile()), format);
        return file;
    }

    /** A PNG file of black pixels, as many as fit into a megabyte, with a zTXt chunk if there is any text. */
    private Path png(String name, int width, int height, byte[] text) throws IOException {
        var header = new ByteArrayOutputStream();
        var fields = new DataOutputStream(header);
        fields.writeInt(width);
        fields.writeInt(height);
        fields.write(new byte[] {8, 2, 0, 0, 0});
        var pixels = new ByteArrayOutputStream();
        try (var deflater = new DeflaterOutputStream(pixels)) {
            deflater.write(new byte[(int) Math.min(1 << 20, (3L * width + 1) * height)]);
        }
        var file = new ByteArrayOutputStream();
        file.write(new byte[] {(byte) 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'});
        chunk(file, "IHDR", header.toByteArray());
        if (text.length > 0) {
            chunk(file, "zTXt", text);
        }
        chunk(file, "IDAT", pixels.toByteArray());
        chunk(file, "IEND", new byte[0]);
        return Files.write(folder.resolve(name), file.toByteArray());
    }

    private static void chunk(ByteArrayOutputStream file, String type, byte[] content) throws IOException {
        var crc = new CRC32();
        crc.update(type.getBytes(StandardCharsets.ISO_8859_1));
        crc.update(content);
        var out = new DataOutputStream(file);
        out.writeInt(content.length);
        out.writeBytes(type);
        out.write(content);
        out.writeInt((int) crc.getValue());
    }
}
