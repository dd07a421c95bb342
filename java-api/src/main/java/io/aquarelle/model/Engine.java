package io.aquarelle.model;

import io.aquarelle.bindings.Aquarelle;
import io.aquarelle.bindings.aq_engine_options;
import java.lang.foreign.MemorySegment;

/**
 * Native threads with their workspace. The networks on an engine share it, so one of them computes at a time: use an
 * engine for each thread that generates.
 */
public final class Engine extends NativeObject {
    private Engine(long handle) {
        super("the engine", handle);
    }

    /** Starts the threads of an engine, on the fastest instruction set of this CPU. */
    public static Engine create(EngineOptions options) {
        try {
            return new Engine(NativeCalls.create((arena, handle, error) -> {
                MemorySegment struct = aq_engine_options.allocate(arena);
                aq_engine_options.threads(struct, options.threads());
                aq_engine_options.isa(struct, Aquarelle.AQ_ISA_AUTO());
                aq_engine_options.convolution(struct, options.convolution().nativeValue());
                return Aquarelle.aq_engine_create(struct, handle, error);
            }));
        } catch (ModelFormatException e) {
            throw new AssertionError("an engine has no model", e);
        }
    }
}
