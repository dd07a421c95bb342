package io.aquarelle.model;

import static io.aquarelle.model.RawSafetensors.file;
import static io.aquarelle.model.RawSafetensors.tensor;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Damaged files open with all data inside the file, or with a ModelFormatException, and in no other way. */
class SafetensorsFuzzTest {
    private static final int MUTANTS = Integer.getInteger("aquarelle.mutants", 100_000);
    private static final int DATA = 44;
    private static final String HEADER = "{\"__metadata__\":{\"family\":\"sd1\",\"note\":\"h\\u00e9 \\ud83d\\ude00\"},"
            + tensor("model.a.weight", "F16", "[2,3,1,1]", 0, 12) + ","
            + tensor("model.a.bias", "F32", "[2]", 12, 20) + ","
            + tensor("ids", "I64", "[1,3]", 20, 44) + "," + tensor("empty", "U8", "[0]", 44, 44) + "}   ";

    /** What numbers, strings and structure of a header may be replaced by. */
    private static final String[] SPLICES = ("0¦1¦-1¦-0¦2¦12¦44¦4294967296¦9223372036854775807¦9223372036854775808"
                    + "¦18446744073709551615¦18446744073709551616¦1.5¦0.0¦1e308¦1e309¦1" + "0".repeat(400)
                    + "¦null¦true¦[]¦{}¦[[]]¦" + "[".repeat(200) + "¦" + "{\"a\":".repeat(200)
                    + "¦\"\"¦\"F16\"¦\"F64\"¦\"BOOL\"¦\"dtype\"¦\"shape\"¦\"data_offsets\"¦\"__metadata__\""
                    + "¦\"\\u0000\"¦\"\\ud800\"¦\uFFFD¦\u202e¦é¦😀¦\\¦\"¦,¦:¦[¦]¦{¦}¦ ¦\0¦\n")
            .split("¦");

    @TempDir
    private Path folder;

    @Test
    void damagedHeadersReadSafelyOrAreRefused() {
        int read = mutate(MUTANTS, SafetensorsFuzzTest::read);

        // Both ends happen, or the mutations test nothing.
        assertTrue(read > MUTANTS / 100, () -> "only " + read + " read");
        assertTrue(read < MUTANTS / 2, () -> "as many as " + read + " read");
    }

    @Test
    void damagedFilesOpenSafelyOrAreRefused() {
        mutate(MUTANTS / 25, this::open);
    }

    private static void read(byte[] bytes) throws IOException {
        MemorySegment file = MemorySegment.ofArray(bytes);
        for (TensorSource tensor :
                SafetensorsReader.read(Path.of("model"), file).tensors().values()) {
            contents(tensor, file);
        }
    }

    private void open(byte[] bytes) throws IOException {
        Path path = Files.write(folder.resolve("model"), bytes);
        try (var model = Checkpoint.open(path)) {
            MemorySegment file = MemorySegment.ofArray(bytes);
            var tensors = SafetensorsReader.read(path, file).tensors();
            for (TensorInfo tensor : model.tensors().values()) {
                assertArrayEquals(
                        contents(tensors.get(tensor.name()), file),
                        model.data(tensor).toArray(ValueLayout.JAVA_BYTE));
            }
        }
    }

    /** The bytes of a tensor, which must lie behind the header and have the tensor's size. */
    private static byte[] contents(TensorSource tensor, MemorySegment file) {
        MemorySegment values = tensor.values(Arena.ofAuto());
        long begin = values.address() - file.address();
        assertTrue(8 < begin && begin + values.byteSize() <= file.byteSize(), tensor.toString());
        assertEquals(tensor.info().byteSize(), values.byteSize());
        return values.toArray(ValueLayout.JAVA_BYTE);
    }

    @FunctionalInterface
    private interface Use {
        void use(byte[] file) throws IOException;
    }

    /** How many mutants went through {@code use}; all others must fail in the one way that is allowed. */
    private static int mutate(int count, Use use) {
        var random = new SplittableRandom(2026);
        int good = 0;
        for (int i = 0; i < count; i++) {
            byte[] bytes = mutant(random, i % 6);
            try {
                use.use(bytes);
                good++;
            } catch (ModelFormatException e) {
                assertTrue(
                        e.getMessage().contains("model")
                                && e.getMessage().lines().count() == 1,
                        e.getMessage());
            } catch (RuntimeException | Error | IOException e) {
                fail("mutant " + i + ": " + new String(bytes, StandardCharsets.ISO_8859_1), e);
            }
        }
        return good;
    }

    private static byte[] mutant(SplittableRandom random, int kind) {
        byte[] whole = file(HEADER, DATA);
        return switch (kind) {
            case 0 -> flipped(whole, random);
            case 1 -> Arrays.copyOf(whole, random.nextInt(whole.length + 20));
            case 2 -> noise(random);
            case 3 -> {
                // The header damaged, its length right.
                byte[] header = HEADER.getBytes(StandardCharsets.UTF_8);
                yield file(flipped(header, random), DATA);
            }
            case 4 -> file(spliced(random, token(random)), DATA);
            default -> file(spliced(random, new int[] {0, 0}), DATA + random.nextInt(3) - 1);
        };
    }

    private static byte[] flipped(byte[] bytes, SplittableRandom random) {
        byte[] copy = bytes.clone();
        for (int n = random.nextInt(1, 4); n > 0; n--) {
            copy[random.nextInt(copy.length)] ^= (byte) (1 << random.nextInt(8));
        }
        return copy;
    }

    private static byte[] noise(SplittableRandom random) {
        byte[] bytes = new byte[random.nextInt(300)];
        random.nextBytes(bytes);
        if (bytes.length >= 8 && random.nextBoolean()) {
            // A plausible length, so that the noise is taken for a header.
            Arrays.fill(bytes, 0, 8, (byte) 0);
            bytes[0] = (byte) random.nextInt(bytes.length);
        }
        return bytes;
    }

    /** The header with one or two places, of which the first may be given, replaced. */
    private static String spliced(SplittableRandom random, int[] place) {
        String header = HEADER;
        int[] range = place;
        for (int n = random.nextInt(1, 3); n > 0; n--) {
            if (range[1] == 0 || range[1] > header.length()) {
                int start = random.nextInt(header.length());
                range = new int[] {start, start + random.nextInt(Math.min(6, header.length() - start + 1))};
            }
            header = header.substring(0, range[0])
                    + SPLICES[random.nextInt(SPLICES.length)]
                    + header.substring(range[1]);
            range = new int[] {0, 0};
        }
        return header;
    }

    /** Begin and end of a number or string in the header. */
    private static int[] token(SplittableRandom random) {
        var tokens =
                Pattern.compile("\\d+|\"[^\"]*\"").matcher(HEADER).results().toList();
        var token = tokens.get(random.nextInt(tokens.size()));
        return new int[] {token.start(), token.end()};
    }
}
