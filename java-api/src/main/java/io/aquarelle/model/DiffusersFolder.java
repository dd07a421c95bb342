package io.aquarelle.model;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Reads a folder of diffusers: one folder a network ({@code unet}, {@code vae}, {@code text_encoder},
 * {@code text_encoder_2}), each with its weights and a {@code config.json}, and the settings of a scheduler. Tensors get
 * the folder's name before theirs; what shapes do not tell is taken from the settings into the metadata.
 */
final class DiffusersFolder {
    /** Key of a text tower's activation, behind its folder's name: {@code quick_gelu} or {@code gelu}. */
    static final String ACTIVATION = "hidden_act";

    private static final String UNET = "unet";
    private static final String VAE = "vae";
    private static final List<String> NETWORKS = List.of(UNET, VAE, "text_encoder", "text_encoder_2");
    private static final int MAX_CONFIG = 1_000_000;

    /** Weights as diffusers and transformers name them: name, variant, and file or index. */
    private static final Pattern WEIGHTS = Pattern.compile(
            "(?:diffusion_pytorch_model|pytorch_model|model)"
                    + "(?:\\.(?<before>\\w+))??\\.(?<type>safetensors|gguf|bin)(?<index>\\.index(?:\\.(?<after>\\w+))?\\.json)?");

    private final Path folder;
    private final Map<String, TensorSource> tensors = new LinkedHashMap<>();
    private final Map<String, String> metadata = new LinkedHashMap<>();

    private DiffusersFolder(Path folder) {
        this.folder = folder;
    }

    /** Reads all networks of a model, or the one network whose folder this is. */
    static ModelContents read(Path folder, Arena arena) throws IOException {
        if (!Files.isDirectory(folder.resolve(UNET))) {
            Path weights = weights(folder)
                    .orElseThrow(() -> new ModelFormatException(
                            folder, "is a folder without a model of diffusers; name a model file in it"));
            return ModelReader.read(weights, arena);
        }
        return new DiffusersFolder(folder).read(arena);
    }

    private ModelContents read(Arena arena) throws IOException {
        for (String network : NETWORKS) {
            Path part = folder.resolve(network);
            if (!Files.isDirectory(part)) {
                continue;
            }
            Path weights = weights(part)
                    .orElseThrow(() -> new ModelFormatException(
                            part, "has no weights, such as model.safetensors; download the whole model"));
            for (TensorSource tensor :
                    ModelReader.read(weights, arena).tensors().values()) {
                TensorInfo info =
                        tensor.info().named(network + "." + tensor.info().name());
                tensors.put(info.name(), new TensorSource.Relabelled(info, tensor));
            }
        }
        describe();
        return new ModelContents(tensors, metadata);
    }

    /** Safetensors before pickles, whole files before shards, plain ones before variants, {@code fp16} before others. */
    private static Optional<Path> weights(Path folder) throws IOException {
        record Choice(Path file, String type, boolean index, String variant) {}
        List<Choice> choices = new ArrayList<>();
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : (Iterable<Path>) files.sorted()::iterator) {
                Matcher name = WEIGHTS.matcher(file.getFileName().toString());
                if (name.matches()) {
                    String variant = name.group("before") != null ? name.group("before") : name.group("after");
                    choices.add(new Choice(
                            file, name.group("type"), name.group("index") != null, variant == null ? "" : variant));
                }
            }
        }
        return choices.stream()
                .min(Comparator.comparing((Choice choice) ->
                                List.of("safetensors", "gguf", "bin").indexOf(choice.type))
                        .thenComparing(choice -> choice.variant.isEmpty() ? 0 : choice.variant.equals("fp16") ? 1 : 2)
                        .thenComparing(Choice::index))
                .map(Choice::file);
    }

    private void describe() throws IOException {
        Map<?, ?> unet = config(UNET + "/config.json");
        Object heads = unet.get("num_attention_heads") != null
                ? unet.get("num_attention_heads")
                : unet.get("attention_head_dim"); // which is what diffusers calls the number of heads
        if (heads instanceof Long count) {
            metadata.put("num_heads", count.toString());
        } else if (heads instanceof List<?> counts && unet.get("block_out_channels") instanceof List<?> widths) {
            headWidth(counts, widths);
        }
        Map<?, ?> scheduler = config("scheduler/scheduler_config.json");
        boolean edm = scheduler.get("_class_name") instanceof String name && name.startsWith("EDM");
        text("prediction_type", edm ? ModelSpec.EDM : scheduler.get("prediction_type"));
        text("scale_factor", config(VAE + "/config.json").get("scaling_factor"));
        text("clip_heads", config("text_encoder/config.json").get("num_attention_heads"));
        for (String tower : NETWORKS.subList(2, 4)) {
            text(tower + "." + ACTIVATION, config(tower + "/config.json").get(ACTIVATION));
        }
    }

    /** Numbers of heads a level, of one width at all. */
    private void headWidth(List<?> counts, List<?> widths) {
        List<Long> heads = new ArrayList<>();
        for (int i = 0; i < Math.min(counts.size(), widths.size()); i++) {
            if (counts.get(i) instanceof Long count && count > 0 && widths.get(i) instanceof Long width) {
                heads.add(width / count);
            }
        }
        if (!heads.isEmpty() && heads.stream().distinct().count() == 1) {
            metadata.put("head_dim", heads.getFirst().toString());
        }
    }

    private void text(String key, Object value) {
        if (value instanceof String || value instanceof Number) {
            metadata.put(key, value.toString());
        }
    }

    /** A file of settings, empty if there is none. */
    private Map<?, ?> config(String name) throws IOException {
        Path file = folder.resolve(name);
        if (!Files.isRegularFile(file)) {
            return Map.of();
        }
        if (Files.size(file) > MAX_CONFIG) {
            throw new ModelFormatException(file, "is larger than any settings; download it again");
        }
        try {
            return Json.parse(new String(Files.readAllBytes(file), StandardCharsets.UTF_8)) instanceof Map<?, ?> map
                    ? map
                    : Map.of();
        } catch (Json.SyntaxException e) {
            throw new ModelFormatException(file, "is not valid JSON: " + e.getMessage() + "; download it again");
        }
    }
}
