package io.aquarelle.model;

/**
 * An adapter and how strongly it counts: 1 is as it was trained, 0 not at all.
 *
 * @param unetScale for the UNet
 * @param textScale for the text encoders
 */
public record AdapterUse(Adapter adapter, float unetScale, float textScale) {
    /** Refuses scales that are no numbers. */
    public AdapterUse {
        requireScale(unetScale);
        requireScale(textScale);
    }

    /** The same scale for all networks. */
    public AdapterUse(Adapter adapter, float scale) {
        this(adapter, scale, scale);
    }

    private static void requireScale(float scale) {
        if (!(Math.abs(scale) <= 1000)) {
            throw new IllegalArgumentException("the scale of an adapter is " + scale + "; it must be -1000 to 1000");
        }
    }
}
