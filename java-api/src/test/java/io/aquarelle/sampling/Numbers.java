package io.aquarelle.sampling;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntToDoubleFunction;

/** Arrays of expected and made-up values. */
final class Numbers {
    private Numbers() {}

    /** The numbers of a text, parted by white space. */
    static double[] parse(String text) {
        return Arrays.stream(text.strip().split("\\s+"))
                .mapToDouble(Double::parseDouble)
                .toArray();
    }

    /** The lines of a resource, without those that start with a hash; fields are parted by a bar. */
    static List<String[]> table(String resource) {
        try (var stream = Numbers.class.getResourceAsStream(resource)) {
            return new String(stream.readAllBytes(), StandardCharsets.UTF_8)
                    .lines()
                    .filter(line -> !line.startsWith("#"))
                    .map(line -> line.strip().split(" *\\| *"))
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** {@code length} values of a function of the index. */
    static float[] filled(int length, IntToDoubleFunction value) {
        float[] array = new float[length];
        for (int i = 0; i < length; i++) {
            array[i] = (float) value.applyAsDouble(i);
        }
        return array;
    }

    /** Fails unless each value is within {@code relative} times the largest magnitude of the expected ones. */
    static void assertClose(double relative, String expected, float[] actual) {
        double[] values = parse(expected);
        double largest = Arrays.stream(values).map(Math::abs).max().orElseThrow();
        assertEquals(values.length, actual.length);
        for (int i = 0; i < values.length; i++) {
            assertEquals(values[i], actual[i], relative * largest, "value " + i);
        }
    }
}
