package io.aquarelle.sampling;

/** Hears of each sampling step. What it throws ends the run and reaches the sampler's caller. */
@FunctionalInterface
public interface StepListener {
    /** Listens to nothing. */
    StepListener NONE = (index, denoised) -> {};

    /**
     * Called after each step.
     *
     * @param index the step that is done, counted from 0
     * @param denoised the estimate of the clean latent that the step used; only to be read, and only during the call
     */
    void step(int index, float[] denoised);
}
