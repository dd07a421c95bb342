package io.aquarelle;

import io.aquarelle.model.Autoencoder;
import io.aquarelle.model.CallControl;
import org.jspecify.annotations.Nullable;

/**
 * What a picture is becoming: the estimate of the clean latent that a step of sampling ended with. Its pictures are
 * computed when they are asked for, on the thread that generates, and only during {@link ProgressListener#preview}.
 */
public final class Preview {
    private final Model model;
    private final Course course;
    private final Progress progress;
    private final CallControl control;
    private float @Nullable [] latent;

    /** {@code latent} is not copied. */
    Preview(Model model, Course course, Progress progress, float[] latent, CallControl control) {
        this.model = model;
        this.course = course;
        this.progress = progress;
        this.latent = latent;
        this.control = control;
    }

    /** The step that is done. */
    public Progress progress() {
        return progress;
    }

    /**
     * A small picture, a pixel for each cell of the latent, in next to no time: the latent times what its channels mean
     * in red, green and blue. Where that is not known, as the model has an autoencoder of its own, it is {@link #decoded}
     * and made small.
     *
     * @throws IllegalStateException after the call that this preview was handed to
     */
    public Picture projected() {
        LatentColours colours = LatentColours.of(model.spec());
        return colours == null || model.networks().vae().latentChannels() != LatentColours.CHANNELS
                ? decoded().fitted(course.width(), course.height())
                : colours.picture(latent(), course.height(), course.width());
    }

    /**
     * The whole picture, by the autoencoder that decodes the last one too. A VAE takes about as long as a step for it, a
     * tiny one in its place a small part of that.
     *
     * @throws io.aquarelle.model.InsufficientMemoryException if it is too large for memory
     * @throws IllegalStateException after the call that this preview was handed to
     */
    public Picture decoded() {
        return decoded(model.networks().vae());
    }

    /**
     * The whole picture by another autoencoder.
     *
     * @param autoencoder see {@link Pipeline#autoencoder}
     * @throws IllegalArgumentException if it does not decode such latents
     * @throws io.aquarelle.model.InsufficientMemoryException if the picture is too large for memory
     * @throws IllegalStateException after the call that this preview was handed to
     */
    public Picture decoded(Autoencoder autoencoder) {
        return model.decoded(
                autoencoder,
                latent(),
                course.height(),
                course.width(),
                course.request().maxMemory(),
                control);
    }

    private float[] latent() {
        if (latent == null) {
            throw new IllegalStateException("a preview is there during the call that it is handed to; look then");
        }
        return latent;
    }

    /** Ends the call that this was handed to. */
    void end() {
        latent = null;
    }
}
