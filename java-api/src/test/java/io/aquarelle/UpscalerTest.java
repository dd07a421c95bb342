package io.aquarelle;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.Progress.Phase;
import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.Convolution;
import io.aquarelle.model.EditableModel;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.ModelFormatException;
import io.aquarelle.model.NanoModel;
import io.aquarelle.plan.Work;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class UpscalerTest {
    private static final EngineOptions OPTIONS = EngineOptions.ofThreads(2);
    private static final EngineOptions DIRECT = new EngineOptions(2, Convolution.DIRECT);

    @TempDir
    Path folder;

    private static Upscaler open(String name, String ending, EngineOptions options) throws IOException {
        return Upscaler.open(NanoModel.golden("upscaler-nano-" + name, ending), options);
    }

    /** Random values over a slope, so that tiles differ. */
    private static Picture noise(int width, int height) {
        byte[] rgb = new byte[3 * width * height];
        Random random = new Random(width + 31L * height);
        for (int i = 0; i < rgb.length; i++) {
            rgb[i] = (byte) (random.nextInt(128) + 127 * (i / 3 % width) / width);
        }
        return Picture.of(width, height, rgb);
    }

    @ParameterizedTest
    @CsvSource({"x4, .safetensors, 5, 7", "x2, .pth, 6, 8", "x1, .safetensors, 8, 4", "old, .pth, 5, 7"})
    void picturesAreTheGoldenOnes(String name, String ending, int height, int width) throws IOException {
        byte[] rgb = new byte[3 * height * width];
        for (int i = 0; i < rgb.length; i++) {
            int x = i / 3 % width;
            rgb[i] = (byte) (4 * ((7 * (i % 3) + 13 * (i / 3 / width) + 29 * x) % 64));
        }
        try (Upscaler upscaler = open(name, ending, OPTIONS);
                Checkpoint golden = Checkpoint.open(NanoModel.golden("upscaler-nano-golden"))) {
            Picture large = upscaler.upscale(Picture.of(width, height, rgb));
            assertEquals(width * upscaler.scale(), large.width());
            float[] planes = NanoModel.floats(golden, name);
            for (int i = 0; i < planes.length; i++) {
                planes[i] = 2 * planes[i] - 1;
            }
            byte[] expected = Picture.of(large.width(), large.height(), planes).rgb();
            byte[] actual = large.rgb();
            for (int i = 0; i < expected.length; i++) {
                assertEquals(expected[i] & 0xff, actual[i] & 0xff, 1, "byte " + i); // half a step rounds either way
            }
        }
    }

    /** The network sees 19 pixels far, and no tile counts nearer than 80 / 4 to where it was cut. */
    @Test
    void tilesThatOverlapByMoreThanTheNetworkSeesGiveTheWholePicture() throws IOException {
        try (Upscaler upscaler = open("old", ".pth", DIRECT)) {
            for (Picture picture : List.of(noise(700, 5), noise(5, 701), noise(401, 399))) {
                Picture whole = upscaler.upscale(picture, 1, 0, ProgressListener.NONE);
                Picture tiled = upscaler.upscale(picture, 1, 320, ProgressListener.NONE);
                assertArrayEquals(whole.rgb(), tiled.rgb(), picture.toString());
            }
        }
    }

    /** Sizes are in pixels that the network sees, of which each may be several. */
    @ParameterizedTest
    @CsvSource({"x4, .safetensors, 1", "x2, .pth, 2", "x1, .safetensors, 4", "old, .pth, 1"})
    void smallTilesGiveNearlyTheWholePicture(String name, String ending, int folded) throws IOException {
        try (Upscaler upscaler = open(name, ending, OPTIONS)) {
            Picture picture = noise(101 * folded, 67 * folded - 1);
            Picture whole = upscaler.upscale(picture, 1, 0, ProgressListener.NONE);
            assertEquals(picture.width() * upscaler.scale(), whole.width());
            assertEquals(picture.height() * upscaler.scale(), whole.height());
            for (int tile : new int[] {32, 45, 64}) {
                List<Progress> told = new ArrayList<>();
                Picture tiled = upscaler.upscale(picture, 1, tile * folded, told::add);
                assertTrue(whole.psnr(tiled) > 45, tile + ": " + whole.psnr(tiled));
                Progress end = told.getLast();
                assertEquals(new Progress(Phase.UPSCALE, 0, end.total(), end.total()), end);
                assertEquals(end.total() + 1, told.size());
                assertTrue(end.total() >= 4, end.toString());
            }
        }
    }

    @Test
    void sidesNeedNotBeMultiplesOfWhatTheNetworkFolds() throws IOException {
        try (Upscaler upscaler = open("x1", ".safetensors", OPTIONS)) {
            byte[] rgb = new byte[3 * 5 * 7];
            Arrays.fill(rgb, (byte) 90);
            Picture odd = Picture.of(5, 7, rgb);
            byte[] wide = new byte[3 * 8 * 8];
            Arrays.fill(wide, (byte) 90);
            byte[] expected = upscaler.upscale(Picture.of(8, 8, wide)).rgb();
            Picture actual = upscaler.upscale(odd);
            assertEquals("5x7", actual.toString());
            for (int y = 0; y < 7; y++) {
                assertArrayEquals(
                        Arrays.copyOfRange(expected, 3 * 8 * y, 3 * (8 * y + 5)),
                        Arrays.copyOfRange(actual.rgb(), 3 * 5 * y, 3 * 5 * (y + 1)));
            }
        }
    }

    @Test
    void repeatsEnlargeWhatTheOneBeforeGave() throws IOException {
        try (Upscaler upscaler = open("old", ".pth", OPTIONS)) {
            Picture picture = noise(20, 10);
            List<Progress> told = new ArrayList<>();
            Picture twice = upscaler.upscale(picture, 2, 0, told::add);
            assertEquals(upscaler.upscale(upscaler.upscale(picture)), twice);
            assertEquals("80x40", twice.toString());
            assertEquals(List.of(0, 0, 1, 1), told.stream().map(Progress::image).toList());
        }
    }

    @Test
    void generatedImagesTellOfIt() throws IOException {
        try (Upscaler upscaler = open("x4", ".safetensors", OPTIONS)) {
            Picture picture = noise(9, 8);
            var image = new GeneratedImage(9, 8, picture.rgb(), 42, "x\nSteps: 2", 4, Work.NONE);
            GeneratedImage large = upscaler.upscale(image, 2, 0, ProgressListener.NONE);
            assertArrayEquals(
                    upscaler.upscale(picture, 2, 0, ProgressListener.NONE).rgb(), large.rgb());
            assertEquals(
                    "x\nSteps: 2, Postprocess upscale by: 16, Postprocess upscaler: upscaler-nano-x4",
                    large.infotext());
            assertEquals(List.of(144, 128, 4), List.of(large.width(), large.height(), large.unetCalls()));
            assertEquals(42, large.seed());
        }
    }

    @Test
    void whatCannotBeEnlargedIsRefusedBeforeItStarts() throws IOException {
        try (Upscaler upscaler = open("x4", ".safetensors", OPTIONS)) {
            ProgressListener none = told -> {
                throw new AssertionError(told);
            };
            Picture picture = noise(513, 2);
            for (int tile : new int[] {-1, 1, 15, 8193, Integer.MIN_VALUE, Integer.MAX_VALUE}) {
                assertThrows(IllegalArgumentException.class, () -> upscaler.upscale(picture, 1, tile, none));
            }
            for (int repeats : new int[] {0, -1, 3, 1000, Integer.MAX_VALUE, Integer.MIN_VALUE}) {
                assertThrows(IllegalArgumentException.class, () -> upscaler.upscale(picture, repeats, 128, none));
            }
            var failure =
                    assertThrows(IllegalArgumentException.class, () -> upscaler.upscale(noise(1, 2049), 1, 128, none));
            assertTrue(failure.getMessage().contains("4x8196"), failure.getMessage());
        }
    }

    @Test
    void cancellingEndsIt() throws IOException {
        try (Upscaler upscaler = open("x4", ".safetensors", OPTIONS)) {
            Picture picture = noise(100, 100);
            assertThrows(
                    GenerationCancelledException.class,
                    () -> upscaler.upscale(picture, 1, 16, told -> {
                        assertTrue(told.step() < 4);
                        if (told.step() == 3) {
                            upscaler.cancel();
                        }
                    }));
            assertEquals(400, upscaler.upscale(picture).width());
        }
    }

    @Test
    void aClosedOneRefuses() throws IOException {
        Upscaler upscaler = open("x4", ".safetensors", OPTIONS);
        upscaler.close();
        upscaler.close();
        assertThrows(IllegalStateException.class, () -> upscaler.upscale(noise(9, 9)));
    }

    @Test
    void filesThatAreNoUpscalerAreRefused() throws IOException {
        assertThrows(ModelFormatException.class, () -> open("golden", ".safetensors", OPTIONS));
        EditableModel grey = EditableModel.of("upscaler-nano-x4");
        grey.tensors.computeIfPresent(
                "conv_first.weight",
                (name, it) -> new EditableModel.Tensor(List.of(8L, 1L, 3L, 3L), Arrays.copyOf(it.values(), 72)));
        grey.tensors.computeIfPresent(
                "conv_last.weight",
                (name, it) -> new EditableModel.Tensor(List.of(1L, 8L, 3L, 3L), Arrays.copyOf(it.values(), 72)));
        grey.tensors.remove("conv_last.bias");
        Path file = grey.write(folder.resolve("grey.safetensors"));
        var failure = assertThrows(ModelFormatException.class, () -> Upscaler.open(file));
        assertTrue(failure.getMessage().contains("1 channels"), failure.getMessage());
    }

    @Test
    void weightsThatAreNoNumbersAreNoPicture() throws IOException {
        EditableModel broken = EditableModel.of("upscaler-nano-x4");
        broken.tensors.get("body.1.rdb2.conv3.weight").values()[17] = Float.NaN;
        try (Upscaler upscaler = Upscaler.open(broken.write(folder.resolve("nan.safetensors")), OPTIONS)) {
            var failure = assertThrows(IllegalStateException.class, () -> upscaler.upscale(noise(9, 9)));
            assertTrue(failure.getMessage().contains("no numbers"), failure.getMessage());
        }
    }

    @Test
    void picturesAreWrittenAsPngFiles() throws IOException {
        Picture picture = noise(31, 17);
        Path file = folder.resolve("picture.png");
        picture.writePng(file);
        assertEquals(picture, Picture.read(file));
        assertThrows(IOException.class, () -> picture.writePng(folder));
        assertThrows(IOException.class, () -> picture.writePng(folder.resolve("no/picture.png")));
    }
}
