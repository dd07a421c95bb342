package io.aquarelle;

import io.aquarelle.sampling.Denoiser;
import io.aquarelle.sampling.NoiseSource;
import io.aquarelle.sampling.Sampler;
import io.aquarelle.sampling.StepListener;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A picture that a run starts from, as the sampler sees it, and the mask of what is drawn anew. Elsewhere each estimate
 * is replaced by the picture (latent blending, as in A1111 and stable-diffusion.cpp).
 *
 * @param moments of the picture's latent, as the VAE gives them: [2][channels][cells], mean and log variance
 * @param scale of latents
 * @param mask 1 for each cell that is drawn anew, 0 for each that stays; null draws all anew
 */
record StartPicture(float[] moments, float scale, float @Nullable [] mask) {
    /** No picture: the run starts from noise alone. */
    static final StartPicture NONE = new StartPicture(new float[0], 1, null);

    /**
     * The noise levels that are left for a strength, those of A1111's {@code setup_img2img_steps} and of
     * stable-diffusion.cpp: the last {@code floor(strength steps) + 1} steps, or none at strength 0.
     */
    static float[] sigmas(float[] sigmas, float strength) {
        int steps = sigmas.length - 1;
        int left = strength == 0 ? 0 : Math.min((int) (steps * strength) + 1, steps);
        return Arrays.copyOfRange(sigmas, steps - left, sigmas.length);
    }

    /** A latent of the picture, drawn from its distribution, and scaled; of no picture, zeros. */
    float[] latent(NoiseSource noise, int length) {
        if (moments.length == 0) {
            return new float[length];
        }
        int half = moments.length / 2;
        float[] latent = noise.normal(half);
        for (int i = 0; i < half; i++) {
            double deviation = Math.exp(Math.clamp(moments[half + i], -30f, 20f) / 2.0);
            latent[i] = (float) ((moments[i] + deviation * latent[i]) * scale);
        }
        return latent;
    }

    /**
     * Where the run starts: the latent with noise of level sigma. At full strength, what is drawn anew under a mask
     * starts from noise alone.
     */
    float[] noised(float[] latent, float[] noise, float sigma, float strength) {
        float[] start = new float[latent.length];
        for (int i = 0; i < start.length; i++) {
            float kept = strength == 1 && mask != null ? 1 - mask(i) : 1;
            start[i] = kept * latent[i] + sigma * noise[i];
        }
        return start;
    }

    /** Runs a sampler from {@code start}; where the picture stays, it is its latent that the denoiser sees and returns. */
    float[] sample(
            Sampler sampler,
            Denoiser denoiser,
            float[] latent,
            float[] start,
            float[] sigmas,
            NoiseSource noise,
            StepListener listener) {
        return blend(sampler.sample(keeping(latent, denoiser), start, sigmas, noise, listener), latent);
    }

    private Denoiser keeping(float[] latent, Denoiser denoiser) {
        if (mask == null) {
            return denoiser;
        }
        return new Denoiser() {
            @Override
            public float[] denoise(float[] x, float sigma) {
                return blend(denoiser.denoise(x, sigma), latent);
            }

            @Override
            public Estimates estimates(float[] x, float sigma) {
                Estimates both = denoiser.estimates(x, sigma);
                return new Estimates(blend(both.guided(), latent), blend(both.unconditional(), latent));
            }
        };
    }

    /** {@code drawn} where the mask is 1, {@code latent} elsewhere. */
    private float[] blend(float[] drawn, float[] latent) {
        if (mask == null) {
            return drawn;
        }
        float[] blended = new float[drawn.length];
        for (int i = 0; i < blended.length; i++) {
            blended[i] = mask(i) * drawn[i] + (1 - mask(i)) * latent[i];
        }
        return blended;
    }

    private float mask(int i) {
        return mask == null ? 1 : mask[i % mask.length];
    }

    /** The mask of cells: 1 if any of a cell's pixels is nearer to white than to black. */
    static float[] cells(Picture mask, int factor) {
        int width = mask.width() / factor;
        float[] cells = new float[width * (mask.height() / factor)];
        for (int y = 0; y < mask.height(); y++) {
            for (int x = 0; x < mask.width(); x++) {
                if (mask.lightness(x, y) > 0.5f) {
                    cells[y / factor * width + x / factor] = 1;
                }
            }
        }
        return cells;
    }
}
