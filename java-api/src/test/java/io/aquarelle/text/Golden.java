package io.aquarelle.text;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.Stream;

/** Reads the tables of expected values; the programs that made them lie beside them. */
final class Golden {
    private Golden() {}

    /** Returns the tab-separated fields of each line. */
    static List<String[]> rows(String resource) {
        try (InputStream in = Golden.class.getResourceAsStream(resource)) {
            return new String(in.readAllBytes(), StandardCharsets.US_ASCII)
                    .lines()
                    .map(line -> line.split("\t", -1))
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static int[] ints(String field) {
        return numbers(field).mapToInt(Integer::parseInt).toArray();
    }

    static float[] floats(String field) {
        List<Float> values = numbers(field).map(Float::valueOf).toList();
        float[] floats = new float[values.size()];
        for (int i = 0; i < floats.length; i++) {
            floats[i] = values.get(i);
        }
        return floats;
    }

    private static Stream<String> numbers(String field) {
        return field.isEmpty() ? Stream.empty() : Stream.of(field.split(" "));
    }

    /** Undoes the escapes {@code \}{@code uXXXX}. */
    static String unescape(String field) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < field.length(); i++) {
            if (field.charAt(i) == '\\') {
                text.append((char) Integer.parseInt(field, i + 2, i + 6, 16));
                i += 5;
            } else {
                text.append(field.charAt(i));
            }
        }
        return text.toString();
    }
}
