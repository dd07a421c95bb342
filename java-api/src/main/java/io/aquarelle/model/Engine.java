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

    /**
     * Starts the threads of an engine, on the fastest instruction set of this CPU.
     *
     * @param threads how many work on each call, 1 to 512; the calling thread is one of them
     * @throws IllegalArgumentException if the number is out of range
     */
    public static Engine create(int threads) {
        try {
            return new Engine(NativeCalls.create((arena, handle, error) -> {
                MemorySegment options = aq_engine_options.allocate(arena);
                aq_engine_options.threads(options, threads);
                aq_engine_options.isa(options, Aquarelle.AQ_ISA_AUTO());
                return Aquarelle.aq_engine_create(options, handle, error);
            }));
        } catch (ModelFormatException e) {
            throw new AssertionError("an engine has no model", e);
        }
    }
}
