package io.aquarelle;

import io.aquarelle.Progress.Phase;
import io.aquarelle.model.Autoencoder;
import io.aquarelle.model.CallControl;
import io.aquarelle.model.ModelSpec;
import io.aquarelle.model.UNet.Condition;
import io.aquarelle.sampling.NoiseSource;
import io.aquarelle.sampling.RandomSources;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Draws one request on a model: prompt → tokens → text embedding → sampler loop over UNet calls → latent → picture. */
final class Drawing {
    /** Scores that a refiner is told of the prompt's picture and of the negative prompt's, as in A1111. */
    private static final float AESTHETICS = 6;

    private static final float NEGATIVE_AESTHETICS = 2.5f;

    private final Model model;
    private final Networks networks;
    private final ImageRequest request;
    private final Course course;
    private final ProgressListener listener;
    private final CallControl control;
    private final @Nullable Picture picture; // to start from, and the mask on it, in the request's size
    private final @Nullable Picture mask;
    private final int height; // of the latent
    private final int width;

    /**
     * Prepares a request.
     *
     * @throws IllegalArgumentException if it asks for what the model lacks
     */
    Drawing(Model model, ImageRequest request, ProgressListener listener, CallControl control) {
        this.model = model;
        networks = model.networks();
        this.request = request;
        course = Course.of(request, model);
        this.listener = listener;
        this.control = control;
        picture = fitted(request.image());
        mask = picture == null ? null : fitted(request.mask());
        height = request.height() / networks.vae().factor();
        width = request.width() / networks.vae().factor();
        if (picture != null && !networks.vae().hasEncoder()) {
            throw new IllegalArgumentException(
                    model.checkpoint().path() + " has a VAE without encoder; it cannot start from an image");
        }
    }

    private @Nullable Picture fitted(@Nullable Picture given) {
        return given == null ? null : given.fitted(request.width(), request.height());
    }

    /** The pictures, as many as the request asks for. */
    List<GeneratedImage> images() {
        try (var controls =
                new Controls(networks.unet(), request.controls(), height, width, networks.vae().factor())) {
            return images(controls);
        }
    }

    private List<GeneratedImage> images(Controls controls) {
        course.plans(); // before anything is computed
        listener.progress(new Progress(Phase.TEXT, 0, 0, 2));
        TextEmbedding prompt = embed(request.prompt());
        listener.progress(new Progress(Phase.TEXT, 0, 1, 2));
        TextEmbedding negative = embed(request.negativePrompt());
        if (model.spec().family().isXl() && request.negativePrompt().isEmpty()) {
            negative = negative.withoutText();
        }
        listener.progress(new Progress(Phase.TEXT, 0, 2, 2));
        Condition conditional = condition(prompt, AESTHETICS);
        Condition unconditional = condition(negative, NEGATIVE_AESTHETICS);
        StartPicture start = start();
        float[] beside = beside(start);
        Guidance guidance = new Guidance(
                List.of(new Guidance.Branch(conditional, beside), new Guidance.Branch(unconditional, beside)),
                course.guidance(),
                1);
        model.unloadAllBut(ModelSpec.UNET_PREFIX);
        List<GeneratedImage> images = new ArrayList<>();
        for (int i = 0; i < request.batch(); i++) {
            try (GuidedDenoiser denoiser =
                    new GuidedDenoiser(model, course, guidance, controls, height, width, control)) {
                float[] latent = latent(i, start, denoiser);
                listener.progress(new Progress(Phase.DECODE, i, 0, 1));
                model.unloadAllBut(ModelSpec.VAE_PREFIX);
                images.add(image(latent, request.seed() + i, denoiser));
                listener.progress(new Progress(Phase.DECODE, i, 1, 1));
            }
        }
        return images;
    }

    private TextEmbedding embed(String prompt) {
        return TextEmbedding.of(prompt, networks.text(), request.clipSkip(), control);
    }

    private Condition condition(TextEmbedding text, float aesthetics) {
        PictureSizes sizes =
                request.sizes() == null ? PictureSizes.of(request.width(), request.height()) : request.sizes();
        return Conditioning.of(text, networks.unet(), model.spec().family(), sizes, aesthetics, request.guidance());
    }

    private StartPicture start() {
        if (picture == null) {
            return StartPicture.NONE;
        }
        Autoencoder vae = networks.vae();
        listener.progress(new Progress(Phase.ENCODE, 0, 0, 1));
        float[] moments = vae.encode(picture.planes(), 1, height, width, control);
        listener.progress(new Progress(Phase.ENCODE, 0, 1, 1));
        float[] cells = mask == null ? null : StartPicture.cells(mask, vae.factor());
        return new StartPicture(moments, model.spec().latentScale(), cells);
    }

    /**
     * What inpainting and editing models get behind the latent. For inpainting that is the mask of what is drawn anew,
     * and the latent of the picture with grey in its place; without a picture, all of it. For editing it is the latent of
     * no picture, which is 0.
     */
    private float[] beside(StartPicture start) {
        Autoencoder vae = networks.vae();
        int cells = height * width;
        int latent = vae.latentChannels() * cells;
        float[] beside = new float[networks.unet().inChannels() * cells - latent];
        if (beside.length > latent) {
            if (start.mask() == null) {
                Arrays.fill(beside, 0, cells, 1);
            } else {
                System.arraycopy(start.mask(), 0, beside, 0, cells);
            }
            if (vae.hasEncoder()) {
                float[] moments = vae.encode(unmasked(), 1, height, width, control);
                for (int i = 0; i < latent; i++) {
                    beside[cells + i] = moments[i] * model.spec().latentScale();
                }
            }
        }
        return beside;
    }

    /** [3][height][width] of the image to start from with grey where it is drawn anew. */
    private float[] unmasked() {
        return picture == null || mask == null
                ? new float[3 * request.width() * request.height()]
                : picture.planes(mask);
    }

    /** Samples the latent of a picture. */
    private float[] latent(int image, StartPicture start, GuidedDenoiser denoiser) {
        long seed = request.seed() + image;
        NoiseSource noise = RandomSources.byName(request.rng(), seed);
        float[] fresh = noise.normal(networks.vae().latentChannels() * height * width);
        float[] kept = start.latent(RandomSources.byName(request.rng(), seed), fresh.length);
        float[] noised = start.noised(kept, fresh, course.sigmas()[0], request.strength());
        int steps = course.steps();
        listener.progress(new Progress(Phase.DENOISE, image, 0, steps));
        if (steps == 0) {
            return noised;
        }
        return start.sample(
                course.sampler(),
                denoiser,
                kept,
                noised,
                course.sigmas(),
                noise,
                (step, denoised) -> listener.progress(new Progress(Phase.DENOISE, image, step + 1, steps)));
    }

    private GeneratedImage image(float[] latent, long seed, GuidedDenoiser denoiser) {
        float[] unscaled = latent.clone();
        for (int i = 0; i < unscaled.length; i++) {
            unscaled[i] /= model.spec().latentScale();
        }
        float[] planes = networks.vae().decode(unscaled, 1, height, width, control);
        for (float value : planes) {
            if (!Float.isFinite(value)) {
                throw new IllegalStateException(model.checkpoint().path()
                        + " computed values that are no numbers; it is damaged, or the guidance is too strong");
            }
        }
        Picture drawn = Picture.of(request.width(), request.height(), planes);
        // Where a mask says so, the pixels of the image to start from stay, as in A1111.
        Picture result = picture == null || mask == null ? drawn : picture.under(drawn, mask);
        return new GeneratedImage(
                request.width(),
                request.height(),
                result.rgb(),
                seed,
                Infotext.of(request, seed, model.checkpoint().path()),
                denoiser.calls(),
                denoiser.work());
    }
}
