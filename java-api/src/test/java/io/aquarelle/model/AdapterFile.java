package io.aquarelle.model;

import io.aquarelle.model.EditableModel.Tensor;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.net.URISyntaxException;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;

/** An adapter to change and write. */
public final class AdapterFile {
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /** By name, in file order. */
    public final Map<String, Tensor> tensors = new LinkedHashMap<>();

    /** What the file says about itself. */
    public final Map<String, String> metadata = new LinkedHashMap<>();

    /** A file beside the golden adapters: "sd1-lora.safetensors", "sd1-word.pt", ... */
    public static Path golden(String name) {
        try {
            return Path.of(AdapterFile.class.getResource("adapters/" + name).toURI());
        } catch (URISyntaxException e) {
            throw new AssertionError(e);
        }
    }

    /** The tensors of a golden file of F16. */
    public static AdapterFile of(String name) throws IOException {
        AdapterFile adapter = new AdapterFile();
        try (Checkpoint file = Checkpoint.open(golden(name))) {
            for (TensorInfo info : file.tensors().values()) {
                short[] halves = file.data(info).toArray(SHORT);
                float[] values = new float[halves.length];
                for (int i = 0; i < halves.length; i++) {
                    values[i] = Float.float16ToFloat(halves[i]);
                }
                adapter.tensors.put(info.name(), new Tensor(info.shape(), values));
            }
        }
        return adapter;
    }

    /** The same with other names; without those for which there is none. */
    public AdapterFile renamed(UnaryOperator<String> names) {
        AdapterFile other = new AdapterFile();
        tensors.forEach((name, tensor) -> {
            String renamed = names.apply(name);
            if (renamed != null) {
                other.tensors.put(renamed, tensor);
            }
        });
        other.metadata.putAll(metadata);
        return other;
    }

    /** Adds alpha beside each half that ends so, as large as the rank. */
    public AdapterFile withAlpha(String down) {
        for (String name : List.copyOf(tensors.keySet())) {
            if (name.endsWith(down)) {
                float rank = tensors.get(name).shape().getFirst();
                String module = name.substring(0, name.length() - down.length());
                tensors.put(module + ".alpha", new Tensor(List.of(), new float[] {rank}));
            }
        }
        return this;
    }

    /** Writes it in F16. */
    public Path write(Path out) throws IOException {
        return EditableModel.write(out, tensors, metadata);
    }
}
