package io.aquarelle.model;

import java.nio.file.Path;
import java.util.Map;

/**
 * What PEFT writes of its settings into a safetensors file's metadata: a JSON object of {@code NETWORK.lora_alpha} and the
 * like. It has them in place of tensors of alpha.
 */
final class PeftSettings {
    private static final String KEY = "lora_adapter_metadata";
    private static final PeftSettings NONE = new PeftSettings(Map.of());

    private final Map<?, ?> values;

    private PeftSettings(Map<?, ?> values) {
        this.values = values;
    }

    static PeftSettings of(Path path, Map<String, String> metadata) throws ModelFormatException {
        String text = metadata.get(KEY);
        if (text == null) {
            return NONE;
        }
        try {
            return Json.parse(text) instanceof Map<?, ?> map ? new PeftSettings(map) : NONE;
        } catch (Json.SyntaxException e) {
            throw new ModelFormatException(path, "has metadata " + KEY + " that is not valid JSON: " + e.getMessage());
        }
    }

    /** Alpha over rank, or over its root with rank stabilisation (Kalajdzievski, arXiv 2312.03732). */
    float factor(String module, long rank) {
        // Of a network alone, PEFT writes names without the network's.
        int dot = module.indexOf('.');
        String own = dot < 0 ? "" : module.substring(0, dot + 1);
        String network =
                values.keySet().stream().anyMatch(key -> key instanceof String name && name.startsWith(own)) ? own : "";
        Double alpha = values.get(network + "lora_alpha") instanceof Number number ? number.doubleValue() : null;
        if (values.get(network + "alpha_pattern") instanceof Map<?, ?> pattern) {
            Object other = pattern.get(module.substring(network.length()));
            alpha = other instanceof Number number ? Double.valueOf(number.doubleValue()) : alpha;
        }
        if (alpha == null) {
            return 1;
        }
        boolean stabilised = Boolean.TRUE.equals(values.get(network + "use_rslora"));
        return (float) (alpha / (stabilised ? Math.sqrt(rank) : rank));
    }
}
