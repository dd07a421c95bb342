package io.aquarelle.evaluate;

import java.awt.Color;
import java.awt.image.BufferedImage;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/** The colours of backgrounds that the model knows by name, and white, which goes unnamed. */
final class Backgrounds {
    static final String UNNAMED = "white";
    private static final int BORDER = 4;
    private static final Map<String, Color> COLOURS = read();

    private Backgrounds() {}

    private static Map<String, Color> read() {
        var colours = new LinkedHashMap<String, Color>();
        colours.put(UNNAMED, Color.WHITE);
        for (String line : Resources.lines("colours.txt")) {
            String[] words = line.split(" ");
            colours.put(words[0], Color.decode(words[1]));
        }
        return colours;
    }

    static Color colour(String name) {
        return COLOURS.get(name);
    }

    /** The name of the colour nearest to the median of the picture's outermost pixels. */
    static String of(BufferedImage picture) {
        int[][] border = new int[3][];
        for (int channel = 0; channel < 3; channel++) {
            border[channel] = border(picture, channel);
        }
        String nearest = UNNAMED;
        double least = Double.MAX_VALUE;
        for (var entry : COLOURS.entrySet()) {
            Color colour = entry.getValue();
            double distance = Math.hypot(
                    Math.hypot(median(border[0]) - colour.getRed(), median(border[1]) - colour.getGreen()),
                    median(border[2]) - colour.getBlue());
            if (distance < least) {
                least = distance;
                nearest = entry.getKey();
            }
        }
        return nearest;
    }

    private static int[] border(BufferedImage picture, int channel) {
        int width = picture.getWidth();
        int height = picture.getHeight();
        int[] values = new int[width * height];
        int count = 0;
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                if (Math.min(Math.min(x, width - 1 - x), Math.min(y, height - 1 - y)) < BORDER) {
                    values[count++] = picture.getRGB(x, y) >> 16 - 8 * channel & 0xff;
                }
            }
        }
        return Arrays.copyOf(values, count);
    }

    private static int median(int[] values) {
        int[] sorted = values.clone();
        Arrays.sort(sorted);
        return sorted[sorted.length / 2];
    }
}
