package io.aquarelle.model;

import io.aquarelle.bindings.Aquarelle;

/**
 * Something that the native library made, until it is closed. Calls and {@link #close} exclude each other: closing
 * waits for a running call, and a call afterwards is an {@link IllegalStateException}.
 */
abstract class NativeObject implements AutoCloseable {
    private final String name;
    private final long handle;
    private boolean open = true;

    /** {@code name} is what messages call it. */
    NativeObject(String name, long handle) {
        this.name = name;
        this.handle = handle;
    }

    /** The native handle, to be used within a synchronized method. */
    final synchronized long handle() {
        if (!open) {
            throw new IllegalStateException(name + " is closed");
        }
        return handle;
    }

    /** Waits for a call in progress, then gives native memory back. Without effect when closed already. */
    @Override
    public final synchronized void close() {
        if (open) {
            open = false;
            NativeCalls.run((arena, error) -> Aquarelle.aq_close(handle, error));
            release();
        }
    }

    /** Gives up what this object held open, after its native side is gone. */
    void release() {}
}
