package io.aquarelle.model;

import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.net.URISyntaxException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;

/** The small models of the golden files, and variants of that of SD 1.x. */
public final class NanoModel {
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final String TOKENS = "embeddings.token_embedding.weight";
    private static final String POSITIONS = "embeddings.position_embedding.weight";
    private static final int VOCABULARY = 49408;
    private static final int WIDTH = 64;

    /** Another matrix in place of a tensor. */
    private record Matrix(int rows, float[] values) {
        List<Long> shape() {
            return List.of((long) rows, (long) values.length / rows);
        }
    }

    private NanoModel() {}

    /** A golden file: "sd1-nano", "sd2-nano", "sdxl-nano", or one of these with "-golden" behind. */
    public static Path golden(String name) {
        return golden(name, ".safetensors");
    }

    /** A file of any ending beside them. */
    public static Path golden(String name, String ending) {
        try {
            return Path.of(
                    NanoModel.class.getResource("golden/" + name + ending).toURI());
        } catch (URISyntaxException e) {
            throw new AssertionError(e);
        }
    }

    /** The values of a golden tensor. */
    public static float[] floats(Checkpoint golden, String name) {
        return golden.data(golden.tensors().get(name)).toArray(FLOAT);
    }

    /** The values of a golden tensor of token ids. */
    static int[] ids(Checkpoint golden, String name) {
        long[] ids = golden.data(golden.tensors().get(name)).toArray(LONG);
        return Arrays.stream(ids).mapToInt(Math::toIntExact).toArray();
    }

    /** Writes a model with all weights in another type. */
    static void convert(String model, DataType type, Path out) throws IOException {
        write(model, out, type, UnaryOperator.identity(), tensor -> true, Map.of());
    }

    /** Writes the model as F32 with the values that its weights have in another type. */
    static void convertRounded(DataType type, Path out) throws IOException {
        write(
                "sd1-nano",
                out,
                DataType.F32,
                value -> type == DataType.BF16 ? bfloat16(value) : value,
                tensor -> true,
                Map.of());
    }

    /**
     * Writes the model with random embeddings for the whole vocabulary of CLIP in place of its thousand, so that it
     * takes any prompt; 12 MB.
     */
    public static void writeDrawable(Path out) throws IOException {
        writeDrawable(out, tensor -> true);
    }

    /** The same without the tensors whose names fail {@code keep}. */
    public static void writeDrawable(Path out, Predicate<String> keep) throws IOException {
        float[] table = new float[VOCABULARY * WIDTH];
        SplittableRandom random = new SplittableRandom(11);
        for (int i = 0; i < table.length; i++) {
            table[i] = (float) (random.nextGaussian() * 0.5);
        }
        write(
                "sd1-nano",
                out,
                DataType.F16,
                UnaryOperator.identity(),
                keep,
                Map.of(TOKENS, new Matrix(VOCABULARY, table)));
    }

    /** Writes the model with a UNet that takes text embeddings of width 32 where the text encoder makes 64. */
    public static void writeMisfit(Path out) throws IOException {
        Map<String, Matrix> replaced = new HashMap<>();
        try (Checkpoint nano = Checkpoint.open(golden("sd1-nano"))) {
            for (TensorInfo tensor : nano.tensors().values()) {
                if (tensor.name().contains("attn2.to_k.weight") || tensor.name().contains("attn2.to_v.weight")) {
                    int rows = Math.toIntExact(tensor.shape().getFirst());
                    replaced.put(tensor.name(), new Matrix(rows, new float[rows * WIDTH / 2]));
                }
            }
        }
        write("sd1-nano", out, DataType.F16, UnaryOperator.identity(), tensor -> true, replaced);
    }

    /** Writes the model with a whole vocabulary and a text encoder that takes chunks of 76 tokens at most. */
    public static void writeShort(Path out) throws IOException {
        Map<String, Matrix> replaced = Map.of(
                TOKENS, new Matrix(VOCABULARY, new float[VOCABULARY * WIDTH]),
                POSITIONS, new Matrix(76, new float[76 * WIDTH]));
        write("sd1-nano", out, DataType.F16, UnaryOperator.identity(), tensor -> true, replaced);
    }

    /** Tensors whose names end in a key of {@code replaced} become what it says. */
    private static void write(
            String model,
            Path out,
            DataType type,
            UnaryOperator<Float> rounding,
            Predicate<String> keep,
            Map<String, Matrix> replaced)
            throws IOException {
        try (Checkpoint nano = Checkpoint.open(golden(model))) {
            List<TensorInfo> sources = nano.tensors().values().stream()
                    .filter(tensor -> keep.test(tensor.name()))
                    .toList();
            List<TensorInfo> declarations = sources.stream()
                    .map(tensor -> new TensorInfo(tensor.name(), type, shape(tensor, replaced)))
                    .toList();
            try (SafetensorsWriter writer = new SafetensorsWriter(out, declarations, nano.metadata())) {
                for (int i = 0; i < sources.size(); i++) {
                    Matrix other = replacement(sources.get(i), replaced);
                    float[] values = other == null ? halves(nano, sources.get(i)) : other.values();
                    writer.write(writer.tensors().get(i), 0, encode(values, type, rounding));
                }
                writer.commit();
            }
        }
    }

    private static Matrix replacement(TensorInfo tensor, Map<String, Matrix> replaced) {
        return replaced.entrySet().stream()
                .filter(entry -> tensor.name().endsWith(entry.getKey()))
                .map(Map.Entry::getValue)
                .findFirst()
                .orElse(null);
    }

    private static List<Long> shape(TensorInfo tensor, Map<String, Matrix> replaced) {
        Matrix other = replacement(tensor, replaced);
        return other == null ? tensor.shape() : other.shape();
    }

    private static float[] halves(Checkpoint nano, TensorInfo tensor) {
        short[] halves = nano.data(tensor).toArray(SHORT);
        float[] values = new float[halves.length];
        for (int i = 0; i < halves.length; i++) {
            values[i] = Float.float16ToFloat(halves[i]);
        }
        return values;
    }

    private static ByteBuffer encode(float[] values, DataType type, UnaryOperator<Float> rounding) {
        ByteBuffer bytes = ByteBuffer.allocate((int) type.bytes(values.length)).order(ByteOrder.LITTLE_ENDIAN);
        for (float exact : values) {
            float value = rounding.apply(exact);
            switch (type) {
                case F32 -> bytes.putFloat(value);
                case F16 -> bytes.putShort(Float.floatToFloat16(value));
                case BF16 -> bytes.putShort((short) (Float.floatToIntBits(bfloat16(value)) >>> 16));
                default -> throw new IllegalArgumentException("" + type);
            }
        }
        return bytes.flip();
    }

    /** The nearest value that has 8 significant bits, ties to even. */
    static float bfloat16(float value) {
        int bits = Float.floatToIntBits(value);
        return Float.intBitsToFloat((bits + 0x7fff + (bits >>> 16 & 1)) & 0xffff0000);
    }
}
