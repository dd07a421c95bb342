package io.aquarelle.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.model.UNet.Condition;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Model files in which convolutions have several kernels. */
class ExpertKernelsTest {
    private static final String LAYER = ModelSpec.UNET_PREFIX + "output_blocks.1.0.in_layers.2";

    @TempDir
    Path folder;

    /** The nano model with two experts, both the kernel of one layer, and a router that is 0. */
    private Path write(Map<String, String> metadata) throws IOException {
        Path out = folder.resolve("experts.safetensors");
        try (Checkpoint nano = Checkpoint.open(NanoModel.golden("sd1-nano"))) {
            List<TensorInfo> tensors = new ArrayList<>();
            Map<String, ByteBuffer> values = new HashMap<>();
            for (TensorInfo tensor : nano.tensors().values()) {
                ByteBuffer bytes = nano.data(tensor).asByteBuffer();
                TensorInfo stored = tensor;
                if (tensor.name().startsWith(LAYER + ".")) {
                    String name = tensor.name().replace(LAYER, LAYER + ".experts");
                    stored = new TensorInfo(name, DataType.F16, List.of(2L, tensor.elements()));
                    bytes = ByteBuffer.allocate(2 * bytes.remaining())
                            .put(bytes.duplicate())
                            .put(bytes.duplicate())
                            .flip();
                    if (tensor.shape().size() == 4) {
                        TensorInfo router = new TensorInfo(
                                LAYER + ".router.weight",
                                DataType.F16,
                                List.of(2L, tensor.shape().get(1)));
                        tensors.add(router);
                        values.put(router.name(), ByteBuffer.allocate((int) router.byteSize()));
                    }
                }
                tensors.add(stored);
                values.put(stored.name(), bytes);
            }
            Map<String, String> all = new HashMap<>(nano.metadata());
            all.putAll(metadata);
            try (SafetensorsWriter writer = new SafetensorsWriter(out, tensors, all)) {
                for (TensorInfo tensor : tensors) {
                    writer.write(tensor, 0, values.get(tensor.name()));
                }
                writer.commit();
            }
        }
        return out;
    }

    private static float[] evaluate(Path file) throws IOException {
        try (Checkpoint model = Checkpoint.open(file);
                Checkpoint golden = Checkpoint.open(NanoModel.golden("sd1-nano-golden"));
                Engine engine = Engine.create(EngineOptions.ofThreads(2));
                Weights weights = Weights.of(model);
                UNet unet = UNet.create(
                        engine,
                        weights,
                        ModelSpec.UNET_PREFIX,
                        ModelSpec.of(model).heads())) {
            Condition text = Condition.ofText(NanoModel.floats(golden, "text.cond"), 77);
            return unet.evaluate(NanoModel.floats(golden, "unet.x"), new float[] {500}, text, 16, 16, null);
        }
    }

    @Test
    void equalExpertsAreThePlainKernelToTheBit() throws IOException {
        // Both take a half: of softmax as of sigmoid.
        float[] plain = evaluate(NanoModel.golden("sd1-nano"));
        for (String activation : List.of("softmax", "sigmoid")) {
            assertArrayEquals(plain, evaluate(write(Map.of("condconv.activation", activation))), activation);
        }
        assertArrayEquals(plain, evaluate(write(Map.of("condconv.router_input", "gap"))));
    }

    @Test
    void unknownRoutersAreRefused() throws IOException {
        for (var wrong : Map.of("condconv.activation", "tanh", "condconv.router_input", "max")
                .entrySet()) {
            Path file = write(Map.of(wrong.getKey(), wrong.getValue()));
            var failure = assertThrows(ModelFormatException.class, () -> evaluate(file));
            assertTrue(failure.getMessage().contains("'" + wrong.getValue() + "'"), failure.getMessage());
            assertEquals(1, failure.getMessage().lines().count());
        }
    }
}
