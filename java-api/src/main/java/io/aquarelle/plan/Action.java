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
    SKIP;

    /** Whether the unit itself is computed. */
    public boolean computes() {
        return this == COMPUTE || this == STORE;
    }
}
