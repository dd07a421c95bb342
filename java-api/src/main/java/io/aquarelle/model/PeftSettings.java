package io.aquarelle.model;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * What PEFT has in place of tensors of alpha: settings as a JSON object. diffusers writes it into a file's metadata, with
 * {@code unet.} or the like before each key, PEFT into a file of its own beside {@code adapter_model.safetensors}.
 */
final class PeftSettings {
    private static final String KEY = "lora_adapter_metadata";
    private static final String FILE = "adapter_config.json";
    private static final String MODEL = "adapter_model.";
    private static final long MAX_BYTES = 1 << 20;
    private static final Pattern NAME = Pattern.compile("\\^?[\\w.-]+");
    private static final PeftSettings NONE = new PeftSettings(Map.of());

    private final Map<?, ?> values;

    private PeftSettings(Map<?, ?> values) {
        this.values = values;
    }

    static PeftSettings of(Path path, Map<String, String> metadata) throws ModelFormatException {
        String text = metadata.get(KEY);
        Path file = path.resolveSibling(FILE);
        boolean beside = text == null && String.valueOf(path.getFileName()).startsWith(MODEL) && Files.exists(file);
        if (beside) {
            try {
                if (Files.size(file) > MAX_BYTES) {
                    throw new ModelFormatException(file, "is no file of PEFT's settings: it is too large");
                }
                text = Files.readString(file);
            } catch (ModelFormatException e) {
                throw e;
            } catch (IOException e) {
                throw new ModelFormatException(file, "cannot be read as text");
            }
        }
        if (text == null) {
            return NONE;
        }
        String what = beside ? "text" : "metadata " + KEY;
        try {
            var settings = Json.parse(text) instanceof Map<?, ?> map ? new PeftSettings(map) : NONE;
            for (String pattern : settings.patterns()) {
                if (!NAME.matcher(pattern).matches()) {
                    throw new ModelFormatException(
                            beside ? file : path,
                            "has " + what + " with the pattern '" + Json.shorten(pattern)
                                    + "', but only names of layers are known");
                }
            }
            return settings;
        } catch (Json.SyntaxException e) {
            throw new ModelFormatException(
                    beside ? file : path, "has " + what + " that is not valid JSON: " + e.getMessage());
        }
    }

    private List<String> patterns() {
        return values.entrySet().stream()
                .filter(it -> String.valueOf(it.getKey()).endsWith("_pattern"))
                .flatMap(it -> it.getValue() instanceof Map<?, ?> map ? map.keySet().stream() : Stream.of())
                .map(String::valueOf)
                .toList();
    }

    /** Alpha over rank, or over its root with rank stabilisation (Kalajdzievski, arXiv 2312.03732). */
    float factor(String module, long rank) {
        String network = network(module);
        Double alpha = number(network, "alpha_pattern", module, number(network + "lora_alpha"));
        if (alpha == null) { // PEFT's LoHa and LoKr
            alpha = number(network, "alpha_pattern", module, number(network + "alpha"));
        }
        if (alpha == null) {
            return 1;
        }
        boolean stabilised = Boolean.TRUE.equals(values.get(network + "use_rslora"));
        return (float) (alpha / (stabilised ? Math.sqrt(rank) : rank));
    }

    /** The same where the tensors have no rank, by the rank that was asked for. */
    float wholeFactor(String module) {
        String network = network(module);
        Double rank = number(network, "rank_pattern", module, number(network + "r"));
        return rank == null || rank < 1 ? 1 : factor(module, rank.longValue());
    }

    /** What stands before the keys of a module's network: nothing where the file is of one network. */
    private String network(String module) {
        int dot = module.indexOf('.');
        String own = dot < 0 ? "" : module.substring(0, dot + 1);
        return values.keySet().stream().anyMatch(key -> key instanceof String name && name.startsWith(own)) ? own : "";
    }

    private @Nullable Double number(String key) {
        return values.get(key) instanceof Number number ? number.doubleValue() : null;
    }

    /** The number of the first pattern that a module's name ends with, or is where it begins with {@code ^}. */
    private @Nullable Double number(String network, String patterns, String module, @Nullable Double other) {
        if (values.get(network + patterns) instanceof Map<?, ?> map) {
            String name = module.substring(network.length()).replace(AdapterNames.PEFT_PREFIX, "");
            for (var pattern : map.entrySet()) {
                String ending = String.valueOf(pattern.getKey());
                boolean fits =
                        ending.startsWith("^") ? name.equals(ending.substring(1)) : ("." + name).endsWith("." + ending);
                if (fits && pattern.getValue() instanceof Number number) {
                    return number.doubleValue();
                }
            }
        }
        return other;
    }
}
