package io.aquarelle.sampling;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

class RandomSourcesTest {
    @TestFactory
    Stream<DynamicTest> valuesEqualThoseOfPyTorchAndStableDiffusionCpp() {
        return peerStreams().stream().map(line -> {
            String[] fields = line.split(" ");
            return dynamicTest(fields[0] + ", seed " + fields[1] + ", calls for " + fields[2], () -> compare(fields));
        });
    }

    private static void compare(String[] fields) {
        NoiseSource source = RandomSources.byName(fields[0], Long.parseLong(fields[1]));
        float[] stream = new float[0];
        for (String size : fields[2].split(",")) {
            stream = concat(stream, source.normal(Integer.parseInt(size)));
        }
        int stride = Integer.parseInt(fields[3]);
        int listed = fields.length - 4;
        assertEquals((stream.length + stride - 1) / stride, listed);
        for (int i = 0; i < listed; i++) {
            assertEquals(Float.parseFloat(fields[4 + i]), stream[i * stride], 1e-6f, "value " + i * stride);
        }
    }

    private static List<String> peerStreams() {
        try (var reader = new BufferedReader(new InputStreamReader(
                RandomSourcesTest.class.getResourceAsStream("noise.txt"), StandardCharsets.UTF_8))) {
            return reader.lines().filter(line -> !line.startsWith("#")).toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Random123's known-answer test "philox4x32 10": zero key and counter give 6627e8d5 e169c58d bc57ac4c 9b00dbd8. */
    @Test
    void philoxGivesTheKnownAnswer() {
        double u = (0x6627e8d5L + 0.5) / 0x1p32;
        double v = (0xe169c58dL + 0.5) / 0x1p32;
        double expected = Math.sqrt(-2 * Math.log(u)) * Math.sin(2 * Math.PI * v);
        assertEquals(expected, RandomSources.philox(0).normal(1)[0], 1e-6);
    }

    @Test
    void philoxValuesDependOnTheCallAndNotOnItsSize() {
        NoiseSource small = RandomSources.philox(7);
        NoiseSource large = RandomSources.philox(7);
        for (int call = 0; call < 3; call++) {
            assertArrayEquals(small.normal(10), Arrays.copyOf(large.normal(1000), 10));
        }
    }

    @Test
    void philoxUsesAllBitsOfTheSeedAndTheOthersTheLow32() {
        long high = 5L << 32;
        assertFalse(Arrays.equals(drawFrom("cuda", 42), drawFrom("cuda", 42 + high)));
        assertArrayEquals(drawFrom("cpu", 42), drawFrom("cpu", 42 + high));
        assertArrayEquals(drawFrom("std_default", 42), drawFrom("std_default", 42 + high));
    }

    @Test
    void valuesAreStandardNormal() {
        for (String name : RandomSources.names()) {
            float[] values = RandomSources.byName(name, 3).normal(1 << 18);
            double[] moments = new double[5];
            for (float value : values) {
                for (int power = 1; power < moments.length; power++) {
                    moments[power] += Math.pow(value, power) / values.length;
                }
            }
            assertArrayEquals(new double[] {0, 0, 1, 0, 3}, moments, 0.05, name);
        }
    }

    @Test
    void nothingIsDrawnForZeroAndNegativeCountsAreRefused() {
        for (String name : RandomSources.names()) {
            NoiseSource source = RandomSources.byName(name, 1);
            assertEquals(0, source.normal(0).length);
            assertThrows(IllegalArgumentException.class, () -> source.normal(-1));
        }
    }

    @Test
    void namesAreThoseOfStableDiffusionCppAndA1111() {
        assertEquals(List.of("cuda", "cpu", "std_default"), RandomSources.names());
        assertSame(Philox.class, RandomSources.byName("NV", 0).getClass());
        assertSame(Philox.class, RandomSources.byName("GPU", 0).getClass());
        assertSame(MersenneTwister.class, RandomSources.byName("CPU", 0).getClass());
        assertEquals("NV", RandomSources.displayName("gpu"));
        assertEquals("CPU", RandomSources.displayName("cpu"));
        var unknown = assertThrows(IllegalArgumentException.class, () -> RandomSources.byName("dice", 0));
        assertEquals("unknown rng 'dice'; use one of cuda, cpu, std_default", unknown.getMessage());
    }

    private static float[] drawFrom(String name, long seed) {
        return RandomSources.byName(name, seed).normal(20);
    }

    private static float[] concat(float[] a, float[] b) {
        float[] both = Arrays.copyOf(a, a.length + b.length);
        System.arraycopy(b, 0, both, a.length, b.length);
        return both;
    }
}
