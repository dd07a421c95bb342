package io.aquarelle.model;

import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/** A small model of the golden files to change and write. */
public final class EditableModel {
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final int VOCABULARY = 49408;

    /** A tensor's values in PyTorch's order. */
    public record Tensor(List<Long> shape, float[] values) {
        /** The first {@code columns} of each row. */
        public Tensor narrowed(int columns) {
            int rows = Math.toIntExact(shape.getFirst());
            int width = values.length / rows;
            float[] narrow = new float[rows * columns];
            for (int row = 0; row < rows; row++) {
                System.arraycopy(values, row * width, narrow, row * columns, columns);
            }
            return new Tensor(List.of((long) rows, (long) columns), narrow);
        }

        /** As many values from the start as a shape needs. */
        Tensor reshaped(List<Long> other) {
            int count = other.stream().mapToInt(Math::toIntExact).reduce(1, Math::multiplyExact);
            return new Tensor(other, Arrays.copyOf(values, count));
        }
    }

    /** By name, in file order. */
    public final Map<String, Tensor> tensors = new LinkedHashMap<>();

    /** What the file says about itself. */
    public final Map<String, String> metadata = new LinkedHashMap<>();

    /** Nothing yet. */
    public static EditableModel empty() {
        return new EditableModel();
    }

    /** One of "sd1-nano", "sd2-nano", "sdxl-nano", or the F16 tensors of another golden file. */
    public static EditableModel of(String name) throws IOException {
        EditableModel model = new EditableModel();
        try (Checkpoint file = Checkpoint.open(NanoModel.golden(name))) {
            for (TensorInfo info : file.tensors().values()) {
                if (info.type() != DataType.F16) {
                    continue;
                }
                short[] halves = file.data(info).toArray(SHORT);
                float[] values = new float[halves.length];
                for (int i = 0; i < halves.length; i++) {
                    values[i] = Float.float16ToFloat(halves[i]);
                }
                model.tensors.put(info.name(), new Tensor(info.shape(), values));
            }
            model.metadata.putAll(file.metadata());
        }
        return model;
    }

    /** The UNet that {@code cuts.txt} describes under a name, and nothing else. */
    static EditableModel cut(String name) throws IOException {
        EditableModel cut = new EditableModel();
        EditableModel whole = null;
        for (String line : Files.readAllLines(NanoModel.golden("cuts", ".txt"))) {
            String[] words = line.replaceAll("[\\[\\]]", "").split(" ");
            if (line.startsWith("[")) {
                whole = words[0].equals(name) ? of(words[1] + "-nano") : null;
            } else if (whole != null && line.startsWith("-")) {
                String gone = ModelSpec.UNET_PREFIX + line.substring(1);
                cut.tensors.keySet().removeIf(tensor -> isUnder(tensor, gone));
            } else if (whole != null) {
                String old = ModelSpec.UNET_PREFIX + words[1];
                whole.tensors.forEach((tensor, values) -> {
                    if (isUnder(tensor, old)) {
                        String renamed = ModelSpec.UNET_PREFIX + words[0] + tensor.substring(old.length());
                        cut.tensors.put(renamed, words.length < 3 ? values : values.reshaped(numbers(words[2])));
                    }
                });
                cut.metadata.putAll(whole.metadata);
            }
        }
        return cut;
    }

    private static boolean isUnder(String tensor, String prefix) {
        return tensor.equals(prefix) || tensor.startsWith(prefix + ".");
    }

    private static List<Long> numbers(String list) {
        return Arrays.stream(list.split(",")).map(Long::parseLong).toList();
    }

    /** Puts random embeddings for the whole vocabulary of CLIP in place of a thousand, so that it takes any prompt. */
    public EditableModel withVocabulary() {
        SplittableRandom random = new SplittableRandom(11);
        tensors.replaceAll((name, tensor) -> {
            if (!name.endsWith("token_embedding.weight")) {
                return tensor;
            }
            int width = Math.toIntExact(tensor.shape().getLast());
            float[] table = new float[VOCABULARY * width];
            for (int i = 0; i < table.length; i++) {
                table[i] = (float) (random.nextGaussian() * 0.5);
            }
            return new Tensor(List.of((long) VOCABULARY, (long) width), table);
        });
        return this;
    }

    /** Writes it in F16. */
    public Path write(Path out) throws IOException {
        return write(out, tensors, metadata);
    }

    /** Writes tensors in F16. */
    static Path write(Path out, Map<String, Tensor> tensors, Map<String, String> metadata) throws IOException {
        var declarations = tensors.entrySet().stream()
                .map(entry -> new TensorInfo(
                        entry.getKey(), DataType.F16, entry.getValue().shape()))
                .toList();
        try (var writer = new SafetensorsWriter(out, declarations, metadata)) {
            for (TensorInfo place : writer.tensors()) {
                float[] values = tensors.get(place.name()).values();
                ByteBuffer bytes = ByteBuffer.allocate(2 * values.length).order(ByteOrder.LITTLE_ENDIAN);
                for (float value : values) {
                    bytes.putShort(Float.floatToFloat16(value));
                }
                writer.write(place, 0, bytes.flip());
            }
            writer.commit();
        }
        return out;
    }
}
