package io.aquarelle.model;

/**
 * How an engine computes.
 *
 * @param threads how many work on each call, 1 to 512; the calling thread is one of them
 * @param convolution how 3 x 3 convolutions are computed
 */
public record EngineOptions(int threads, Convolution convolution) {
    private static final int MAX_THREADS = 512;

    /** Checks the number of threads. */
    public EngineOptions {
        if (threads < 1 || threads > MAX_THREADS) {
            throw new IllegalArgumentException("threads is " + threads + "; it must be 1 to " + MAX_THREADS);
        }
    }

    /** A number of threads, and everything else as is best. */
    public static EngineOptions ofThreads(int threads) {
        return new EngineOptions(threads, Convolution.AUTO);
    }

    /** All processors, and everything else as is best. */
    public static EngineOptions best() {
        return ofThreads(Math.min(Runtime.getRuntime().availableProcessors(), MAX_THREADS));
    }
}
