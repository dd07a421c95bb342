package io.aquarelle;

/** Told how far a generation is, on the thread that generates, at the start of each phase and after each step. */
@FunctionalInterface
public interface ProgressListener {
    /** Hears nothing. */
    ProgressListener NONE = progress -> {};

    /** An exception thrown here ends the generation and reaches its caller. */
    void progress(Progress progress);

    /**
     * Told after each step of sampling, when {@link #progress} is, what the picture is becoming. Nothing is computed for
     * who does not look; an exception thrown here ends the generation likewise.
     */
    default void preview(Preview preview) {}

    /**
     * Told of each picture of a batch as soon as it is there; an exception thrown here ends the generation likewise.
     *
     * @param index of the picture, from 0
     */
    default void finished(int index, GeneratedImage image) {}
}
