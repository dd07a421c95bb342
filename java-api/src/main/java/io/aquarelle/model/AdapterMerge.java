package io.aquarelle.model;

import io.aquarelle.bindings.Aquarelle;
import io.aquarelle.bindings.aq_merge_call;
import io.aquarelle.bindings.aq_tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Models with adapters in their weights. */
public final class AdapterMerge {
    private AdapterMerge() {}

    /**
     * A model with adapters in its weights. A tensor is computed when it is asked for, so that writing the model as a file
     * needs no more memory than one tensor; drawing with it keeps those that changed in memory. They have the type that
     * they had, quantised ones F16.
     *
     * @param model may be closed before the result, which is closed like any other
     * @throws ModelFormatException if an adapter does not fit the model; the message names the tensor
     */
    public static Checkpoint of(Checkpoint model, List<AdapterUse> uses) throws ModelFormatException {
        AdapterTargets targets = AdapterTargets.of(model);
        List<FittedAdapter> fitted = new ArrayList<>();
        Runnable closing = () -> fitted.forEach(FittedAdapter::close);
        try {
            for (AdapterUse use : uses) {
                fitted.add(FittedAdapter.of(use.adapter(), model, targets));
            }
            Map<String, TensorSource> merged = new LinkedHashMap<>();
            for (FittedAdapter adapter : fitted) {
                for (String name : adapter.targets()) {
                    TensorInfo tensor = model.tensors().get(name);
                    boolean unet = name.startsWith(ModelSpec.UNET_PREFIX);
                    List<Float> scales = uses.stream()
                            .map(use -> unet ? use.unetScale() : use.textScale())
                            .toList();
                    TensorInfo info = new TensorInfo(name, typeOf(tensor.type()), tensor.shape());
                    merged.put(name, new Merged(info, model.source(tensor), fitted, scales));
                }
            }
            return model.with(merged, Arena.ofShared(), closing);
        } catch (Throwable e) {
            closing.run();
            throw e;
        }
    }

    private static DataType typeOf(DataType type) {
        DataType readable = NumberTypes.readable(type);
        return readable.isQuantised() ? DataType.F16 : readable;
    }

    /** A tensor with changes in it. */
    record Merged(TensorInfo info, TensorSource source, List<FittedAdapter> adapters, List<Float> scales)
            implements TensorSource {
        @Override
        public MemorySegment values(SegmentAllocator memory) {
            try (Arena scratch = Arena.ofConfined()) {
                MemorySegment plain = source.values(scratch);
                TensorInfo stored = source.info();
                DataType type = NumberTypes.readable(stored.type());
                if (type != stored.type() || type.isQuantised()) {
                    DataType aligned = type.isQuantised() ? DataType.F32 : type;
                    MemorySegment copy = scratch.allocate(aligned.bytes(stored.elements()), ALIGNMENT);
                    NumberTypes.convert(stored.type(), plain, aligned, copy);
                    plain = copy;
                    type = aligned;
                }
                MemorySegment sum = scratch.allocate(Float.BYTES * info.elements(), ALIGNMENT);
                merge(plain, type, sum);
                MemorySegment result = memory.allocate(info.byteSize(), ALIGNMENT);
                NumberTypes.convert(DataType.F32, sum, info.type(), result);
                return result;
            }
        }

        private void merge(MemorySegment plain, DataType type, MemorySegment sum) {
            NativeCalls.run((arena, error) -> {
                MemorySegment call = aq_merge_call.allocate(arena);
                MemorySegment tensor = aq_merge_call.tensor(call);
                aq_tensor.name(tensor, arena.allocateFrom(info.name()));
                aq_tensor.data(tensor, plain);
                aq_tensor.size(tensor, plain.byteSize());
                aq_tensor.rank(tensor, info.shape().size());
                aq_tensor.type(tensor, type.nativeType());
                for (int d = 0; d < info.shape().size(); d++) {
                    aq_tensor.shape(tensor, d, info.shape().get(d));
                }
                MemorySegment handles = arena.allocate(ValueLayout.JAVA_LONG, adapters.size());
                MemorySegment factors = arena.allocate(ValueLayout.JAVA_FLOAT, adapters.size());
                for (int i = 0; i < adapters.size(); i++) {
                    handles.setAtIndex(ValueLayout.JAVA_LONG, i, adapters.get(i).handle());
                    factors.setAtIndex(ValueLayout.JAVA_FLOAT, i, scales.get(i));
                }
                aq_merge_call.output(call, sum);
                aq_merge_call.output_count(call, info.elements());
                aq_merge_call.adapters(call, handles);
                aq_merge_call.scales(call, factors);
                aq_merge_call.adapter_count(call, adapters.size());
                return Aquarelle.aq_merge(call, error);
            });
        }
    }
}
