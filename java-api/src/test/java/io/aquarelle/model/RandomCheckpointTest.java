package io.aquarelle.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class RandomCheckpointTest {
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /** Small layers of a real model, and one tensor that takes several blocks. */
    private static final List<RandomTensor> TENSORS = List.of(
            new RandomTensor("norm.weight", List.of(320L), 1, 0),
            new RandomTensor("norm.bias", List.of(320L), 0, 0.02f),
            new RandomTensor("conv.weight", List.of(64L, 40L, 3L, 3L), 0, (float) (1 / Math.sqrt(360))),
            new RandomTensor("linear.weight", List.of(1025L, 2049L), 0, (float) (1 / Math.sqrt(2049))));

    @TempDir
    private Path folder;

    private Path out;

    @BeforeEach
    void nameTheFile() {
        out = folder.resolve("random.safetensors");
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "F16", "BF16"})
    void valuesHaveTheirScale(DataType type) throws Exception {
        write(TENSORS, type, 7, 2, RandomCheckpointTest::ignore);

        try (var model = Checkpoint.open(out)) {
            for (RandomTensor tensor : TENSORS) {
                TensorInfo info = model.tensors().get(tensor.name());
                assertEquals(type, info.type());
                assertEquals(tensor.shape(), info.shape());
                float[] values = values(model, info);
                double mean = mean(values, 1);
                double deviation = Math.sqrt(mean(values, 2) - mean * mean);
                // Four standard errors of the mean and of the deviation, and the rounding of the type.
                double error = 4 / Math.sqrt(values.length) + 1e-4;
                assertEquals(tensor.mean(), mean, error * tensor.deviation());
                assertEquals(tensor.deviation(), deviation, error * tensor.deviation());
            }
        }
    }

    /** Probabilities of the normal distribution within one, two, three and four deviations. */
    @Test
    void valuesAreCloseToNormal() {
        int count = 1_000_000;
        double[] within = new double[5];
        double neighbours = 0;
        for (int i = 0; i < count; i++) {
            float value = RandomTensor.normal(1, i);
            for (int k = (int) Math.abs(value) + 1; k <= 4; k++) {
                within[k]++;
            }
            neighbours += value * RandomTensor.normal(1, i + 1);
        }
        assertEquals(0.6827, within[1] / count, 0.003);
        assertEquals(0.9545, within[2] / count, 0.001);
        assertEquals(0.9973, within[3] / count, 0.0004);
        assertEquals(0.99994, within[4] / count, 0.00005);
        assertEquals(0, neighbours / count, 0.004);
    }

    @Test
    void roundingToBfloat16IsToTheNearest() {
        var tensor = new RandomTensor("t", List.of(4096L), 0, 1);
        var exact = MemorySegment.ofArray(new long[4096 / 2]);
        var rounded = MemorySegment.ofArray(new long[4096 / 4]);
        tensor.fill(exact, DataType.F32, 3, 0);
        tensor.fill(rounded, DataType.BF16, 3, 0);

        for (int i = 0; i < 4096; i++) {
            float value = exact.getAtIndex(FLOAT, i);
            int bits = rounded.getAtIndex(SHORT, i) & 0xFFFF;
            double distance = Math.abs(bfloat16(bits) - value);
            assertTrue(distance <= Math.abs(bfloat16(bits - 1) - value), () -> value + " down");
            assertTrue(distance <= Math.abs(bfloat16(bits + 1) - value), () -> value + " up");
        }
    }

    @Test
    void bytesDependOnTheSeedAndNotOnThreads() throws Exception {
        byte[] one = bytes(7, 1);

        assertArrayEquals(one, bytes(7, 3));
        assertFalse(Arrays.equals(one, bytes(8, 1)));
        assertEquals(List.of(out), files());
    }

    /** SplitMix64's first outputs for seed 1234567, as published with the reference code of its authors. */
    @Test
    void theGeneratorIsSplitMix64() {
        long gamma = 0x9E3779B97F4A7C15L;

        assertEquals(6457827717110365317L, RandomTensor.mix(1234567 + gamma));
        assertEquals(3203168211198807973L, RandomTensor.mix(1234567 + 2 * gamma));
    }

    @Test
    void progressEndsWithTheTotal() throws Exception {
        var seen = new ArrayList<Long>();
        long total = 2 * TENSORS.stream().mapToLong(RandomTensor::elements).sum();
        Thread caller = Thread.currentThread();
        write(TENSORS, DataType.F16, 7, 2, (bytes, all) -> {
            assertEquals(total, all);
            assertEquals(caller, Thread.currentThread());
            seen.add(bytes);
        });

        assertEquals(total, seen.getLast());
        assertEquals(seen.stream().sorted().distinct().toList(), seen);
    }

    @Test
    void aFailureLeavesNothing() throws Exception {
        var stop = new IllegalStateException("stop");
        var e = assertThrows(
                IllegalStateException.class,
                () -> write(TENSORS, DataType.F16, 7, 2, (bytes, total) -> {
                    throw stop;
                }));

        assertEquals(stop, e);
        assertEquals(List.of(), files());
    }

    @Test
    void anInterruptLeavesNothingAndIsKept() throws Exception {
        assertThrows(
                InterruptedIOException.class,
                () -> write(
                        TENSORS,
                        DataType.F16,
                        7,
                        1,
                        (bytes, total) -> Thread.currentThread().interrupt()));

        assertTrue(Thread.interrupted());
        assertEquals(List.of(), files());
    }

    @Test
    void otherTypesAreRefused() throws Exception {
        assertThrows(
                IllegalArgumentException.class,
                () -> RandomCheckpoint.write(ModelFamily.SD1, DataType.I8, 7, out, RandomCheckpointTest::ignore));
        assertEquals(List.of(), files());
    }

    @Test
    void aMissingFolderIsNamed() {
        Path lost = folder.resolve("none").resolve("x.safetensors");
        var e = assertThrows(
                NoSuchFileException.class,
                () -> RandomCheckpoint.write(ModelFamily.SD1, DataType.F16, 7, lost, RandomCheckpointTest::ignore));

        assertTrue(e.getMessage().startsWith(lost + ": its folder does not exist"), e.getMessage());
    }

    private byte[] bytes(long seed, int threads) throws IOException {
        write(TENSORS, DataType.F16, seed, threads, RandomCheckpointTest::ignore);
        return Files.readAllBytes(out);
    }

    private void write(
            List<RandomTensor> tensors, DataType type, long seed, int threads, RandomCheckpoint.Progress progress)
            throws IOException {
        RandomCheckpoint.write(tensors, type, seed, out, Map.of("a", "b"), threads, progress);
    }

    private static void ignore(long bytes, long total) {}

    private static float[] values(Checkpoint model, TensorInfo info) {
        MemorySegment data = model.data(info);
        float[] values = new float[(int) info.elements()];
        for (int i = 0; i < values.length; i++) {
            values[i] = switch (info.type()) {
                case F32 -> data.getAtIndex(FLOAT, i);
                case F16 -> Float.float16ToFloat(data.getAtIndex(SHORT, i));
                default -> bfloat16(data.getAtIndex(SHORT, i));
            };
        }
        return values;
    }

    private static float bfloat16(int bits) {
        return Float.intBitsToFloat(bits << 16);
    }

    private static double mean(float[] values, int power) {
        double sum = 0;
        for (float value : values) {
            sum += Math.pow(value, power);
        }
        return sum / values.length;
    }

    private List<Path> files() throws IOException {
        try (var files = Files.list(folder)) {
            return files.toList();
        }
    }
}
