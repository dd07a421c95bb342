package io.aquarelle;

import io.aquarelle.model.ControlNet;
import org.jspecify.annotations.Nullable;

/**
 * A picture that a drawing follows, by a control net that reads such pictures: edges, depths, poses.
 *
 * @param net of the pipeline that draws, see {@link Pipeline#controlNet}
 * @param picture what it reads, cut and resized to the size asked for
 * @param canny finds the edges in that first, for nets that read edges; null gives it the picture itself
 * @param strength scale of what it adds to the UNet, 0 to 10; stable-diffusion.cpp's default is 0.9
 * @param start the first part of the steps that it is left out of, 0 to 1
 * @param end where its part of the steps ends, from {@code start} to 1: a step counts if it lies within
 */
public record Control(
        ControlNet net, Picture picture, @Nullable Canny canny, float strength, float start, float end) {
    private static final float MOST = 10;

    /** The strength where none is given. */
    public static final float STRENGTH = 0.9f;

    /** Refuses numbers out of range. */
    public Control {
        if (!(strength >= 0 && strength <= MOST)) {
            throw new IllegalArgumentException("control strength is " + strength + "; it must be 0 to 10");
        }
        StepRange.require("control", start, end);
    }

    /** In all steps, with the usual strength. */
    public static Control of(ControlNet net, Picture picture) {
        return new Control(net, picture, null, STRENGTH, 0, 1);
    }

    /** What the net reads, [3][height][width], 0 to 1. */
    float[] planes(int width, int height) {
        Picture fitted = picture.fitted(width, height);
        return (canny == null ? fitted : fitted.edges(canny)).unitPlanes();
    }

    /** Whether it takes part in one of a run's steps. */
    boolean covers(int step, int steps) {
        return strength != 0 && new StepRange(start, end).covers(step, steps);
    }
}
