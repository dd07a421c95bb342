package io.aquarelle;

import io.aquarelle.model.ModelFamily;
import io.aquarelle.model.ModelSpec;
import org.jspecify.annotations.Nullable;

/**
 * What the channels of a latent mean in red, green and blue, from -1 to 1: the linear map that comes nearest to what the
 * family's VAE decodes. The numbers are those of stable-diffusion.cpp (latent-preview.h); the idea is Kevin Turner's
 * ("Decoding latents to RGB without upscaling", discuss.huggingface.co, 2022).
 *
 * @param factors [channel][colour]
 * @param offsets [colour]
 */
record LatentColours(float[][] factors, float[] offsets) {
    static final int CHANNELS = 4;

    private static final LatentColours SD = new LatentColours(
            new float[][] {
                {0.337366f, 0.216344f, 0.257386f},
                {0.165636f, 0.386828f, 0.046994f},
                {-0.267803f, 0.237036f, 0.223517f},
                {-0.178022f, -0.200862f, -0.678514f}
            },
            new float[] {-0.017478f, -0.055834f, -0.105825f});

    private static final LatentColours SDXL = new LatentColours(
            new float[][] {
                {0.258303f, 0.277640f, 0.329699f},
                {-0.299701f, 0.105446f, 0.014194f},
                {0.050522f, 0.186163f, -0.143257f},
                {-0.211938f, -0.149892f, -0.080036f}
            },
            new float[] {0.144381f, -0.033313f, 0.007061f});

    /** Those of a model's family; null if the scale of its latents tells that they are of another autoencoder. */
    static @Nullable LatentColours of(ModelSpec spec) {
        ModelFamily family = spec.family();
        return spec.latentScale() != family.latentScale() ? null : family.isXl() ? SDXL : SD;
    }

    /**
     * A pixel for each cell.
     *
     * @param latent [4][height][width], of the UNet's scale
     */
    Picture picture(float[] latent, int height, int width) {
        int cells = height * width;
        float[] planes = new float[3 * cells];
        for (int i = 0; i < planes.length; i++) {
            int colour = i / cells;
            float value = offsets[colour];
            for (int channel = 0; channel < CHANNELS; channel++) {
                value += latent[channel * cells + i % cells] * factors[channel][colour];
            }
            planes[i] = value;
        }
        return Picture.of(width, height, planes);
    }
}
