package io.aquarelle.plan;

/** Which branches of classifier-free guidance a call evaluates. */
public enum Branches {
    /** With the prompt and with the negative prompt. */
    BOTH,
    /** With the prompt alone, as with guidance 1. */
    CONDITIONAL
}
