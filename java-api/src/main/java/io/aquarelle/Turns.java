package io.aquarelle;

import io.aquarelle.model.CallControl;
import java.util.concurrent.CancellationException;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** Lets one thread at a time use what an object has opened, cancels what it does there, and closes it in the end. */
final class Turns {
    private final String owner;
    private final ReentrantLock turn = new ReentrantLock();
    private volatile @Nullable CallControl running;
    private volatile boolean open = true;

    /** {@code owner} is what messages call the object: "the pipeline of a file". */
    Turns(String owner) {
        this.owner = owner;
    }

    /** What needs a turn; opening files among it. */
    @FunctionalInterface
    interface Task<T, E extends Exception> {
        T run() throws E;
    }

    /**
     * Runs a task when its turn comes.
     *
     * @throws IllegalStateException if the object is closed
     */
    <T, E extends Exception> T inTurn(Task<T, E> task) throws E {
        turn.lock();
        try {
            if (!open) {
                throw new IllegalStateException(owner + " is closed");
            }
            return task.run();
        } finally {
            turn.unlock();
        }
    }

    /**
     * Runs a task that can be cancelled when its turn comes.
     *
     * @throws GenerationCancelledException after {@link #cancel}
     * @throws IllegalStateException if the object is closed
     */
    <T> T cancellable(CallControl control, Function<CallControl, T> task) {
        turn.lock();
        CallControl outer = running; // not null when a listener asks for more
        try {
            running = control; // first, so that close() cancels what has passed the check
            return inTurn(() -> task.apply(control));
        } catch (CancellationException e) {
            throw new GenerationCancelledException();
        } finally {
            running = outer;
            turn.unlock();
        }
    }

    /** Cancels the task that has its turn, if it can be. */
    void cancel() {
        CallControl control = running;
        if (control != null) {
            control.cancel();
        }
    }

    /**
     * Cancels the task that has its turn, refuses those that wait, and then closes the parts.
     *
     * @throws IllegalStateException if a listener of a task calls it
     */
    void close(Runnable parts) {
        if (turn.isHeldByCurrentThread()) {
            throw new IllegalStateException(
                    "a listener cannot close " + owner + ", to which it listens; cancel it instead");
        }
        open = false;
        cancel();
        turn.lock();
        try {
            parts.run();
        } finally {
            turn.unlock();
        }
    }
}
