package io.aquarelle.model;

import io.aquarelle.bindings.aq_control;
import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;

/**
 * Shared with native calls in progress: stops them from any thread and tells how far the current one is. Once
 * cancelled, every call given this control ends with a {@link java.util.concurrent.CancellationException}.
 */
public final class CallControl {
    private static final VarHandle CANCEL = field("cancel");
    private static final VarHandle NODES_DONE = field("nodes_done");
    private static final VarHandle NODES_TOTAL = field("nodes_total");

    private final MemorySegment segment = aq_control.allocate(Arena.ofAuto());

    private static VarHandle field(String name) {
        return aq_control.layout().varHandle(PathElement.groupElement(name));
    }

    /** Stops the call in progress within one node of its graph, and each later one at once. */
    public void cancel() {
        CANCEL.setVolatile(segment, 0L, 1);
    }

    /** Whether {@link #cancel} was called. */
    public boolean isCancelled() {
        return (int) CANCEL.getVolatile(segment, 0L) != 0;
    }

    /** Nodes of the current call's graph that are done, 0 to 1. */
    public double progress() {
        int total = (int) NODES_TOTAL.getVolatile(segment, 0L);
        return total == 0 ? 0 : (double) (int) NODES_DONE.getVolatile(segment, 0L) / total;
    }

    MemorySegment segment() {
        return segment;
    }
}
