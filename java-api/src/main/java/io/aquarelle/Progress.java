package io.aquarelle;

/**
 * How far a generation is.
 *
 * @param phase what it is doing
 * @param image which picture of the batch, from 0
 * @param images how many it is about: this one and those behind it, where they are drawn together
 * @param step steps of this phase that are done
 * @param total steps of this phase
 */
public record Progress(Phase phase, int image, int images, int step, int total) {
    /** Of one picture. */
    public Progress(Phase phase, int image, int step, int total) {
        this(phase, image, 1, step, total);
    }

    /** The same of another picture. */
    Progress of(int other) {
        return new Progress(phase, other, step, total);
    }

    /** The parts of a generation, in order; text and encoding once, the others for each picture and pass; small pictures are denoised together. */
    public enum Phase {
        /** The prompt goes through the text encoder. */
        TEXT,
        /** Pictures that the drawing starts from, or that prompt it, go through their encoders. */
        ENCODE,
        /** The sampler takes the latent from noise to a picture. */
        DENOISE,
        /** The VAE turns the latent into pixels. */
        DECODE,
        /** An {@link Upscaler} enlarges the picture, one tile a step. */
        UPSCALE
    }
}
