package io.aquarelle;

import io.aquarelle.model.CallControl;
import io.aquarelle.model.UNet;
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
    private final TextEmbedding conditional;
    private final TextEmbedding unconditional;
    private final float guidance;
    private final int height;
    private final int width;
    private final CallControl control;
    private int calls;

    /** {@code height} and {@code width} are the latent's. */
    GuidedDenoiser(
            UNet unet,
            Prediction prediction,
            NoiseSchedule schedule,
            TextEmbedding conditional,
            TextEmbedding unconditional,
            float guidance,
            int height,
            int width,
            CallControl control) {
        this.unet = unet;
        this.prediction = prediction;
        this.schedule = schedule;
        this.conditional = conditional;
        this.unconditional = unconditional;
        this.guidance = guidance;
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
        float[] input = x.clone();
        float scale = prediction.inputScale(sigma);
        for (int i = 0; i < input.length; i++) {
            input[i] *= scale;
        }
        return prediction.denoised(x, guided(input, schedule.timestep(sigma)), sigma);
    }

    private float[] guided(float[] input, float timestep) {
        if (guidance == 1) {
            return evaluate(input, timestep, conditional);
        }
        float[] with;
        float[] without;
        if (conditional.tokens() == unconditional.tokens()) {
            // Both in one batch: the weights are read once.
            float[] both = evaluate(twice(input), timestep, conditional.and(unconditional));
            with = Arrays.copyOfRange(both, 0, both.length / 2);
            without = Arrays.copyOfRange(both, both.length / 2, both.length);
        } else {
            with = evaluate(input, timestep, conditional);
            without = evaluate(input, timestep, unconditional);
        }
        for (int i = 0; i < with.length; i++) {
            with[i] = without[i] + guidance * (with[i] - without[i]);
        }
        return with;
    }

    private float[] evaluate(float[] input, float timestep, TextEmbedding context) {
        float[] timesteps = new float[context.batch()];
        Arrays.fill(timesteps, timestep);
        calls += context.batch();
        return unet.evaluate(input, timesteps, context.values(), height, width, context.tokens(), control);
    }

    private static float[] twice(float[] values) {
        float[] both = Arrays.copyOf(values, 2 * values.length);
        System.arraycopy(values, 0, both, values.length, values.length);
        return both;
    }
}
