package io.aquarelle.evaluate;

import io.aquarelle.model.Autoencoder;
import java.awt.image.BufferedImage;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.IntStream;

/**
 * Which glyph a picture shows: the nearest of all, each drawn on the background that was asked for, so that a wrong
 * background costs every glyph the same. Pictures differ from the atlas in place and scale, so pixels are compared in
 * cells of 4 by 4, moved by up to one cell; latents as they are.
 */
final class Retrieval {
    private static final int CELL = 4;
    private static final int SIDE = Atlas.PICTURE / CELL;

    private final Atlas atlas;
    private final Autoencoder vae;
    private final Map<String, List<float[]>> pixels = new HashMap<>();
    private final Map<String, List<float[]>> latents = new HashMap<>();

    Retrieval(Atlas atlas, Autoencoder vae) {
        this.atlas = atlas;
        this.vae = vae;
    }

    /** The name of the glyph whose pixels are nearest. */
    String byPixels(BufferedImage picture, String background) {
        List<float[]> glyphs = pixels.computeIfAbsent(background, it -> every(it, Retrieval::cells));
        float[] cells = cells(picture);
        double[] distances =
                glyphs.stream().mapToDouble(glyph -> moved(cells, glyph)).toArray();
        return nearest(distances);
    }

    /** The name of the glyph whose latent, the mean of the encoder's distribution, is nearest. */
    String byLatent(BufferedImage picture, String background) {
        List<float[]> glyphs = latents.computeIfAbsent(background, it -> every(it, this::latent));
        float[] latent = latent(picture);
        double[] distances =
                glyphs.stream().mapToDouble(glyph -> distance(latent, glyph)).toArray();
        return nearest(distances);
    }

    private List<float[]> every(String background, Function<BufferedImage, float[]> describe) {
        return IntStream.range(0, atlas.names().size())
                .mapToObj(glyph -> describe.apply(atlas.picture(glyph, background)))
                .toList();
    }

    private static float[] cells(BufferedImage picture) {
        return Planes.shrink(Planes.of(picture), Atlas.PICTURE, CELL);
    }

    private float[] latent(BufferedImage picture) {
        int side = Atlas.PICTURE / vae.factor();
        float[] moments = vae.encode(Planes.of(picture), 1, side, side, null);
        return Arrays.copyOf(moments, moments.length / 2);
    }

    private String nearest(double[] distances) {
        int nearest = 0;
        for (int i = 1; i < distances.length; i++) {
            if (distances[i] < distances[nearest]) {
                nearest = i;
            }
        }
        return atlas.names().get(nearest);
    }

    private static double distance(float[] a, float[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += (a[i] - b[i]) * (a[i] - b[i]);
        }
        return sum;
    }

    /** The least mean square of differences, over all moves. */
    private static double moved(float[] a, float[] b) {
        double least = Double.MAX_VALUE;
        for (int dy = -1; dy <= 1; dy++) {
            for (int dx = -1; dx <= 1; dx++) {
                least = Math.min(least, moved(a, b, dx, dy));
            }
        }
        return least;
    }

    private static double moved(float[] a, float[] b, int dx, int dy) {
        double sum = 0;
        int count = 0;
        for (int c = 0; c < 3; c++) {
            for (int y = Math.max(0, dy); y < SIDE + Math.min(0, dy); y++) {
                for (int x = Math.max(0, dx); x < SIDE + Math.min(0, dx); x++) {
                    double difference = a[(c * SIDE + y) * SIDE + x] - b[(c * SIDE + y - dy) * SIDE + x - dx];
                    sum += difference * difference;
                    count++;
                }
            }
        }
        return sum / count;
    }
}
