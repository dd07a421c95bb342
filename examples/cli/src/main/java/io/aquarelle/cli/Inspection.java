package io.aquarelle.cli;

import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.DataType;
import io.aquarelle.model.Distillation;
import io.aquarelle.model.ModelFormatException;
import io.aquarelle.model.ModelSpec;
import io.aquarelle.model.TensorInfo;
import java.util.ArrayList;
import java.util.Collection;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What a model file holds: a whole model, or any of its networks alone.
 *
 * @param family SD 1.x, SD 2.x, SDXL or SDXL refiner; null without a UNet, which tells it
 * @param distillation how it was trained to need fewer steps, null if it was not
 * @param prediction what the UNet predicts, eps or v; null where only its output tells, and without one
 * @param structure sizes of the networks, read from names and shapes
 * @param parts tensors of each network and of none of them
 * @param types tensors of each stored type
 */
record Inspection(
        String path,
        String family,
        String distillation,
        String prediction,
        Structure structure,
        Share all,
        Map<String, Share> parts,
        Map<DataType, Share> types,
        Map<String, String> metadata) {

    /** A number of tensors, the values in them, and the bytes that these take. */
    record Share(int tensors, long parameters, long bytes) {
        static final Share NONE = new Share(0, 0, 0);

        Share and(TensorInfo tensor) {
            return new Share(tensors + 1, parameters + tensor.elements(), bytes + tensor.byteSize());
        }
    }

    /** The networks of a model; 0 and an empty list stand for what the file lacks. */
    record Structure(UNet unet, List<TextEncoder> textEncoders, Vae vae) {
        private boolean isEmpty() {
            return unet.channels == 0 && textEncoders.isEmpty() && !vae.encoder && !vae.decoder;
        }
    }

    /** {@code labelWidth} is that of SDXL's vector of pooled text and sizes, 0 without it. */
    record UNet(
            long inChannels,
            long channels,
            int inputBlocks,
            boolean middleBlock,
            int outputBlocks,
            int transformerBlocks,
            long contextWidth,
            long labelWidth) {}

    record TextEncoder(String prefix, int layers, long width, long vocabulary) {}

    record Vae(long latentChannels, boolean encoder, boolean decoder) {}

    private static final String CONTROL_NET = "control_model.";
    private static final Pattern INPUT_BLOCK = block("input_blocks\\.\\d+");
    private static final Pattern MIDDLE_BLOCK = block("middle_block");
    private static final Pattern OUTPUT_BLOCK = block("output_blocks\\.\\d+");
    private static final Pattern TRANSFORMER_BLOCK =
            Pattern.compile("(" + Pattern.quote(ModelSpec.UNET_PREFIX) + ".*transformer_blocks\\.\\d+)\\..*");
    private static final Pattern TEXT_LAYER = Pattern.compile("(.*(?:layers|resblocks)\\.\\d+)\\..*");
    private static final Pattern TOKENS = Pattern.compile("(.*?)(?:embeddings\\.)?token_embedding\\.weight");

    static Inspection of(Checkpoint checkpoint) throws ModelFormatException {
        Structure structure = new Structure(unet(checkpoint), textEncoders(checkpoint), vae(checkpoint));
        ModelSpec spec = structure.unet.channels > 0 || structure.isEmpty() && !isControlNet(checkpoint)
                ? ModelSpec.of(checkpoint) // which refuses what holds no network
                : null;
        Collection<TensorInfo> tensors = checkpoint.tensors().values();
        Share all = Share.NONE;
        for (TensorInfo tensor : tensors) {
            all = all.and(tensor);
        }
        return new Inspection(
                checkpoint.path().toString(),
                spec == null ? null : spec.family().title(),
                spec == null || spec.distillation() == Distillation.NONE ? null : word(spec.distillation()),
                spec == null || spec.prediction() == null ? null : word(spec.prediction()),
                structure,
                all,
                shares(tensors, tensor -> part(tensor.name()), new LinkedHashMap<>()),
                shares(tensors, TensorInfo::type, new EnumMap<>(DataType.class)),
                checkpoint.metadata());
    }

    private static Pattern block(String name) {
        return Pattern.compile(Pattern.quote(ModelSpec.UNET_PREFIX) + "(" + name + ")\\..*");
    }

    private static String word(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT);
    }

    private static <K> Map<K, Share> shares(
            Collection<TensorInfo> tensors, Function<TensorInfo, K> key, Map<K, Share> shares) {
        for (TensorInfo tensor : tensors) {
            shares.put(
                    key.apply(tensor),
                    shares.getOrDefault(key.apply(tensor), Share.NONE).and(tensor));
        }
        return shares;
    }

    private static boolean isControlNet(Checkpoint checkpoint) {
        return checkpoint.tensors().keySet().stream().anyMatch(name -> name.startsWith(CONTROL_NET));
    }

    private static String part(String name) {
        if (name.startsWith(ModelSpec.UNET_PREFIX)) {
            return "unet";
        }
        if (name.startsWith(ModelSpec.VAE_PREFIX)) {
            return "vae";
        }
        if (name.startsWith(CONTROL_NET)) {
            return "control_net";
        }
        return name.startsWith("cond_stage_model.") || name.startsWith("conditioner.") ? "text_encoder" : "other";
    }

    private static UNet unet(Checkpoint checkpoint) {
        String input = ModelSpec.UNET_PREFIX + "input_blocks.0.0.weight";
        long context = checkpoint.tensors().keySet().stream()
                .filter(name -> name.startsWith(ModelSpec.UNET_PREFIX) && name.endsWith("attn2.to_k.weight"))
                .mapToLong(name -> side(checkpoint, name, 1))
                .findFirst()
                .orElse(0);
        return new UNet(
                side(checkpoint, input, 1),
                side(checkpoint, input, 0),
                groups(checkpoint, INPUT_BLOCK, ""),
                groups(checkpoint, MIDDLE_BLOCK, "") > 0,
                groups(checkpoint, OUTPUT_BLOCK, ""),
                groups(checkpoint, TRANSFORMER_BLOCK, ""),
                context,
                side(checkpoint, ModelSpec.UNET_PREFIX + "label_emb.0.0.weight", 1));
    }

    private static List<TextEncoder> textEncoders(Checkpoint checkpoint) {
        var encoders = new ArrayList<TextEncoder>();
        for (String name : checkpoint.tensors().keySet()) {
            Matcher tokens = TOKENS.matcher(name);
            if (tokens.matches()) {
                String prefix = tokens.group(1);
                encoders.add(new TextEncoder(
                        prefix,
                        groups(checkpoint, TEXT_LAYER, prefix),
                        side(checkpoint, name, 1),
                        side(checkpoint, name, 0)));
            }
        }
        return encoders;
    }

    private static Vae vae(Checkpoint checkpoint) {
        String decoder = ModelSpec.VAE_PREFIX + "decoder.conv_in.weight";
        String encoder = ModelSpec.VAE_PREFIX + "encoder.conv_in.weight";
        return new Vae(
                side(checkpoint, decoder, 1),
                checkpoint.tensors().containsKey(encoder),
                checkpoint.tensors().containsKey(decoder));
    }

    /** How many different first groups of {@code pattern} there are in names that start with {@code prefix}. */
    private static int groups(Checkpoint checkpoint, Pattern pattern, String prefix) {
        return (int) checkpoint.tensors().keySet().stream()
                .filter(name -> name.startsWith(prefix))
                .map(pattern::matcher)
                .filter(Matcher::matches)
                .map(matcher -> matcher.group(1))
                .distinct()
                .count();
    }

    /** The length of a dimension, 0 if there is no such tensor or dimension. */
    private static long side(Checkpoint checkpoint, String name, int dimension) {
        TensorInfo tensor = checkpoint.tensors().get(name);
        return tensor != null && dimension < tensor.shape().size()
                ? tensor.shape().get(dimension)
                : 0;
    }
}
