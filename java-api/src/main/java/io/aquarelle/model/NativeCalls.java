package io.aquarelle.model;

import io.aquarelle.bindings.Aquarelle;
import io.aquarelle.bindings.NativeLibrary;
import io.aquarelle.bindings.aq_error;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.CancellationException;

/** Calls of the native library: argument memory, and statuses turned into exceptions. */
final class NativeCalls {
    static {
        NativeLibrary.load();
    }

    private NativeCalls() {}

    /** A native function with its other arguments bound; returns a status and fills an {@code aq_error}. */
    @FunctionalInterface
    interface Call {
        int run(Arena arena, MemorySegment error);
    }

    /** A native function that makes a handle. */
    @FunctionalInterface
    interface Creation {
        int run(Arena arena, MemorySegment handle, MemorySegment error);
    }

    /** Runs a call with argument memory that lives as long as it does. */
    static void run(Call call) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment error = aq_error.allocate(arena);
            int status = call.run(arena, error);
            if (status != Aquarelle.AQ_OK()) {
                throw failure(status, message(error));
            }
        }
    }

    /** Makes a handle; a model that does not fit is the file's fault. */
    static long create(Creation creation) throws ModelFormatException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment error = aq_error.allocate(arena);
            MemorySegment handle = arena.allocate(ValueLayout.JAVA_LONG);
            int status = creation.run(arena, handle, error);
            if (status == Aquarelle.AQ_INVALID_MODEL()) {
                throw new ModelFormatException(message(error));
            }
            if (status != Aquarelle.AQ_OK()) {
                throw failure(status, message(error));
            }
            return handle.get(ValueLayout.JAVA_LONG, 0);
        }
    }

    /** A copy of {@code values} for the length of a call. */
    static MemorySegment copy(Arena arena, float[] values) {
        return arena.allocateFrom(ValueLayout.JAVA_FLOAT, values);
    }

    private static String message(MemorySegment error) {
        return aq_error.message(error).getString(0);
    }

    private static RuntimeException failure(int status, String message) {
        if (status == Aquarelle.AQ_INVALID_ARGUMENT() || status == Aquarelle.AQ_INVALID_MODEL()) {
            return new IllegalArgumentException(message);
        }
        if (status == Aquarelle.AQ_OUT_OF_MEMORY()) {
            return new InsufficientMemoryException(message);
        }
        if (status == Aquarelle.AQ_CANCELLED()) {
            return new CancellationException(message);
        }
        return new IllegalStateException(message);
    }
}
