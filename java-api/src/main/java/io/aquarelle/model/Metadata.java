package io.aquarelle.model;

import java.nio.file.Path;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** Reads what files say about themselves. */
final class Metadata {
    private Metadata() {}

    /**
     * A number, or null where nothing is said.
     *
     * @param least that it may be
     * @param most that it may be
     * @throws ModelFormatException if it is none, or out of range
     */
    static <T extends Number & Comparable<T>> @Nullable T number(
            Path file, Map<String, String> metadata, String key, Function<String, T> parse, T least, T most)
            throws ModelFormatException {
        String text = metadata.get(key);
        if (text == null) {
            return null;
        }
        try {
            T value = parse.apply(text);
            if (least.compareTo(value) <= 0 && value.compareTo(most) <= 0) {
                return value;
            }
        } catch (NumberFormatException e) {
            // reported below like any other wrong number
        }
        throw new ModelFormatException(
                file,
                "says " + key + " '" + text + "' in its metadata; it must be " + plain(least) + " to " + plain(most));
    }

    private static String plain(Number number) {
        return number.toString().replaceAll("\\.0$", "");
    }
}
