package io.aquarelle.plan;

/**
 * A part of a UNet of which a call can say what to do with it. Some units are parts of others.
 *
 * @param name as in the model file, without the UNet's prefix: {@code input_blocks.4.1.transformer_blocks.0.attn2}
 * @param kind what it is
 * @param parent the place in the UNet's list of the unit that this one is a part of, or -1
 * @param skippable whether its output has the shape of its input, so that a call may leave it out
 */
public record Unit(String name, Kind kind, int parent, boolean skippable) {
    /** Kinds of units. Attentions and feed-forwards are what is added to their input. */
    public enum Kind {
        /** {@code input_blocks.4}, {@code middle_block}, {@code output_blocks.11}. */
        BLOCK,
        /** A ResBlock; in the decoder it joins the skip connection to its input. */
        RESNET,
        /** A spatial transformer, with its norm and projections. */
        TRANSFORMER,
        /** Self-attention, cross-attention and feed-forward. */
        TRANSFORMER_BLOCK,
        SELF_ATTENTION,
        CROSS_ATTENTION,
        FEED_FORWARD,
        /** The first convolution, down- and upsampling, and {@code out}. */
        CONVOLUTION;

        /** Whether such a unit does work beside that of its parts; only those are counted in a {@link Work}. */
        public boolean works() {
            return this != BLOCK && this != TRANSFORMER_BLOCK;
        }
    }
}
