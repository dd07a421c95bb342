package io.aquarelle.model;

import java.io.IOException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * A file is not a model, is damaged, or is a model that cannot be run. The message is one line that names the file, the
 * part of it that is wrong, and what to do.
 */
public class ModelFormatException extends IOException {
    private static final long serialVersionUID = 1L;

    public ModelFormatException(String message) {
        super(oneLine(message));
    }

    /** For a problem told as a predicate of the file: "is empty; download it again". */
    public ModelFormatException(Path file, String problem) {
        this(file + " " + problem);
    }

    public ModelFormatException(Path file, String problem, @Nullable Throwable cause) {
        super(oneLine(file + " " + problem), cause);
    }

    /** Names out of a damaged file may hold anything; a terminal or a log must not take it for commands or lines. */
    private static String oneLine(String message) {
        return message.replaceAll("[\\p{Cntrl}\\p{Zl}\\p{Zp}\\p{Cf}]", "?");
    }
}
