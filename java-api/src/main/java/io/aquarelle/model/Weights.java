package io.aquarelle.model;

import io.aquarelle.bindings.Aquarelle;
import io.aquarelle.bindings.aq_tensor;
import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * The tensors of a checkpoint as the native library sees them, in place; only types that it lacks (F64, FP8) are copied
 * into the next wider one. Weights do not change, so any number of networks on any number of engines may share them.
 */
public final class Weights extends NativeObject {
    private static final int MAX_RANK = 4;

    private final Checkpoint checkpoint;

    private Weights(long handle, Checkpoint checkpoint) {
        super("the weights of " + checkpoint.path(), handle);
        this.checkpoint = checkpoint;
    }

    /**
     * Registers the tensors of a checkpoint, which stays open until this and all networks made of it are closed.
     * Tensors of types and ranks that no network uses are left out.
     *
     * @throws ModelFormatException if a tensor cannot be right
     */
    public static Weights of(Checkpoint checkpoint) throws ModelFormatException {
        List<TensorInfo> tensors =
                checkpoint.tensors().values().stream().filter(Weights::usable).toList();
        if (tensors.isEmpty()) {
            throw new ModelFormatException(checkpoint.path(), "holds no weights; it is not a model");
        }
        Checkpoint own = checkpoint.retain();
        try {
            long handle = NativeCalls.create((arena, result, error) -> {
                MemorySegment array = aq_tensor.allocateArray(tensors.size(), arena);
                for (int i = 0; i < tensors.size(); i++) {
                    TensorInfo tensor = tensors.get(i);
                    MemorySegment t = aq_tensor.asSlice(array, i);
                    aq_tensor.name(t, arena.allocateFrom(tensor.name()));
                    MemorySegment data = own.readable(tensor);
                    aq_tensor.data(t, data);
                    aq_tensor.size(t, data.byteSize());
                    aq_tensor.rank(t, tensor.shape().size());
                    aq_tensor.type(t, NumberTypes.readable(tensor.type()).nativeType());
                    for (int d = 0; d < MAX_RANK; d++) {
                        boolean given = d < tensor.shape().size();
                        aq_tensor.shape(t, d, given ? tensor.shape().get(d) : 1);
                    }
                }
                return Aquarelle.aq_weights_create(array, tensors.size(), result, error);
            });
            return new Weights(handle, own);
        } catch (Throwable e) {
            own.close();
            throw e;
        }
    }

    private static boolean usable(TensorInfo tensor) {
        // A NUL would end the name early in C.
        return NumberTypes.readable(tensor.type()).nativeType() >= 0
                && tensor.shape().size() <= MAX_RANK
                && tensor.elements() > 0
                && tensor.name().indexOf('\0') < 0;
    }

    /** On the file that the tensors come from; closed with these weights. */
    Checkpoint checkpoint() {
        return checkpoint;
    }

    @Override
    void release() {
        checkpoint.close();
    }
}
