package io.aquarelle.model;

import io.aquarelle.bindings.Aquarelle;
import io.aquarelle.bindings.aq_adapter_change;
import io.aquarelle.bindings.aq_adapter_factor;
import io.aquarelle.bindings.aq_tensor;
import io.aquarelle.model.Adapter.Change;
import io.aquarelle.model.AdapterNames.Module;
import io.aquarelle.model.AdapterNames.Part;
import io.aquarelle.model.AdapterTargets.Target;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** An adapter as native code has it, with its changes assigned to the layers of a model. */
public final class FittedAdapter extends NativeObject {
    /** A factor of a change by its parts; see {@code aq_adapter_factor}. */
    private record Factor(
            @Nullable Part a, @Nullable Part b, @Nullable Part core) {
        static final Factor NONE = new Factor(null, null, null);
    }

    /** A change of one tensor as native code takes it. */
    private record Native(
            Change change, String target, int kind, float scale, Factor first, Factor second, boolean magnitude) {}

    private final Adapter adapter; // keeps the file mapped
    private final List<String> unused;
    private final Set<String> targets;

    private FittedAdapter(Adapter adapter, List<Native> changes, List<String> unused) throws ModelFormatException {
        super(
                "the adapter " + adapter.path(),
                NativeCalls.create((arena, result, error) ->
                        Aquarelle.aq_adapter_create(segment(adapter, changes, arena), changes.size(), result, error)));
        this.adapter = adapter;
        this.unused = unused;
        targets = changes.stream()
                .map(change -> change.target.replaceFirst("/[0-2]$", ""))
                .collect(Collectors.toUnmodifiableSet());
    }

    /** Names of the model's tensors that it changes. */
    Set<String> targets() {
        return targets;
    }

    /**
     * Assigns the changes of an adapter to the layers of a model.
     *
     * @throws ModelFormatException if none of them is for a layer of this model, or one does not fit its layer; the
     *     message names the tensor
     */
    public static FittedAdapter of(Adapter adapter, Checkpoint model) throws ModelFormatException {
        return of(adapter, model, AdapterTargets.of(model));
    }

    static FittedAdapter of(Adapter adapter, Checkpoint model, AdapterTargets targets) throws ModelFormatException {
        List<Native> changes = new ArrayList<>();
        List<String> unused = new ArrayList<>(adapter.others());
        Map<String, Module> numbered = NumberedModules.of(adapter, targets);
        for (Change change : adapter.changes()) {
            Module numberedAs = numbered.get(change.module());
            Target target = targets.find(numberedAs == null ? AdapterNames.module(change.module()) : numberedAs);
            int before = changes.size();
            if (target != null) {
                addWeight(adapter, change, target.weight(), targets, changes);
                addBias(adapter, change, target.bias(), targets, changes, unused);
            }
            if (changes.size() == before) {
                unused.removeAll(change.tensors());
                unused.addAll(change.tensors());
            }
        }
        if (changes.isEmpty()) {
            throw new ModelFormatException(
                    adapter.path(),
                    "has no tensor for a layer of " + model.path() + ", such as '" + Json.shorten(unused.getFirst())
                            + "'; it was made for another kind of model");
        }
        return new FittedAdapter(adapter, changes, List.copyOf(unused));
    }

    /** The file that it comes from. */
    public Adapter adapter() {
        return adapter;
    }

    /** Names of the file's tensors that change nothing, as the model has no such layer or they are of an unknown kind. */
    public List<String> unused() {
        return unused;
    }

    private static void addWeight(
            Adapter adapter, Change change, String target, AdapterTargets targets, List<Native> changes)
            throws ModelFormatException {
        List<Long> shape = targets.shape(target);
        if (shape.isEmpty()) {
            return;
        }
        boolean magnitude = change.has(Part.MAGNITUDE);
        if (change.has(Part.UP)) {
            float scale = adapter.factor(change, rows(change, Part.DOWN));
            long columns = change.has(Part.MID) ? inputs(shape) : columns(shape);
            require(adapter, change, Part.UP, rows(change, Part.UP), shape.getFirst(), shape);
            require(adapter, change, Part.DOWN, change.info(Part.DOWN).columns(), columns, shape);
            Factor product = new Factor(Part.UP, Part.DOWN, Part.MID);
            changes.add(
                    new Native(change, target, Aquarelle.AQ_ADAPTER_LORA(), scale, product, Factor.NONE, magnitude));
        }
        if (change.has(Part.HADA_W1_A)) {
            float scale = adapter.factor(change, rows(change, Part.HADA_W1_B));
            long columns = change.has(Part.HADA_T1) ? inputs(shape) : columns(shape);
            Factor first = new Factor(Part.HADA_W1_A, Part.HADA_W1_B, Part.HADA_T1);
            Factor second = new Factor(Part.HADA_W2_A, Part.HADA_W2_B, Part.HADA_T2);
            for (Factor factor : List.of(first, second)) {
                require(adapter, change, factor.a, outputs(change, factor), shape.getFirst(), shape);
                require(adapter, change, factor.b, change.info(factor.b).columns(), columns, shape);
            }
            changes.add(new Native(change, target, Aquarelle.AQ_ADAPTER_LOHA(), scale, first, second, magnitude));
        }
        if (change.has(Part.LOKR_W1) || change.has(Part.LOKR_W1_A)) {
            Factor first = change.has(Part.LOKR_W1)
                    ? new Factor(Part.LOKR_W1, null, null)
                    : new Factor(Part.LOKR_W1_A, Part.LOKR_W1_B, null);
            Factor second = change.has(Part.LOKR_W2)
                    ? new Factor(Part.LOKR_W2, null, null)
                    : new Factor(Part.LOKR_W2_A, Part.LOKR_W2_B, Part.LOKR_T2);
            long outputs = outputs(change, first) * outputs(change, second);
            long columns = columns(change, first) * columns(change, second);
            require(adapter, change, first.a, outputs, shape.getFirst(), shape);
            require(adapter, change, second.a, columns, columns(shape), shape);
            Part low = second.b() != null ? second.b() : first.b();
            float scale = low == null ? adapter.wholeFactor(change) : adapter.factor(change, rows(change, low));
            changes.add(new Native(change, target, Aquarelle.AQ_ADAPTER_LOKR(), scale, first, second, magnitude));
        }
        if (magnitude) {
            TensorInfo info = change.info(Part.MAGNITUDE);
            boolean inward = info.shape().size() > 1
                    && info.shape().getFirst() == 1
                    && info.shape().get(1) == inputs(shape);
            long norms = inward ? inputs(shape) : shape.getFirst();
            require(adapter, change, Part.MAGNITUDE, info.elements(), norms, shape);
        }
        if (change.has(Part.DIFF)) {
            addDifference(adapter, change, Part.DIFF, 1, target, shape, changes);
        }
    }

    private static void addBias(
            Adapter adapter,
            Change change,
            String target,
            AdapterTargets targets,
            List<Native> changes,
            List<String> unused)
            throws ModelFormatException {
        List<Long> shape = targets.shape(target);
        for (Part part : List.of(Part.DIFF_BIAS, Part.UP_BIAS)) {
            if (change.has(part) && shape.isEmpty()) {
                unused.add(change.info(part).name());
            } else if (change.has(part)) {
                float scale = part == Part.UP_BIAS ? adapter.factor(change, rows(change, Part.DOWN)) : 1;
                addDifference(adapter, change, part, scale, target, shape, changes);
            }
        }
    }

    private static void addDifference(
            Adapter adapter,
            Change change,
            Part part,
            float scale,
            String target,
            List<Long> shape,
            List<Native> changes)
            throws ModelFormatException {
        long values = shape.getFirst() * (shape.size() > 1 ? columns(shape) : 1);
        require(adapter, change, part, change.info(part).elements(), values, shape);
        Factor whole = new Factor(part, null, null);
        changes.add(new Native(change, target, Aquarelle.AQ_ADAPTER_FULL(), scale, whole, Factor.NONE, false));
    }

    private static long rows(Change change, Part part) {
        return change.info(part).shape().getFirst();
    }

    private static long outputs(Change change, Factor factor) {
        TensorInfo a = change.info(factor.a);
        return factor.core != null && change.has(factor.core)
                ? a.columns()
                : a.shape().getFirst();
    }

    /** Inputs times places of the kernel. */
    private static long columns(Change change, Factor factor) {
        if (factor.b == null) {
            return columns(change.info(factor.a).shape());
        }
        long columns = columns(change.info(factor.b).shape());
        return factor.core != null && change.has(factor.core)
                ? columns * columns(change.info(factor.core).shape()) / rows(change, factor.b)
                : columns;
    }

    private static long inputs(List<Long> shape) {
        return shape.size() < 2 ? 1 : shape.get(1);
    }

    private static long columns(List<Long> shape) {
        return shape.stream().skip(1).reduce(1L, (a, b) -> a * b);
    }

    private static void require(Adapter adapter, Change change, Part part, long actual, long expected, List<Long> shape)
            throws ModelFormatException {
        if (actual != expected) {
            throw new ModelFormatException(
                    adapter.path(),
                    "has tensor '" + Json.shorten(change.info(part).name()) + "' of shape "
                            + change.info(part).shape() + " for weights of shape " + shape
                            + "; it was made for another kind of model");
        }
    }

    private static MemorySegment segment(Adapter adapter, List<Native> changes, Arena arena) {
        MemorySegment array = aq_adapter_change.allocateArray(changes.size(), arena);
        array.fill((byte) 0);
        for (int i = 0; i < changes.size(); i++) {
            Native change = changes.get(i);
            MemorySegment c = aq_adapter_change.asSlice(array, i);
            aq_adapter_change.target(c, arena.allocateFrom(change.target));
            aq_adapter_change.kind(c, change.kind);
            aq_adapter_change.factor(c, change.scale);
            fill(adapter, change, change.first, aq_adapter_change.first(c));
            fill(adapter, change, change.second, aq_adapter_change.second(c));
            if (change.magnitude) {
                fill(adapter, change.change.parts().get(Part.MAGNITUDE), aq_adapter_change.magnitude(c));
            }
        }
        return array;
    }

    private static void fill(Adapter adapter, Native change, Factor factor, MemorySegment to) {
        Map<Part, TensorSource> parts = change.change.parts();
        fill(adapter, factor.a == null ? null : parts.get(factor.a), aq_adapter_factor.a(to));
        fill(adapter, factor.b == null ? null : parts.get(factor.b), aq_adapter_factor.b(to));
        fill(adapter, factor.core == null ? null : parts.get(factor.core), aq_adapter_factor.core(to));
    }

    private static void fill(Adapter adapter, @Nullable TensorSource source, MemorySegment t) {
        if (source == null) {
            return;
        }
        TensorInfo info = source.info();
        MemorySegment data = adapter.readable(source);
        aq_tensor.data(t, data);
        aq_tensor.size(t, data.byteSize());
        aq_tensor.rank(t, info.shape().size());
        aq_tensor.type(t, NumberTypes.readable(info.type()).nativeType());
        for (int d = 0; d < info.shape().size(); d++) {
            aq_tensor.shape(t, d, info.shape().get(d));
        }
    }
}
