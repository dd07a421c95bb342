package io.aquarelle;

/**
 * How far a generation is.
 *
 * @param phase what it is doing
 * @param image which picture of the batch, from 0
 * @param step steps of this phase that are done
 * @param total steps of this phase
 */
public record Progress(Phase phase, int image, int step, int total) {
    /** The parts of a generation, in order; text and encoding once, the others for each picture. */
    public enum Phase {
        /** The prompt goes through the text encoder. */
        TEXT,
        /** The picture to start from, if there is one, goes through the VAE. */
        ENCODE,
        /** The sampler takes the latent from noise to a picture. */
        DENOISE,
        /** The VAE turns the latent into pixels. */
        DECODE
    }
}
