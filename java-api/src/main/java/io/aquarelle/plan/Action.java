package io.aquarelle.plan;

/**
 * What a call does with a unit. Parts of a unit that is reused or skipped are not computed, and neither is any other
 * unit that nothing computed needs.
 */
public enum Action {
    COMPUTE,
    /** Compute, and store the output for later calls. */
    STORE,
    /** Take the output that an earlier call of the same branch stored. */
    REUSE,
    /** Pass the input on (of a ResBlock: without the skip connection), or add nothing to it. */
    SKIP,
    /**
     * The same of a ResBlock of the decoder, which leaves its skip connection to the next ResBlock at its size: what the
     * code of ALTER (arXiv 2505.21817) does at levels without attention.
     */
    SKIP_UNPOPPED;

    /** Whether the unit itself is computed. */
    public boolean computes() {
        return this == COMPUTE || this == STORE;
    }

    /** Whether the unit is left out. */
    public boolean skips() {
        return this == SKIP || this == SKIP_UNPOPPED;
    }
}
