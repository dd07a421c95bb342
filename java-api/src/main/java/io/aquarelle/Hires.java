package io.aquarelle;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * A second pass at a larger size, as A1111's "hires. fix": the first one draws the picture at the size that the model
 * knows, then its latent or its pixels are enlarged, noise is added, and the steps that this leaves are drawn anew.
 *
 * @param width pixels, a multiple of 8 from 8 to 8192
 * @param height pixels, likewise
 * @param method what enlarges
 * @param model a network that enlarges the pixels first, of which {@link Method#LANCZOS} then makes the size asked for;
 *     null for none. It stays open
 * @param steps of the second pass, all of which are drawn, whatever the strength; 0 for as many as the first
 * @param strength how far from the enlarged picture, 0 to 1
 */
public record Hires(
        int width, int height, Method method, @Nullable Upscaler model, int steps, float strength) {
    /** Denoising strength where none is given, as in A1111 and stable-diffusion.cpp. */
    public static final float STRENGTH = 0.7f;

    private static final int MAX_STEPS = 1000;

    /** Refuses what cannot be drawn. */
    public Hires {
        ImageRequest.requireSide("hires width", width);
        ImageRequest.requireSide("hires height", height);
        if (steps < 0 || steps > MAX_STEPS) {
            throw new IllegalArgumentException("hires steps is " + steps + "; it must be 0 to " + MAX_STEPS);
        }
        if (!(strength >= 0 && strength <= 1)) {
            throw new IllegalArgumentException("hires strength is " + strength + "; it must be 0 to 1");
        }
        if (model != null && method != Method.LANCZOS) {
            throw new IllegalArgumentException("an upscaler model enlarges pixels, hires method '" + method.title
                    + "' the latent; use Lanczos beside it");
        }
    }

    /** Without a network. */
    public Hires(int width, int height, Method method, int steps, float strength) {
        this(width, height, method, null, steps, strength);
    }

    /** Enlarging the latent linearly, with the usual strength and as many steps as the first pass. */
    public static Hires of(int width, int height) {
        return new Hires(width, height, Method.LATENT, 0, STRENGTH);
    }

    /** Enlarging the pixels by a network, which must stay open, likewise. */
    public static Hires of(int width, int height, Upscaler model) {
        return new Hires(width, height, Method.LANCZOS, model, 0, STRENGTH);
    }

    /** What enlarges, by the name that A1111 writes. */
    String title() {
        return model == null ? method.title : model.name();
    }

    /** What enlarges, by the names of stable-diffusion.cpp and A1111. */
    public enum Method {
        /** The latent, linearly. */
        LATENT("Latent", Interpolation.LINEAR),
        /** The latent, by the cell that lies before. */
        LATENT_NEAREST("Latent (nearest)", Interpolation.NEAREST),
        /** The latent, by the cell that lies nearest. */
        LATENT_NEAREST_EXACT("Latent (nearest-exact)", Interpolation.NEAREST_EXACT),
        /** The latent, by cubic curves. */
        LATENT_BICUBIC("Latent (bicubic)", Interpolation.CUBIC),
        /** The pixels, by Lanczos' filter; the VAE decodes and encodes them. */
        LANCZOS("Lanczos", null);

        private final String title;
        private final Interpolation interpolation;

        Method(String title, Interpolation interpolation) {
            this.title = title;
            this.interpolation = interpolation;
        }

        /** A1111's name. */
        public String title() {
            return title;
        }

        /** Whether it enlarges pixels, not the latent. */
        boolean needsPixels() {
            return interpolation == null;
        }

        /** [channels][height][width] in another size. */
        float[] enlarged(float[] latent, int height, int width, int newHeight, int newWidth) {
            return interpolation.resized(latent, height, width, newHeight, newWidth);
        }

        /**
         * The one of a name; case, spaces, hyphens, underscores and brackets do not matter.
         *
         * @throws IllegalArgumentException if there is none; the message lists the names
         */
        public static Method byName(String name) {
            return Arrays.stream(values())
                    .filter(it -> plain(it.title).equals(plain(name)))
                    .findFirst()
                    .orElseThrow(() -> new IllegalArgumentException(
                            "there is no hires upscaler '" + name + "'; use " + String.join(", ", names())));
        }

        /** All titles. */
        public static List<String> names() {
            return Arrays.stream(values()).map(Method::title).toList();
        }

        private static String plain(String name) {
            return name.toLowerCase(Locale.ROOT).replaceAll("[ ()_-]", "");
        }
    }
}
