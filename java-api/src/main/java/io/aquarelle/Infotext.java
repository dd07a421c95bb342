package io.aquarelle;

import io.aquarelle.model.AdapterUse;
import io.aquarelle.sampling.RandomSources;
import io.aquarelle.sampling.Samplers;
import io.aquarelle.sampling.SigmaSchedules;
import java.math.BigDecimal;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Prompt and settings as A1111's web UI writes them into its images ({@code create_infotext} in its
 * {@code modules/processing.py}): the prompt, a line {@code Negative prompt: ...} if there is one, and one line of
 * settings, {@code Steps: 20, Sampler: Euler a, ...}, in its order and with its names and defaults.
 */
final class Infotext {
    private static final Pattern NEEDS_QUOTES = Pattern.compile("[,:\n]");

    /** The random source of a text that names none. */
    private static final String ASSUMED_RNG = "NV";

    private Infotext() {}

    /**
     * The text for one image.
     *
     * @param seed of this image
     * @param model the checkpoint; A1111 knows it by its name without folder and ending
     */
    static String of(ImageRequest request, long seed, Path model) {
        var settings = new LinkedHashMap<String, String>();
        settings.put("Steps", String.valueOf(request.steps()));
        settings.put("Sampler", Samplers.displayName(request.sampler()));
        if (request.sigmas().isEmpty()) {
            settings.put("Schedule type", SigmaSchedules.displayName(request.schedule()));
        } else {
            String sigmas = request.sigmas().stream().map(Infotext::number).collect(Collectors.joining(", "));
            settings.put("Custom Sigmas", "[" + sigmas + "]"); // stable-diffusion.cpp's name; A1111 has none
        }
        settings.put("CFG scale", number(request.guidance()));
        settings.put("Seed", Long.toUnsignedString(seed));
        settings.put("Size", request.width() + "x" + request.height());
        settings.put("Model", name(model));
        if (request.variation().strength() > 0) {
            settings.put(
                    "Variation seed", Long.toUnsignedString(request.variation().seed()));
            settings.put("Variation seed strength", number(request.variation().strength()));
        }
        Hires hires = request.hires();
        if (request.image() != null || hires != null) {
            // A1111 has no second pass of pictures from pictures, and one key for both.
            settings.put("Denoising strength", number(hires == null ? request.strength() : hires.strength()));
        }
        if (request.clipSkip() > 1) {
            settings.put("Clip skip", String.valueOf(request.clipSkip()));
        }
        if (request.eta() != null) {
            boolean ddim = Samplers.displayName(request.sampler()).startsWith("DDIM");
            settings.put(ddim ? "Eta DDIM" : "Eta", number(request.eta()));
        }
        String rng = RandomSources.displayName(request.rng());
        if (!rng.equals(ASSUMED_RNG)) {
            settings.put("RNG", rng);
        }
        if (hires != null) {
            settings.put("Hires resize", hires.width() + "x" + hires.height());
            if (hires.steps() > 0) {
                settings.put("Hires steps", String.valueOf(hires.steps()));
            }
            settings.put("Hires upscaler", hires.title());
        }
        settings.put("Version", "Aquarelle " + Version.current());
        return text(request.prompt() + tags(request.adapters()), request.negativePrompt(), settings);
    }

    /** An infotext of a picture that was enlarged afterwards, with the keys of A1111's extras. */
    static String upscaled(String infotext, int factor, String upscaler) {
        return infotext + ", Postprocess upscale by: " + factor + ", Postprocess upscaler: " + quote(upscaler);
    }

    /** Adapters as A1111 has them in prompts. */
    private static String tags(List<AdapterUse> adapters) {
        return adapters.stream()
                .map(use -> " <lora:" + name(use.adapter().path()) + ":" + number(use.textScale())
                        + (use.unetScale() == use.textScale() ? "" : ":" + number(use.unetScale())) + ">")
                .collect(Collectors.joining());
    }

    static String text(String prompt, String negativePrompt, Map<String, String> settings) {
        String negative = negativePrompt.isEmpty() ? "" : "\nNegative prompt: " + negativePrompt;
        String line = settings.entrySet().stream()
                .map(setting -> setting.getKey() + ": " + quote(setting.getValue()))
                .collect(Collectors.joining(", "));
        return (prompt + negative + "\n" + line).strip();
    }

    /** The shortest digits, without a point in whole numbers. */
    static String number(float value) {
        return new BigDecimal(Float.toString(value)).stripTrailingZeros().toPlainString();
    }

    /** A file's name without its ending. */
    static String name(Path model) {
        String name = String.valueOf(model.getFileName());
        int dot = name.lastIndexOf('.');
        return dot > 0 ? name.substring(0, dot) : name;
    }

    /** A JSON string if the value would otherwise end early or look like a setting, else the value itself. */
    private static String quote(String value) {
        if (!NEEDS_QUOTES.matcher(value).find()) {
            return value;
        }
        var json = new StringBuilder("\"");
        for (char c : value.toCharArray()) {
            if (c < ' ') {
                json.append("\\u%04x".formatted((int) c));
            } else if (c == '"' || c == '\\') {
                json.append('\\').append(c);
            } else {
                json.append(c);
            }
        }
        return json.append('"').toString();
    }
}
