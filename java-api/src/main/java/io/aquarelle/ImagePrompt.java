package io.aquarelle;

import io.aquarelle.model.ImageAdapter;

/**
 * A picture as a prompt: what it shows and how guides the drawing, by an IP-Adapter.
 *
 * @param adapter of the pipeline that draws, see {@link Pipeline#imageAdapter}
 * @param picture cut to a square, from its middle
 * @param strength scale of what it adds to the UNet's attention, 0 to 10
 * @param start the first part of the steps that it is left out of, 0 to 1
 * @param end where its part of the steps ends, from {@code start} to 1: a step counts if it lies within
 */
public record ImagePrompt(ImageAdapter adapter, Picture picture, float strength, float start, float end) {
    private static final float MOST = 10;

    /** Refuses numbers out of range. */
    public ImagePrompt {
        if (!(strength >= 0 && strength <= MOST)) {
            throw new IllegalArgumentException("image prompt strength is " + strength + "; it must be 0 to 10");
        }
        StepRange.require("an image prompt", start, end);
    }

    /** In all steps, at full strength. */
    public static ImagePrompt of(ImageAdapter adapter, Picture picture) {
        return new ImagePrompt(adapter, picture, 1, 0, 1);
    }
}
