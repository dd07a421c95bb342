/**
 * From noise to a latent: noise schedule, sigmas, samplers and random sources, in plain Java.
 *
 * <p>The vocabulary is that of Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models"
 * (arXiv 2206.00364), and of k-diffusion: a latent {@code x} at noise level {@code sigma} is a clean latent plus sigma
 * times standard normal noise, and a {@link io.aquarelle.sampling.Denoiser} estimates the clean one. A
 * {@link io.aquarelle.sampling.NoiseSchedule} says which sigmas the network was trained on, a
 * {@link io.aquarelle.sampling.SigmaSchedule} picks those that a run visits, a {@link io.aquarelle.sampling.Sampler}
 * walks down them, and a {@link io.aquarelle.sampling.Prediction} turns the network's output into the estimate.
 * Samplers know no network and take their {@link io.aquarelle.sampling.NoiseSource} as an argument. Latents are flat
 * arrays in any layout: nothing here mixes their elements.
 *
 * <p>Seeds and names are those of stable-diffusion.cpp, and so are results, but where a sampler says otherwise; the
 * names of Stable Diffusion web UI (A1111) and ComfyUI work too.
 * Noise sources hold state and serve one thread; everything else is immutable.
 */
@NullMarked
package io.aquarelle.sampling;

import org.jspecify.annotations.NullMarked;
