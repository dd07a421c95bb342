package io.aquarelle;

/** Told how far a generation is, on the thread that generates, at the start of each phase and after each step. */
@FunctionalInterface
public interface ProgressListener {
    /** Hears nothing. */
    ProgressListener NONE = progress -> {};

    /** An exception thrown here ends the generation and reaches its caller. */
    void progress(Progress progress);
}
