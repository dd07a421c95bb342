package io.aquarelle;

import io.aquarelle.model.ModelFamily;
import io.aquarelle.model.UNet;
import io.aquarelle.model.UNet.Condition;

/** Makes what a UNet is conditioned on beside the text: SDXL's sizes, and the guidance of consistency models. */
final class Conditioning {
    private Conditioning() {}

    /**
     * The condition of one prompt.
     *
     * @param aesthetics the score that a refiner takes
     */
    static Condition of(
            TextEmbedding text, UNet unet, ModelFamily family, PictureSizes sizes, float aesthetics, float guidance) {
        float[] label = {};
        if (unet.labelWidth() > 0) {
            float[] numbers = family == ModelFamily.SDXL_REFINER ? sizes.numbers(aesthetics) : sizes.numbers();
            label = label(text.pooled(), numbers, unet.labelWidth());
        }
        return new Condition(text.hidden(), text.tokens(), label, guidance(guidance, unet.guidanceWidth()));
    }

    /** How many numbers stand behind the pooled embedding in the label of a family. */
    static int labelNumbers(ModelFamily family) {
        return family == ModelFamily.SDXL_REFINER ? 5 : 6;
    }

    /**
     * SDXL's label (Podell et al., arXiv 2307.01952, section 2.2): the pooled embedding, then each number in the
     * embedding that timesteps have, cosines before sines.
     */
    static float[] label(float[] pooled, float[] numbers, int width) {
        float[] label = new float[width];
        System.arraycopy(pooled, 0, label, 0, pooled.length);
        int half = (width - pooled.length) / numbers.length / 2;
        for (int n = 0; n < numbers.length; n++) {
            int start = pooled.length + 2 * n * half;
            for (int i = 0; i < half; i++) {
                double angle = numbers[n] * Math.exp(-Math.log(10000) * i / half);
                label[start + i] = (float) Math.cos(angle);
                label[start + half + i] = (float) Math.sin(angle);
            }
        }
        return label;
    }

    /**
     * The guidance embedding of latent consistency models (Luo et al., arXiv 2310.04378): of {@code 1000 (s - 1)},
     * sines before cosines, and frequencies that end at 1/10000.
     */
    static float[] guidance(float scale, int width) {
        float[] embedding = new float[width];
        int half = width / 2;
        for (int i = 0; i < half; i++) {
            double angle = 1000 * (scale - 1.0) * Math.exp(-Math.log(10000) * i / Math.max(1, half - 1));
            embedding[i] = (float) Math.sin(angle);
            embedding[half + i] = (float) Math.cos(angle);
        }
        return embedding;
    }
}
