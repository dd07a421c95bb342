package io.aquarelle.model;

import io.aquarelle.model.AdapterNames.Name;
import io.aquarelle.model.AdapterNames.Part;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * An open file of changes to a model's weights: LoRA (Hu et al., arXiv 2106.09685), LoHa, LoKr (Yeh et al., arXiv
 * 2309.14859), DoRA (Liu et al., arXiv 2402.09353) or full differences, of a UNet and text encoders, in any of the layouts of
 * kohya's scripts, diffusers, PEFT, LyCORIS and cloneofsimo's lora_diffusion.
 *
 * <p>Values stay in the file, which is mapped until no one uses this any more; see {@link Checkpoint} on files that change
 * meanwhile. One adapter may serve any number of pipelines on any threads.
 */
public final class Adapter {
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final String GUIDANCE = "aquarelle.guidance";

    /** What lora_diffusion's metadata says of the words of textual inversions, which are names of tensors. */
    private static final String EMBEDDING = "<embed>";

    /** PEFT's magnitudes are always of outputs; of a convolution they have the shape of LyCORIS' for inputs. */
    private static final String OUTPUT_MAGNITUDES = ".lora_magnitude_vector";

    /** What changes one layer: tensors by what they are to the change. */
    record Change(String module, Map<Part, TensorSource> parts) {
        boolean has(Part part) {
            return parts.containsKey(part);
        }

        TensorInfo info(Part part) {
            return parts.get(part).info();
        }

        List<String> tensors() {
            return parts.values().stream().map(it -> it.info().name()).toList();
        }
    }

    private final Path path;
    private final Arena arena;
    private final Map<String, String> metadata;
    private final List<Change> changes;
    private final List<String> others;
    private final List<TextualInversion> words;
    private final PeftSettings settings;
    private final @Nullable Float guidance;

    private Adapter(Path path, Arena arena, ModelContents contents) throws ModelFormatException {
        this.path = path;
        this.arena = arena;
        metadata = contents.metadata();
        Map<String, Change> modules = new LinkedHashMap<>();
        List<String> unknown = new ArrayList<>();
        List<TextualInversion> embeddings = new ArrayList<>();
        for (TensorSource tensor : contents.tensors().values()) {
            if (EMBEDDING.equals(metadata.get(tensor.info().name()))) {
                embeddings.add(TextualInversion.of(path, tensor.info().name(), tensor));
                continue;
            }
            Name name = AdapterNames.parse(tensor.info().name());
            if (name == null) {
                unknown.add(tensor.info().name());
                continue;
            }
            Change change = modules.computeIfAbsent(name.module(), key -> new Change(key, new EnumMap<>(Part.class)));
            TensorSource other = change.parts.put(name.part(), part(tensor));
            if (other != null) {
                throw new ModelFormatException(
                        path,
                        "has '" + other.info().name() + "' and '"
                                + tensor.info().name() + "', which are the same part of a change; remove one");
            }
        }
        // An alpha alone belongs to a change of a kind that is not known here.
        modules.values().removeIf(change -> {
            boolean alone = change.parts.keySet().equals(Set.of(Part.ALPHA));
            if (alone) {
                unknown.addAll(change.tensors());
            }
            return alone;
        });
        changes = List.copyOf(modules.values());
        others = List.copyOf(unknown);
        words = List.copyOf(embeddings);
        if (changes.isEmpty()) {
            throw new ModelFormatException(
                    path,
                    "holds no adapter: no tensor is named as a part of a LoRA, LoHa, LoKr or DoRA is"
                            + (others.isEmpty() ? "" : ", such as '" + Json.shorten(others.getFirst()) + "'"));
        }
        AdapterChecks.require(path, changes, arena);
        settings = PeftSettings.of(path, metadata);
        guidance = guidance();
    }

    private static TensorSource part(TensorSource tensor) {
        TensorInfo info = tensor.info();
        return info.name().contains(OUTPUT_MAGNITUDES)
                ? new TensorSource.Relabelled(
                        new TensorInfo(info.name(), info.type(), List.of(info.elements())), tensor)
                : tensor;
    }

    /**
     * Maps a file and checks that it is whole: that its changes have all their parts, of ranks that agree, and that all
     * values are numbers. Whether it fits a model shows when it meets one.
     *
     * @throws ModelFormatException if it is no adapter or is damaged; the message names the tensor
     * @throws IOException if it cannot be read
     */
    public static Adapter open(Path file) throws IOException {
        // Who holds the adapter, or something made of it, keeps the file mapped.
        Arena arena = Arena.ofAuto();
        try {
            return new Adapter(file, arena, ModelReader.read(file, arena));
        } catch (NoSuchFileException e) {
            throw new NoSuchFileException(file.toString(), null, "there is no such file; check the path");
        }
    }

    /** The file as it was named to {@link #open}. */
    public Path path() {
        return path;
    }

    /** What the file says about itself; unmodifiable. */
    public Map<String, String> metadata() {
        return metadata;
    }

    /**
     * The guidance that this makes the model's own, as a student of guidance distillation (Golnari, arXiv 2312.06899): it
     * is drawn with in one call of the UNet a step, without a negative prompt. The file says so in its metadata, as
     * {@code aquarelle.guidance}. Null for other adapters, which leave guidance to the request.
     */
    public @Nullable Float bakedGuidance() {
        return guidance;
    }

    /** Textual inversions that came with it, to draw with where a prompt has their words; unmodifiable. */
    public List<TextualInversion> words() {
        return words;
    }

    List<Change> changes() {
        return changes;
    }

    /** Tensors that are no part of any change. */
    List<String> others() {
        return others;
    }

    /** Alpha over rank, which the product of two matrices is multiplied by; 1 where the file says nothing. */
    float factor(Change change, long rank) throws ModelFormatException {
        if (change.has(Part.ALPHA)) {
            return scalar(change.parts().get(Part.ALPHA)) / rank;
        }
        return settings.factor(change.module(), rank);
    }

    /** What a product of two whole factors, which have no rank, is multiplied by. */
    float wholeFactor(Change change) {
        return settings.wholeFactor(change.module());
    }

    private float scalar(TensorSource source) throws ModelFormatException {
        TensorInfo info = source.info();
        MemorySegment value = Arena.ofAuto().allocate(Float.BYTES);
        if (info.elements() == 1) {
            DataType type = info.type();
            if (type.isFloat()) {
                NumberTypes.convert(type, source.values(arena), DataType.F32, value);
                return value.get(FLOAT, 0);
            }
            MemorySegment bytes = source.values(arena);
            if (type == DataType.I64) {
                return bytes.get(ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN), 0);
            }
            if (type == DataType.I32) {
                return bytes.get(ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN), 0);
            }
        }
        throw new ModelFormatException(
                path,
                "has tensor '" + info.name() + "' of type " + info.type().label() + " and shape " + info.shape()
                        + " where a number must be");
    }

    /** The values of a part in a type that native code reads; lives as long as the adapter. */
    MemorySegment readable(TensorSource source) {
        TensorInfo info = source.info();
        DataType type = NumberTypes.readable(info.type());
        MemorySegment values = source.values(arena);
        if (type == info.type() && (!type.isQuantised() || values.address() % Integer.BYTES == 0)) {
            return values;
        }
        MemorySegment copy = arena.allocate(type.bytes(info.elements()), TensorSource.ALIGNMENT);
        NumberTypes.convert(info.type(), values, type, copy);
        return copy;
    }

    private @Nullable Float guidance() throws ModelFormatException {
        return Metadata.number(path, metadata, GUIDANCE, Float::valueOf, 1f, 1000f);
    }

    @Override
    public String toString() {
        return path.toString();
    }
}
