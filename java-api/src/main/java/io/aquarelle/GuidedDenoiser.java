package io.aquarelle;

import io.aquarelle.model.CallControl;
import io.aquarelle.model.UNet;
import io.aquarelle.model.UNet.Condition;
import io.aquarelle.sampling.Denoiser;
import io.aquarelle.sampling.NoiseSchedule;
import io.aquarelle.sampling.Prediction;
import java.util.Arrays;

/**
 * The UNet as samplers want it, with classifier-free guidance (Ho and Salimans, arXiv 2207.12598): {@code F = F_u + s
 * (F_c - F_u)} of the outputs with and without the prompt.
 */
final class GuidedDenoiser implements Denoiser {
    private final UNet unet;
    private final Prediction prediction;
    private final NoiseSchedule schedule;
    private final Condition conditional;
    private final Condition unconditional;
    private final float guidance;
    private final float[] beside;
    private final int height;
    private final int width;
    private final CallControl control;
    private int calls;

    /**
     * Guides a UNet.
     *
     * @param beside what the UNet takes behind the latent's channels, [channels][height][width]; mostly nothing
     * @param height of the latent, as is {@code width}
     */
    GuidedDenoiser(
            UNet unet,
            Prediction prediction,
            NoiseSchedule schedule,
            Condition conditional,
            Condition unconditional,
            float guidance,
            float[] beside,
            int height,
            int width,
            CallControl control) {
        this.unet = unet;
        this.prediction = prediction;
        this.schedule = schedule;
        this.conditional = conditional;
        this.unconditional = unconditional;
        this.guidance = guidance;
        this.beside = beside;
        this.height = height;
        this.width = width;
        this.control = control;
    }

    /** Evaluations of the UNet so far, a guided step counting as two. */
    int calls() {
        return calls;
    }

    @Override
    public float[] denoise(float[] x, float sigma) {
        float[] input = scaled(x, sigma);
        float timestep = schedule.timestep(sigma);
        float[] output = guidance == 1
                ? evaluate(input, timestep, conditional, 1)
                : both(input, timestep).guided(guidance);
        return prediction.denoised(x, output, sigma);
    }

    @Override
    public Estimates estimates(float[] x, float sigma) {
        Outputs outputs = both(scaled(x, sigma), schedule.timestep(sigma));
        return new Estimates(
                prediction.denoised(x, outputs.guided(guidance), sigma),
                prediction.denoised(x, outputs.without, sigma));
    }

    /** What the UNet takes: the latent to its scale, and what goes beside it. */
    private float[] scaled(float[] x, float sigma) {
        float[] input = Arrays.copyOf(x, x.length + beside.length);
        float scale = prediction.inputScale(sigma);
        for (int i = 0; i < x.length; i++) {
            input[i] *= scale;
        }
        System.arraycopy(beside, 0, input, x.length, beside.length);
        return input;
    }

    /** What the UNet makes of a latent with and without the prompt. */
    private record Outputs(float[] with, float[] without) {
        float[] guided(float guidance) {
            float[] guided = new float[with.length];
            for (int i = 0; i < with.length; i++) {
                guided[i] = without[i] + guidance * (with[i] - without[i]);
            }
            return guided;
        }
    }

    private Outputs both(float[] input, float timestep) {
        if (conditional.tokens() == unconditional.tokens()) {
            // Both in one batch: the weights are read once.
            float[] both = evaluate(twice(input), timestep, conditional.and(unconditional), 2);
            int half = both.length / 2;
            return new Outputs(Arrays.copyOfRange(both, 0, half), Arrays.copyOfRange(both, half, both.length));
        }
        return new Outputs(evaluate(input, timestep, conditional, 1), evaluate(input, timestep, unconditional, 1));
    }

    private float[] evaluate(float[] input, float timestep, Condition condition, int batch) {
        float[] timesteps = new float[batch];
        Arrays.fill(timesteps, timestep);
        calls += batch;
        return unet.evaluate(input, timesteps, condition, height, width, control);
    }

    private static float[] twice(float[] values) {
        float[] both = Arrays.copyOf(values, 2 * values.length);
        System.arraycopy(values, 0, both, values.length, values.length);
        return both;
    }
}
