package io.aquarelle.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Damaged files of every format read with all data inside the file, or with a ModelFormatException; in no other way. */
class FormatsFuzzTest {
    private static final int MUTANTS = 100_000;
    private static final Path PATH = Path.of("model");

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
        byte[] whole = format.example();
        var random = new SplittableRandom(2026);
        int good = 0;
        for (int i = 0; i < MUTANTS; i++) {
            byte[] bytes = mutant(whole, random, i % 5);
            try {
                read(bytes);
                good++;
            } catch (ModelFormatException e) {
                assertTrue(
                        e.getMessage().contains("model")
                                && e.getMessage().lines().count() == 1
                                && e.getMessage().length() < 1000,
                        e.getMessage());
            } catch (Throwable e) {
                fail("mutant " + i + ": " + Arrays.toString(bytes), e);
            }
        }
        // Both ends happen, or the mutations test nothing.
        int read = good;
        assertTrue(read > MUTANTS / 100, () -> "only " + read + " read");
        assertTrue(read < MUTANTS * 3 / 4, () -> "as many as " + read + " read");
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
