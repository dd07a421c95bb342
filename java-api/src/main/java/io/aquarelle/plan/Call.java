package io.aquarelle.plan;

/**
 * A call that a sampler makes of the denoiser.
 *
 * @param index counted from 0 in its run
 * @param step the sampling step that it belongs to, counted from 0
 * @param timestep the noise level as the network is told it, 999 to 0
 * @param needsBoth whether the sampler asks for the estimate of the negative prompt too
 */
public record Call(int index, int step, float timestep, boolean needsBoth) {}
