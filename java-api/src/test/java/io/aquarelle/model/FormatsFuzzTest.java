package io.aquarelle.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Damaged files of every format read with all data inside the file, or with a ModelFormatException; in no other way.
 * {@code -Daquarelle.mutants=N} tries N a format.
 */
class FormatsFuzzTest {
    private static final int MUTANTS = Integer.getInteger("aquarelle.mutants", 100_000);

    /** Models of several files are opened, which takes longer. */
    private static final int FOLDERS = Integer.getInteger("aquarelle.mutants", 500);

    private static final Path PATH = Path.of("model");

    @TempDir
    private Path folder;

    /** Numbers at which readers go wrong. */
    private static final long[] NUMBERS = {
        0,
        1,
        -1,
        2,
        31,
        32,
        255,
        256,
        65535,
        1L << 31,
        (1L << 31) - 1,
        1L << 32,
        1L << 61,
        Long.MAX_VALUE,
        Long.MIN_VALUE
    };

    private enum Format {
        GGUF,
        ZIP,
        LEGACY;

        byte[] example() {
            return switch (this) {
                case GGUF ->
                    new RawGguf(3, 3, 4)
                            .entry("general.name", "nano")
                            .text("general.alignment")
                            .i32(4)
                            .i32(32)
                            .text("list")
                            .i32(9)
                            .i32(8)
                            .i64(2)
                            .text("x")
                            .text("y")
                            .text("comfy.gguf.orig_shape.k")
                            .i32(9)
                            .i32(5)
                            .i64(3)
                            .i32(2)
                            .i32(2)
                            .i32(8)
                            .tensor("out.2.weight", 0, 0, 4)
                            .tensor("input_blocks.0.0.weight", 1, 32, 4, 2)
                            .tensor("k", 0, 64, 16, 2)
                            .data(32, 192);
                case ZIP -> RawTorch.zip(tensors(), Map.of("epoch", "3"));
                case LEGACY -> RawTorch.legacy(tensors(), Map.of("epoch", "3"));
            };
        }

        private static Map<String, RawTorch.Tensor> tensors() {
            Map<String, RawTorch.Tensor> tensors = new LinkedHashMap<>();
            tensors.put("out.2.weight", RawTorch.Tensor.of(DataType.F32, List.of(2L), new byte[8]));
            tensors.put("input_blocks.0.0.weight", RawTorch.Tensor.of(DataType.F16, List.of(1L, 2L), new byte[4]));
            tensors.put("k", new RawTorch.Tensor("ByteStorage", List.of(2L, 3L), List.of(1L, 2L), new byte[6], 1));
            return tensors;
        }
    }

    @ParameterizedTest
    @EnumSource
    void damagedFilesReadSafelyOrAreRefused(Format format) {
        mutate(MUTANTS, format.example(), FormatsFuzzTest::read);
    }

    @Test
    void damagedIndexesReadSafelyOrAreRefused() throws IOException {
        String shard = "model-0000%d-of-00002.safetensors";
        for (int i = 1; i <= 2; i++) {
            String tensor = RawSafetensors.tensor("t" + i, "F16", "[2]", 0, 4);
            Files.write(folder.resolve(shard.formatted(i)), RawSafetensors.file("{" + tensor + "}", 4));
        }
        String index = "{\"metadata\": {\"total_size\": 8}, \"weight_map\": {\"t1\": \"" + shard.formatted(1)
                + "\", \"t2\": \"" + shard.formatted(2) + "\"}}";
        Path file = folder.resolve("model.safetensors.index.json");
        mutate(FOLDERS, index.getBytes(StandardCharsets.UTF_8), bytes -> {
            Files.write(file, bytes);
            Checkpoint.open(file).close();
        });
    }

    @ParameterizedTest
    @ValueSource(strings = {"unet", "vae", "text_encoder", "scheduler"})
    void damagedSettingsReadSafelyOrAreRefused(String part) throws IOException {
        Map<String, String> settings = Map.of(
                "unet", "{\"attention_head_dim\": [5, 10], \"block_out_channels\": [320, 640]}",
                "vae", "{\"_class_name\": \"AutoencoderKL\", \"scaling_factor\": 0.18215}",
                "text_encoder", "{\"num_attention_heads\": 4, \"hidden_act\": \"gelu\"}",
                "scheduler", "{\"_class_name\": \"DDIMScheduler\", \"prediction_type\": \"v_prediction\"}");
        Map<String, String> tensors = Map.of(
                "unet", "conv_in.weight",
                "vae", "decoder.conv_in.weight",
                "text_encoder", "text_model.embeddings.token_embedding.weight");
        for (var network : tensors.entrySet()) {
            String stem = network.getKey().startsWith("text") ? "model" : "diffusion_pytorch_model";
            String header = "{" + RawSafetensors.tensor(network.getValue(), "F16", "[2,1]", 0, 4) + "}";
            Path to = Files.createDirectory(folder.resolve(network.getKey()));
            Files.write(to.resolve(stem + ".safetensors"), RawSafetensors.file(header, 4));
        }
        Files.createDirectory(folder.resolve("scheduler"));
        Files.writeString(folder.resolve("model_index.json"), "{\"_class_name\": \"StableDiffusionPipeline\"}");
        Path file = folder.resolve(part).resolve(part.equals("scheduler") ? "scheduler_config.json" : "config.json");
        mutate(FOLDERS, settings.get(part).getBytes(StandardCharsets.UTF_8), bytes -> {
            Files.write(file, bytes);
            try (Checkpoint model = Checkpoint.open(folder)) {
                assertThrows(ModelFormatException.class, () -> ModelSpec.of(model)); // as it has no whole UNet
            }
        });
    }

    @FunctionalInterface
    private interface Use {
        void use(byte[] file) throws IOException;
    }

    private void mutate(int count, byte[] whole, Use use) {
        var random = new SplittableRandom(2026);
        int good = 0;
        for (int i = 0; i < count; i++) {
            byte[] bytes = mutant(whole, random, i % 5);
            try {
                use.use(bytes);
                good++;
            } catch (ModelFormatException e) {
                assertTrue(
                        (e.getMessage().startsWith(PATH + " ") || e.getMessage().startsWith(folder + "/"))
                                && e.getMessage().lines().count() == 1
                                && e.getMessage().length() < 1000,
                        e.getMessage());
            } catch (Throwable e) {
                fail("mutant " + i + ": " + Arrays.toString(bytes), e);
            }
        }
        // Both ends happen, or the mutations test nothing.
        int read = good;
        assertTrue(read > count / 100, () -> "only " + read + " read");
        assertTrue(read < count * 3 / 4, () -> "as many as " + read + " read");
    }

    private static void read(byte[] bytes) throws ModelFormatException {
        MemorySegment file = MemorySegment.ofArray(bytes);
        var contents =
                CanonicalModel.of(PATH, List.of(new CanonicalModel.Part(ModelReader.read(PATH, file), Set.of())));
        for (TensorSource tensor : contents.tensors().values()) {
            assertTrue(!tensor.copies() || tensor.info().byteSize() <= bytes.length, "a copy larger than the file");
            MemorySegment values = tensor.values(Arena.ofAuto());
            assertEquals(tensor.info().byteSize(), values.byteSize());
            if (!tensor.copies()) {
                long begin = values.address() - file.address();
                assertTrue(0 <= begin && begin + values.byteSize() <= bytes.length, tensor.toString());
            }
        }
    }

    private static byte[] mutant(byte[] whole, SplittableRandom random, int kind) {
        byte[] bytes = whole.clone();
        switch (kind) {
            case 0 -> {
                for (int n = random.nextInt(1, 4); n > 0; n--) {
                    bytes[random.nextInt(bytes.length)] ^= (byte) (1 << random.nextInt(8));
                }
            }
            case 1 -> bytes[random.nextInt(bytes.length)] = (byte) random.nextInt(256);
            case 2 -> bytes = Arrays.copyOf(whole, random.nextInt(whole.length + 20));
            case 3 -> { // a number that is too large, too small or negative
                long number = NUMBERS[random.nextInt(NUMBERS.length)];
                int width = random.nextBoolean() ? 4 : 8;
                int at = random.nextInt(bytes.length - width);
                for (int b = 0; b < width; b++) {
                    bytes[at + b] = (byte) (number >> 8 * b);
                }
            }
            default -> { // a part of the file in another place
                int length = random.nextInt(1, 30);
                int from = random.nextInt(bytes.length - length);
                int to = random.nextInt(bytes.length - length);
                System.arraycopy(whole, from, bytes, to, length);
            }
        }
        return bytes;
    }
}
