package io.aquarelle.model;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Which types the tensors of a model are to be stored in: one for all that it suits, and others by rules on names.
 *
 * <p>Vectors (biases, norms) stay as they are when the type is a quantised one, and so do, unless a rule names them, the
 * first and last layers and those of the timestep, which are small and which all else depends on. Token embeddings and
 * the VAE get no less than 8 bits. Rows that do not fill the blocks of a type get a similar one of smaller blocks, as in
 * llama.cpp, or stay F16. Convolution kernels are quantised as rows of inputs x height x width.
 */
public final class StoredTypes {
    /** A type for the tensors in whose names {@code names} is found. */
    public record Rule(Pattern names, DataType type) {}

    /**
     * What becomes of a tensor.
     *
     * @param tensor as the model has it
     * @param type that it gets
     * @param reason why it is not the type that was asked for; null if it is
     */
    public record Choice(
            TensorInfo tensor, DataType type, @Nullable String reason) {
        /** The tensor as it will be. */
        public TensorInfo result() {
            return new TensorInfo(tensor.name(), type, tensor.shape());
        }
    }

    /** Types that values can be stored in. */
    public static final List<DataType> WRITABLE = List.of(
            DataType.F32,
            DataType.F16,
            DataType.BF16,
            DataType.Q4_0,
            DataType.Q4_1,
            DataType.Q5_0,
            DataType.Q5_1,
            DataType.Q8_0,
            DataType.Q2_K,
            DataType.Q3_K,
            DataType.Q4_K,
            DataType.Q5_K,
            DataType.Q6_K,
            DataType.IQ4_NL);

    private static final Map<DataType, DataType> SMALLER_BLOCKS = Map.of(
            DataType.Q2_K, DataType.Q4_0,
            DataType.Q3_K, DataType.Q4_0,
            DataType.Q4_K, DataType.Q5_0,
            DataType.Q5_K, DataType.Q5_1,
            DataType.Q6_K, DataType.Q8_0);

    private static final Pattern SENSITIVE = Pattern.compile("\\.(time_embed|label_emb|input_blocks\\.0\\.0|out\\.2"
            + "|(?:encoder|decoder)\\.conv_(?:in|out)|quant_conv|post_quant_conv)\\."
            + "|position_embedding|positional_embedding|text_projection");

    private static final Pattern EIGHT_BITS = Pattern.compile("^first_stage_model\\.|token_embedding");

    private final @Nullable DataType type;
    private final List<Rule> rules;
    private final boolean keepsKernels;

    private StoredTypes(@Nullable DataType type, List<Rule> rules, boolean keepsKernels) {
        this.type = type;
        this.rules = List.copyOf(rules);
        this.keepsKernels = keepsKernels;
        rules.forEach(rule -> requireWritable(rule.type));
    }

    /** All tensors as they are. */
    public static StoredTypes unchanged() {
        return new StoredTypes(null, List.of(), false);
    }

    /**
     * One type for all tensors that it suits.
     *
     * @throws IllegalArgumentException if it is none of {@link #WRITABLE}
     */
    public static StoredTypes of(DataType type) {
        requireWritable(type);
        return new StoredTypes(type, List.of(), false);
    }

    /** The same with another rule, which counts where those before it do not apply. */
    public StoredTypes with(Rule rule) {
        var all = new ArrayList<>(rules);
        all.add(rule);
        return new StoredTypes(type, all, keepsKernels);
    }

    /**
     * The same with convolution kernels in F16 in place of a quantised type, as stable-diffusion.cpp and other programs
     * on ggml need them.
     */
    public StoredTypes keepingKernels() {
        return new StoredTypes(type, rules, true);
    }

    /** Whether any tensor may get a quantised type. */
    public boolean quantises() {
        return type != null && type.isQuantised() || rules.stream().anyMatch(rule -> rule.type.isQuantised());
    }

    private static void requireWritable(DataType type) {
        if (!WRITABLE.contains(type)) {
            throw new IllegalArgumentException("weights cannot be stored as " + type.label());
        }
    }

    /**
     * What becomes of the tensors of a model, in its order.
     *
     * @throws IllegalStateException if it is closed
     */
    public List<Choice> choose(Checkpoint model) {
        return model.tensors().values().stream()
                .map(tensor -> choose(model, tensor))
                .toList();
    }

    private Choice choose(Checkpoint model, TensorInfo tensor) {
        Rule rule = rules.stream()
                .filter(it -> it.names.matcher(tensor.name()).find())
                .findFirst()
                .orElse(null);
        DataType wanted = rule != null ? rule.type : type;
        if (wanted == null || wanted == tensor.type()) {
            return new Choice(tensor, tensor.type(), null);
        }
        if (!tensor.type().isFloat() && !tensor.type().isQuantised()) {
            return new Choice(tensor, tensor.type(), "holds no fractions");
        }
        if (!wanted.isQuantised()) {
            return plain(model, tensor, wanted, null);
        }
        boolean matrix = tensor.shape().size() >= 2;
        if (!matrix) {
            return new Choice(tensor, NumberTypes.readable(tensor.type()), "is a vector");
        }
        if (rule == null && SENSITIVE.matcher(tensor.name()).find()) {
            return plain(model, tensor, DataType.F16, "is small and all else depends on it");
        }
        if (keepsKernels && tensor.shape().size() > 2) {
            return plain(model, tensor, DataType.F16, "is a convolution kernel");
        }
        String reason = null;
        DataType suited = wanted;
        if (rule == null
                && bits(wanted) < 8
                && EIGHT_BITS.matcher(tensor.name()).find()) {
            suited = DataType.Q8_0;
            reason = "embeddings and the VAE keep 8 bits";
        }
        String misfit = "has rows of " + tensor.columns() + ", which do not fill blocks of " + suited.block();
        if (tensor.columns() % suited.block() != 0) {
            suited = SMALLER_BLOCKS.getOrDefault(suited, suited);
            reason = misfit;
        }
        return tensor.columns() % suited.block() == 0
                ? new Choice(tensor, suited, reason)
                : plain(model, tensor, DataType.F16, misfit);
    }

    private static double bits(DataType type) {
        return 8.0 * type.blockBytes() / type.block();
    }

    /** Halves only if they hold all values. */
    private static Choice plain(Checkpoint model, TensorInfo tensor, DataType wanted, @Nullable String reason) {
        if (wanted == DataType.F16 && tensor.type() != DataType.F16) {
            if (tensor.type() == DataType.BF16 && reason != null) {
                return new Choice(tensor, DataType.BF16, reason); // no smaller as F16, and exact
            }
            if (!NumberTypes.fitF16(tensor.type(), model.data(tensor))) {
                return new Choice(tensor, NumberTypes.readable(tensor.type()), "has values too large for f16");
            }
        }
        return new Choice(tensor, wanted, reason);
    }
}
