package io.aquarelle.cli;

import io.aquarelle.GenerationCancelledException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Lets work end in order when the process is told to stop, by Ctrl-C for example. */
final class Interrupt {
    private static final int PATIENCE_SECONDS = 10;

    private final CountDownLatch finished = new CountDownLatch(1);
    private volatile boolean requested;
    private volatile Runnable cancel;

    /** Says how to stop what comes now; before this, there is nothing worth waiting for. */
    void onRequest(Runnable cancel) {
        this.cancel = cancel;
    }

    /** Throws if a stop was requested when nothing ran that could be cancelled. */
    void check() {
        if (requested) {
            throw new GenerationCancelledException();
        }
    }

    /** Stops the work and waits for its end; called as the process shuts down. */
    void stopAndWait() {
        requested = true;
        if (cancel == null || finished.getCount() == 0) {
            return;
        }
        cancel.run();
        try {
            finished.await(PATIENCE_SECONDS, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Everything is written and said; the process may end. */
    void finished() {
        finished.countDown();
    }
}
