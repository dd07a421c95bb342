package io.aquarelle;

import io.aquarelle.model.UNet;
import io.aquarelle.model.UNet.Condition;
import io.aquarelle.sampling.Prediction;
import java.util.Arrays;

/**
 * Tells what a UNet of SD 2.x predicts, as A1111 and stable-diffusion.cpp do: of a latent that is 0.5 everywhere, at
 * the last timestep, one that predicts noise gives about the same again; one that predicts the velocity, {@code v = a
 * noise - s x0} with {@code a} near 0 there (Salimans and Ho, arXiv 2202.00512), gives something far below.
 */
final class PredictionProbe {
    private static final int SIDE = 8;
    private static final int TOKENS = 2;
    private static final float VALUE = 0.5f;
    private static final float TIMESTEP = 999;

    private PredictionProbe() {}

    static Prediction of(UNet unet) {
        int latent = unet.outChannels() * SIDE * SIDE;
        float[] input = new float[unet.inChannels() * SIDE * SIDE];
        Arrays.fill(input, 0, latent, VALUE);
        float[] context = new float[TOKENS * unet.contextWidth()];
        Arrays.fill(context, VALUE);
        Condition condition =
                new Condition(context, TOKENS, new float[unet.labelWidth()], new float[unet.guidanceWidth()]);
        float[] output = unet.evaluate(input, new float[] {TIMESTEP}, condition, SIDE, SIDE, null);
        double sum = 0;
        for (float value : output) {
            sum += value - VALUE;
        }
        return sum / output.length < -1 ? Prediction.V : Prediction.EPS;
    }
}
