package io.aquarelle.demo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.GeneratedImage;
import io.aquarelle.ImageRequest;
import io.aquarelle.Pipeline;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DemoModelTest {
    private static final int SIDE = 128;

    @TempDir
    private Path folder;

    @Test
    void itIsUnpackedOnceAndMendedWhenCutShort() throws IOException {
        Path file = DemoModel.file(folder);
        byte[] packed;
        try (var in = Objects.requireNonNull(DemoModel.class.getResourceAsStream("emoji.safetensors"))) {
            packed = in.readAllBytes();
        }
        assertTrue(packed.length <= 30_000_000, packed.length + " bytes");
        assertArrayEquals(packed, Files.readAllBytes(file));

        var time = Files.getLastModifiedTime(file);
        assertEquals(file, DemoModel.file(folder));
        assertEquals(time, Files.getLastModifiedTime(file));

        Files.write(file, new byte[100]);
        assertArrayEquals(packed, Files.readAllBytes(DemoModel.file(folder)));
        try (var files = Files.list(file.getParent())) {
            assertEquals(1, files.count());
        }
    }

    @Test
    void aCacheThatCannotBeMadeIsNamed() throws IOException {
        Path occupied = Files.writeString(folder.resolve("occupied"), "");
        IOException failure = assertThrows(IOException.class, () -> DemoModel.file(occupied));
        assertTrue(failure.getMessage().contains(occupied.toString()), failure.getMessage());
    }

    @Test
    void promptsAndSeedsMakeADifferenceAndAnyPromptDraws() throws IOException {
        try (Pipeline pipeline = Pipeline.open(DemoModel.file())) {
            assertEquals(SIDE, pipeline.spec().imageSize());
            byte[] apple = draw(pipeline, "red apple", 1);
            assertArrayEquals(apple, draw(pipeline, "red apple", 1));
            assertFalse(Arrays.equals(apple, draw(pipeline, "red apple", 2)));
            assertTrue(difference(apple, draw(pipeline, "octopus", 1)) > 5);
            for (String prompt : new String[] {"", "zyzzyva qwertz", "ein roter Apfel", "🍎", "(red apple:1.2)"}) {
                byte[] rgb = draw(pipeline, prompt, 3);
                assertTrue(difference(rgb, new byte[rgb.length]) > 5, prompt); // not black
            }
        }
    }

    @Test
    void anAppleIsRedAndItsBackgroundAsAsked() throws IOException {
        try (Pipeline pipeline = Pipeline.open(DemoModel.file())) {
            byte[] apple = draw(pipeline, "red apple", 42);
            double[] middle = mean(apple, 48, 80);
            assertTrue(middle[0] > middle[1] + 60 && middle[0] > middle[2] + 60, Arrays.toString(middle));
            assertTrue(Arrays.stream(mean(apple, 0, 6)).allMatch(value -> value > 220));
            double[] corner = mean(draw(pipeline, "red apple on a blue background", 42), 0, 6);
            assertTrue(corner[2] > corner[0] + 60 && corner[2] > corner[1] + 40, Arrays.toString(corner));
        }
    }

    private static byte[] draw(Pipeline pipeline, String prompt, long seed) {
        ImageRequest request = pipeline.request(prompt).seed(seed).build();
        GeneratedImage image = pipeline.generate(request).getFirst();
        return image.rgb();
    }

    /** The mean of differences. */
    private static double difference(byte[] a, byte[] b) {
        long sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += Math.abs((a[i] & 0xff) - (b[i] & 0xff));
        }
        return (double) sum / a.length;
    }

    /** The mean colour of the square between two coordinates. */
    private static double[] mean(byte[] rgb, int from, int to) {
        double[] mean = new double[3];
        for (int y = from; y < to; y++) {
            for (int x = from; x < to; x++) {
                for (int c = 0; c < 3; c++) {
                    mean[c] += (rgb[3 * (y * SIDE + x) + c] & 0xff) / (double) ((to - from) * (to - from));
                }
            }
        }
        return mean;
    }
}
