package io.aquarelle.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.model.EditableModel.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Upscalers in all layouts against PyTorch, and files that are none. */
class RrdbNetTest extends EngineTest {
    /** What the golden pictures were made of; see the README beside them. */
    private static float[] picture(int height, int width) {
        float[] planes = new float[3 * height * width];
        for (int i = 0; i < planes.length; i++) {
            int c = i / (height * width);
            planes[i] = 4 * ((7 * c + 13 * (i / width % height) + 29 * (i % width)) % 64) / 255f;
        }
        return planes;
    }

    private RrdbNet open(Path file) throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(file);
                Weights weights = Weights.of(checkpoint)) {
            return RrdbNet.create(engine, weights);
        }
    }

    private void verify(Path file, String golden, int height, int width) throws IOException {
        try (RrdbNet network = open(file);
                Checkpoint pictures = Checkpoint.open(NanoModel.golden("upscaler-nano-golden"))) {
            float[] output = network.upscale(picture(height, width), height, width, 0, null);
            assertArrayEquals(NanoModel.floats(pictures, golden), output, 2e-4f);
            assertEquals(output.length, 3 * height * width * network.scale() * network.scale());
        }
    }

    /** Names of BasicSR, those in the dictionary of its checkpoints, and those of ESRGAN's first code. */
    @ParameterizedTest
    @CsvSource({
        "upscaler-nano-x4,   .safetensors, x4,  5, 7, 4, 1, 2",
        "upscaler-nano-x2,   .pth,         x2,  6, 8, 2, 2, 1",
        "upscaler-nano-x1,   .safetensors, x1,  8, 4, 1, 4, 1",
        "upscaler-nano-old,  .pth,         old, 5, 7, 2, 1, 1"
    })
    void goldenPictures(
            String name, String ending, String golden, int height, int width, int scale, int multiple, int blocks)
            throws IOException {
        Path file = NanoModel.golden(name, ending);
        verify(file, golden, height, width);
        try (RrdbNet network = open(file)) {
            assertEquals(
                    List.of(3, scale, multiple, blocks),
                    List.of(network.channels(), network.scale(), network.multiple(), network.blocks()));
        }
    }

    private Path renamed(UnaryOperator<String> name) throws IOException {
        EditableModel model = EditableModel.of("upscaler-nano-x4");
        Map<String, Tensor> renamed = new LinkedHashMap<>();
        model.tensors.forEach((old, tensor) -> renamed.put(name.apply(old), tensor));
        return EditableModel.write(folder.resolve("renamed.safetensors"), renamed, Map.of());
    }

    @Test
    void otherLayoutsOfTheSameTensors() throws IOException {
        Path second = renamed(name -> name.replace("conv_body", "trunk_conv")
                .replace("conv_up", "upconv")
                .replace("conv_hr", "HRconv")
                .replace("body.", "RRDB_trunk.")
                .replace(".rdb", ".RDB"));
        verify(second, "x4", 5, 7);
        Path first = renamed(
                name -> name.replaceFirst("body\\.(\\d+)\\.rdb(\\d)\\.conv(\\d)", "model.1.sub.$1.RDB$2.conv$3.0")
                        .replace("conv_first", "model.0")
                        .replace("conv_body", "model.1.sub.2")
                        .replace("conv_up1", "model.3")
                        .replace("conv_up2", "model.6")
                        .replace("conv_hr", "model.8")
                        .replace("conv_last", "model.10"));
        verify(first, "x4", 5, 7);
        verify(renamed(name -> "module." + name), "x4", 5, 7);
    }

    @Test
    void averagedWeightsGoBeforeTheLastOnes() throws IOException {
        EditableModel model = EditableModel.of("upscaler-nano-x4");
        Map<String, Tensor> both = new LinkedHashMap<>();
        model.tensors.forEach((name, tensor) -> {
            both.put("params." + name, new Tensor(tensor.shape(), new float[tensor.values().length]));
            both.put("params_ema." + name, tensor);
        });
        verify(EditableModel.write(folder.resolve("both.safetensors"), both, Map.of()), "x4", 5, 7);
    }

    @ParameterizedTest
    @ValueSource(strings = {"upscaler-nano-x4.safetensors", "upscaler-nano-old.pth"})
    void convertedFilesHoldTheSame(String file) throws IOException {
        String name = file.substring(0, file.indexOf('.'));
        Path gguf = folder.resolve("upscaler.gguf");
        try (Checkpoint checkpoint = Checkpoint.open(NanoModel.golden(name, file.substring(name.length())))) {
            Conversion.write(checkpoint, StoredTypes.of(DataType.F16), gguf, (bytes, total) -> {});
        }
        verify(gguf, name.substring("upscaler-nano-".length()), 5, 7);
    }

    private void refused(String words, Consumer<Map<String, Tensor>> change) throws IOException {
        EditableModel model = EditableModel.of("upscaler-nano-x4");
        change.accept(model.tensors);
        Path file = model.write(folder.resolve("hostile.safetensors"));
        var failure = assertThrows(ModelFormatException.class, () -> open(file));
        assertTrue(failure.getMessage().contains(words), failure.getMessage());
        assertTrue(failure.getMessage().contains(file.toString()), failure.getMessage());
        Files.delete(file); // nothing holds it
    }

    private static Tensor zeros(long... shape) {
        int count = (int) Arrays.stream(shape).reduce(1, Math::multiplyExact);
        return new Tensor(Arrays.stream(shape).boxed().toList(), new float[count]);
    }

    @Test
    void filesThatAreNoUpscalerAreRefused() throws IOException {
        refused("no upscaler", all -> all.remove("conv_first.weight"));
        refused("'body.0.rdb1.conv1.weight' is missing", all -> all.keySet().removeIf(it -> it.startsWith("body.")));
        refused("'body.1.rdb1.conv1.weight' is missing", all -> {
            all.keySet().removeIf(it -> it.startsWith("body.1."));
            all.put("body.7.rdb1.conv1.weight", zeros(4, 8, 3, 3));
        });
        refused("'body.1.rdb3.conv5.weight' is missing", all -> all.remove("body.1.rdb3.conv5.weight"));
        refused("'conv_last.weight' is missing", all -> all.remove("conv_last.weight"));
        refused("'conv_body.weight' has shape", all -> all.put("conv_body.weight", zeros(8, 9, 3, 3)));
        refused("expected 3 x 3", all -> all.put("conv_hr.weight", zeros(8, 8, 5, 5)));
        refused("'conv_first.weight' has 27 inputs", all -> all.put("conv_first.weight", zeros(8, 27, 3, 3)));
        refused("doubles pictures 4 times", all -> {
            all.put("conv_up3.weight", zeros(8, 8, 3, 3));
            all.put("conv_up4.weight", zeros(8, 8, 3, 3));
        });
    }

    @Test
    void badCallsAreRefused() throws IOException {
        try (RrdbNet network = open(NanoModel.golden("upscaler-nano-x2", ".pth"))) {
            float[] picture = picture(6, 8);
            assertThrows(IllegalArgumentException.class, () -> network.upscale(picture, 8, 8, 0, null));
            assertThrows(IllegalArgumentException.class, () -> network.upscale(picture, 16, 3, 0, null));
            assertThrows(IllegalArgumentException.class, () -> network.upscale(picture, -6, -8, 0, null));
            assertThrows(IllegalArgumentException.class, () -> network.upscale(picture, 6, 8, -1, null));
            assertThrows(IllegalArgumentException.class, () -> network.memory(0, 8));
            long needed = network.memory(6, 8);
            assertThrows(InsufficientMemoryException.class, () -> network.upscale(picture, 6, 8, needed - 1, null));
            assertEquals(3 * 12 * 16, network.upscale(picture, 6, 8, needed, null).length);
            assertTrue(network.profile().contains("conv 3x3"), network.profile());
            CallControl control = new CallControl();
            control.cancel();
            assertThrows(CancellationException.class, () -> network.upscale(picture, 6, 8, 0, control));
        }
        RrdbNet closed = open(NanoModel.golden("upscaler-nano-x2", ".pth"));
        closed.close();
        assertThrows(IllegalStateException.class, () -> closed.upscale(picture(6, 8), 6, 8, 0, null));
    }
}
