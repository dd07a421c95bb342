package io.aquarelle.evaluate;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A prompt of the fixed list.
 *
 * @param text as the model gets it
 * @param glyph name of what it should draw
 * @param background name of the colour behind it
 * @param seed its own, always the same
 */
record Prompt(String text, String glyph, String background, long seed) {
    private static final long FIRST_SEED = 1000;
    private static final Pattern WITH_BACKGROUND = Pattern.compile("(.+) on an? (\\w+) background");

    static List<Prompt> all() {
        List<Prompt> prompts = new ArrayList<>();
        for (String line : Resources.lines("prompts.txt")) {
            prompts.add(of(line, FIRST_SEED + prompts.size()));
        }
        return prompts;
    }

    static Prompt of(String text, long seed) {
        Matcher matcher = WITH_BACKGROUND.matcher(text);
        return matcher.matches()
                ? new Prompt(text, matcher.group(1), matcher.group(2), seed)
                : new Prompt(text, text, Backgrounds.UNNAMED, seed);
    }

    boolean namesBackground() {
        return !text.equals(glyph);
    }
}
