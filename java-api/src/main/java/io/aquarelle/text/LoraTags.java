package io.aquarelle.text;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Adapters named in a prompt, as A1111's web UI and stable-diffusion.cpp have it: {@code <lora:NAME>},
 * {@code <lora:NAME:SCALE>}, {@code <lora:NAME:TEXT:UNET>} with a scale for each network, or
 * {@code <lora:NAME:te=TEXT:unet=UNET>}; {@code lyco} means the same.
 *
 * @param text the prompt without them
 * @param tags what they say, in order
 */
public record LoraTags(String text, List<Tag> tags) {
    private static final Pattern TAG = Pattern.compile("<(?:lora|lyco):([^:>]++)((?::[^>]*+)?+)>");

    /** One of them; without a scale, both are 1. */
    public record Tag(String name, float textScale, float unetScale) {}

    /** Copies the list. */
    public LoraTags {
        tags = List.copyOf(tags);
    }

    /**
     * Takes the tags out of a prompt.
     *
     * @throws IllegalArgumentException if a scale is no number; the message names the tag
     */
    public static LoraTags parse(String prompt) {
        List<Tag> tags = new ArrayList<>();
        Matcher matcher = TAG.matcher(prompt);
        StringBuilder rest = new StringBuilder();
        while (matcher.find()) {
            tags.add(tag(matcher.group(), matcher.group(1).strip(), matcher.group(2)));
            matcher.appendReplacement(rest, "");
        }
        if (tags.isEmpty()) {
            return new LoraTags(prompt, tags);
        }
        return new LoraTags(matcher.appendTail(rest).toString().strip(), tags);
    }

    private static Tag tag(String whole, String name, String scales) {
        Float text = null;
        Float unet = null;
        int position = 0;
        for (String scale :
                scales.isEmpty() ? new String[0] : scales.substring(1).split(":", -1)) {
            if (scale.startsWith("te=")) {
                text = number(whole, scale.substring("te=".length()));
            } else if (scale.startsWith("unet=")) {
                unet = number(whole, scale.substring("unet=".length()));
            } else if (position == 0) {
                text = number(whole, scale);
                position++;
            } else if (position == 1) {
                unet = number(whole, scale);
                position++;
            } else {
                throw new IllegalArgumentException(whole + " has more than two scales; write <lora:NAME:SCALE>");
            }
        }
        float first = text != null ? text : 1;
        return new Tag(name, first, unet != null ? unet : first);
    }

    private static float number(String whole, String scale) {
        try {
            float number = Float.parseFloat(scale.strip());
            if (Float.isFinite(number)) {
                return number;
            }
        } catch (NumberFormatException e) {
            // reported below like any other wrong number
        }
        throw new IllegalArgumentException(
                whole + " has scale '" + scale + "', which is no number; write <lora:NAME:0.8>");
    }
}
