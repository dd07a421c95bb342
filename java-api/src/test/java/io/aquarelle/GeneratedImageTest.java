package io.aquarelle;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.aquarelle.plan.Work;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.zip.CRC32;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GeneratedImageTest {
    private static final byte[] SIX_PIXELS = {
        0,
        1,
        2,
        (byte) 255,
        (byte) 254,
        (byte) 253,
        10,
        20,
        30,
        (byte) 128,
        (byte) 127,
        0,
        0,
        0,
        (byte) 200,
        5,
        (byte) 250,
        5
    };

    @TempDir
    Path folder;

    private static GeneratedImage image(String infotext) {
        return new GeneratedImage(3, 2, SIX_PIXELS, 42, infotext, 8, Work.NONE);
    }

    @Test
    void pixelsStandInRowsFromTheTopInABufferedImage() {
        BufferedImage image = image("").toBufferedImage();
        assertEquals(3, image.getWidth());
        assertEquals(2, image.getHeight());
        assertEquals(0xff000102, image.getRGB(0, 0));
        assertEquals(0xfffffefd, image.getRGB(1, 0));
        assertEquals(0xff0a141e, image.getRGB(2, 0));
        assertEquals(0xff807f00, image.getRGB(0, 1));
        assertEquals(0xff0000c8, image.getRGB(1, 1));
        assertEquals(0xff05fa05, image.getRGB(2, 1));
    }

    @Test
    void pngHoldsThePixelsUnchanged() throws IOException {
        byte[] rgb = new byte[3 * 40 * 24];
        new Random(1).nextBytes(rgb);
        BufferedImage read = ImageIO.read(
                new ByteArrayInputStream(new GeneratedImage(40, 24, rgb, 0, "a prompt", 8, Work.NONE).png()));
        for (int i = 0; i < 40 * 24; i++) {
            int expected = (rgb[3 * i] & 0xff) << 16 | (rgb[3 * i + 1] & 0xff) << 8 | rgb[3 * i + 2] & 0xff;
            assertEquals(expected, read.getRGB(i % 40, i / 40) & 0xffffff, "pixel " + i);
        }
    }

    @Test
    void pngIsEightBitRgbWithoutAlpha() throws IOException {
        ByteBuffer header = ByteBuffer.wrap(chunks(image("x").png()).get("IHDR"));
        assertEquals(3, header.getInt());
        assertEquals(2, header.getInt());
        assertEquals(8, header.get(), "bits");
        assertEquals(2, header.get(), "colour type");
    }

    @Test
    void latinInfotextIsATextChunk() throws IOException {
        String infotext = "crème brûlée\nSteps: 20, Sampler: Euler a";
        Map<String, byte[]> chunks = chunks(image(infotext).png());
        assertArrayEquals(("parameters\0" + infotext).getBytes(StandardCharsets.ISO_8859_1), chunks.get("tEXt"));
        assertFalse(chunks.containsKey("iTXt"));
    }

    @Test
    void otherInfotextIsAnUncompressedUtf8Chunk() throws IOException {
        String infotext = "красное яблоко, りんご, 🍎\nSteps: 20, Sampler: Euler a";
        Map<String, byte[]> chunks = chunks(image(infotext).png());
        assertArrayEquals(
                ("parameters\0" + "\0\0" + "\0" + "\0" + infotext).getBytes(StandardCharsets.UTF_8),
                chunks.get("iTXt"));
        assertFalse(chunks.containsKey("tEXt"));
    }

    @Test
    void laterChangesOfArraysDoNotReachTheImage() {
        byte[] rgb = SIX_PIXELS.clone();
        var image = new GeneratedImage(3, 2, rgb, 42, "", 8, Work.NONE);
        Arrays.fill(rgb, (byte) 99);
        Arrays.fill(image.rgb(), (byte) 99);
        assertArrayEquals(SIX_PIXELS, image.rgb());
    }

    @Test
    void bytesMustMatchTheSize() {
        assertThrows(IllegalArgumentException.class, () -> new GeneratedImage(3, 3, SIX_PIXELS, 0, "", 8, Work.NONE));
        assertThrows(IllegalArgumentException.class, () -> new GeneratedImage(0, 2, new byte[0], 0, "", 8, Work.NONE));
        assertThrows(IllegalArgumentException.class, () -> new GeneratedImage(-3, -2, SIX_PIXELS, 0, "", 8, Work.NONE));
        // 3 * 65536 * 65536 is 0 in 32 bits
        assertThrows(
                IllegalArgumentException.class,
                () -> new GeneratedImage(65536, 65536, new byte[0], 0, "", 8, Work.NONE));
    }

    @Test
    void writePngReplacesAFileAndLeavesNothingElse() throws IOException {
        Path file = Files.writeString(folder.resolve("out.png"), "old");
        image("new").writePng(file);
        assertArrayEquals(image("new").png(), Files.readAllBytes(file));
        assertEquals(List.of(file), listing());
    }

    @Test
    void writePngFollowsALink() throws IOException {
        Path file = Files.writeString(folder.resolve("real.png"), "old");
        Path link = Files.createSymbolicLink(folder.resolve("link.png"), Path.of("real.png"));
        image("new").writePng(link);
        assertTrue(Files.isSymbolicLink(link));
        assertArrayEquals(image("new").png(), Files.readAllBytes(file));
    }

    @Test
    void writePngTakesARelativeName() throws IOException {
        Path relative =
                Path.of("").toAbsolutePath().relativize(folder.toAbsolutePath().resolve("out.png"));
        image("x").writePng(relative);
        assertEquals(List.of(folder.resolve("out.png")), listing());
    }

    @Test
    void writePngRefusesAFolder() throws IOException {
        Path file = Files.createDirectory(folder.resolve("out.png"));
        requireFailure(file, "not a file");
        assertEquals(List.of(file), listing());
    }

    @Test
    void writePngRefusesAMissingFolder() throws IOException {
        requireFailure(folder.resolve("missing").resolve("out.png"), "its folder does not exist");
        assertEquals(List.of(), listing());
    }

    @Test
    void writePngTellsOfAFolderThatTakesNoFiles() {
        assumeTrue(Files.isDirectory(Path.of("/proc/self")), "only Linux has such a folder for everybody");
        requireFailure(Path.of("/proc/out.png"), "takes no new files");
    }

    @Test
    void afterAFailureNothingIsLeft() throws IOException {
        // The hidden file can be written; no file system takes the final name.
        requireFailure(folder.resolve("x".repeat(300) + ".png"), "cannot be written");
        assertEquals(List.of(), listing());
    }

    private static void requireFailure(Path file, String reason) {
        IOException failure = assertThrows(IOException.class, () -> image("x").writePng(file));
        assertTrue(failure.getMessage().contains(file.toString()), failure.getMessage());
        assertTrue(failure.getMessage().contains(reason), failure.getMessage());
        assertFalse(failure.getMessage().contains("\n"), failure.getMessage());
    }

    private List<Path> listing() throws IOException {
        try (var files = Files.list(folder)) {
            return files.toList();
        }
    }

    /** The chunks of a PNG file by type, checked against their sums; the data of repeated types is joined. */
    private static Map<String, byte[]> chunks(byte[] png) throws IOException {
        ByteBuffer buffer = ByteBuffer.wrap(png);
        assertEquals(0x89504e470d0a1a0aL, buffer.getLong());
        Map<String, byte[]> chunks = new LinkedHashMap<>();
        while (buffer.hasRemaining()) {
            byte[] typeAndData = new byte[buffer.getInt() + 4];
            buffer.get(typeAndData);
            CRC32 sum = new CRC32();
            sum.update(typeAndData);
            assertEquals((int) sum.getValue(), buffer.getInt());
            var joined = new ByteArrayOutputStream();
            String type = new String(typeAndData, 0, 4, StandardCharsets.US_ASCII);
            joined.write(chunks.getOrDefault(type, new byte[0]));
            joined.write(typeAndData, 4, typeAndData.length - 4);
            chunks.put(type, joined.toByteArray());
        }
        return chunks;
    }
}
