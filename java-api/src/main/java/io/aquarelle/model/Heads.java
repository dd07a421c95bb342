package io.aquarelle.model;

/**
 * How a UNet's attention divides its channels, which shapes cannot tell: into a number of heads (SD 1.x: 8), or into
 * heads of a width (SD 2.x, SDXL: 64).
 *
 * @param count heads at every level, or 0
 * @param width channels a head, or 0; exactly one of the two is set
 */
public record Heads(int count, int width) {
    /** Checks that exactly one number is set. */
    public Heads {
        if (count < 0 || width < 0 || (count == 0) == (width == 0)) {
            throw new IllegalArgumentException("heads of count " + count + " and width " + width
                    + "; exactly one of the two must be positive, the other 0");
        }
    }

    /** That many heads at every level. */
    public static Heads ofCount(int count) {
        return new Heads(count, 0);
    }

    /** Heads of that many channels. */
    public static Heads ofWidth(int width) {
        return new Heads(0, width);
    }
}
