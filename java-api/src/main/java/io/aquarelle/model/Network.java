package io.aquarelle.model;

import io.aquarelle.bindings.Aquarelle;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Locale;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** A network on an engine; keeps the model file open that its weights lie in. */
abstract class Network extends NativeObject {
    private static final int PROFILE_BYTES = 1 << 17;

    private final Checkpoint checkpoint;
    private List<FittedAdapter> adapters = List.of(); // which native code reads from

    /** Makes the native network; {@code name} is what messages call it. */
    Network(String name, Weights weights, NativeCalls.Creation creation) throws ModelFormatException {
        this(name, weights.checkpoint().retain(), creation);
    }

    private Network(String name, Checkpoint checkpoint, NativeCalls.Creation creation) throws ModelFormatException {
        super(name, create(checkpoint, creation));
        this.checkpoint = checkpoint;
    }

    /** Makes what keeps the checkpoint open, or closes that if it does not fit. */
    static long create(Checkpoint checkpoint, NativeCalls.Creation creation) throws ModelFormatException {
        try {
            return NativeCalls.create(creation);
        } catch (ModelFormatException e) {
            checkpoint.close();
            throw new ModelFormatException(checkpoint.path(), "does not fit: " + e.getMessage());
        } catch (Throwable e) {
            checkpoint.close();
            throw e;
        }
    }

    /**
     * A table of where the time of the last call went, for people: milliseconds, share, GFLOP/s counted as direct work,
     * and how often, by kinds of nodes, longest first.
     *
     * @throws IllegalArgumentException if there was no call yet
     */
    public final synchronized String profile() {
        long self = handle();
        StringBuilder table = new StringBuilder();
        NativeCalls.run((arena, error) -> {
            MemorySegment text = arena.allocate(PROFILE_BYTES);
            int status = Aquarelle.aq_profile(self, text, PROFILE_BYTES, error);
            table.append(text.getString(0));
            return status;
        });
        return table.toString();
    }

    final void unload(Predicate<String> names) {
        checkpoint.unload(names);
    }

    /**
     * Has the network compute with adapters from its next call on, in place of those that it had; none are its weights
     * alone. Text encoders and UNets take any.
     *
     * @param scales as many, what each adapter's changes are multiplied by
     * @throws IllegalArgumentException if one does not fit; the network stays as it was
     * @throws InsufficientMemoryException if copies of changed weights do not fit into memory
     */
    public final synchronized void adapt(List<FittedAdapter> fitted, List<Float> scales) {
        if (fitted.size() != scales.size()) {
            throw new IllegalArgumentException(fitted.size() + " adapters have " + scales.size() + " scales");
        }
        long self = handle();
        NativeCalls.run((arena, error) -> {
            MemorySegment handles = arena.allocate(ValueLayout.JAVA_LONG, Math.max(1, fitted.size()));
            MemorySegment factors = arena.allocate(ValueLayout.JAVA_FLOAT, Math.max(1, fitted.size()));
            for (int i = 0; i < fitted.size(); i++) {
                handles.setAtIndex(ValueLayout.JAVA_LONG, i, fitted.get(i).handle());
                factors.setAtIndex(ValueLayout.JAVA_FLOAT, i, scales.get(i));
            }
            return Aquarelle.aq_adapt(self, handles, factors, fitted.size(), error);
        });
        adapters = List.copyOf(fitted);
    }

    static MemorySegment segment(@Nullable CallControl control) {
        return control == null ? MemorySegment.NULL : control.segment();
    }

    /** Refuses an array that has not the length that its shape needs. */
    static void requireLength(String what, long actual, long... shape) {
        long needed = count(shape);
        if (actual != needed) {
            throw new IllegalArgumentException(
                    String.format(Locale.ROOT, "%s has %d values, its shape needs %d", what, actual, needed));
        }
    }

    /** The length of an output that must be one Java array. */
    static int outputLength(long... shape) {
        long length = count(shape);
        if (length > Integer.MAX_VALUE - 8) {
            throw new IllegalArgumentException("an output of " + length + " values is too large for an array");
        }
        return (int) length;
    }

    /** The product of sides of 1 or more, {@link Long#MAX_VALUE} where it is larger. */
    private static long count(long... shape) {
        long count = 1;
        for (long side : shape) {
            if (side < 1) {
                throw new IllegalArgumentException("a size is " + side + "; it must be 1 or more");
            }
            count = count > Long.MAX_VALUE / side ? Long.MAX_VALUE : count * side;
        }
        return count;
    }

    @Override
    final void release() {
        adapters = List.of();
        checkpoint.close();
    }
}
