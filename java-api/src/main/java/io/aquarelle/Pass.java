package io.aquarelle;

import io.aquarelle.Progress.Phase;
import io.aquarelle.model.Autoencoder;
import io.aquarelle.model.CallControl;
import io.aquarelle.model.ImageAdapter;
import io.aquarelle.model.SpeedUpNet;
import io.aquarelle.model.UNet.Condition;
import io.aquarelle.plan.Work;
import io.aquarelle.sampling.Latents;
import io.aquarelle.sampling.NoiseSource;
import io.aquarelle.sampling.RandomSources;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** One pass of a request's drawing, at one size: what all its pictures share, and how a latent is sampled. */
final class Pass implements AutoCloseable {
    /** Scores that a refiner is told of the prompt's picture and of the negative prompt's, as in A1111. */
    private static final float AESTHETICS = 6;

    private static final float NEGATIVE_AESTHETICS = 2.5f;

    private final Model model;
    private final Networks networks;
    private final Course course;
    private final ImageRequest request;
    private final ProgressListener listener;
    private final CallControl control;
    private final @Nullable Picture picture; // to start from, and the mask on it, in the size of the pass
    private final @Nullable Picture mask;
    private final Controls controls;
    private StartPicture start = StartPicture.NONE;
    private Guidance guidance = new Guidance(List.of(), 1, 1);
    private List<AddedAttention> added = List.of();

    /**
     * What the UNet did in a pass.
     *
     * @param latents of each picture
     * @param calls for each picture
     * @param work for each picture
     */
    record Result(List<float[]> latents, int calls, Work work) {}

    /**
     * Prepares a pass.
     *
     * @throws IllegalArgumentException if the request asks for what the model lacks
     */
    Pass(Model model, Course course, ProgressListener listener, CallControl control) {
        this.model = model;
        networks = model.networks();
        this.course = course;
        request = course.request();
        this.listener = listener;
        this.control = control;
        picture = fitted(request.image());
        mask = picture == null ? null : fitted(request.mask());
        controls = new Controls(
                networks.unet(),
                request.controls(),
                course.height(),
                course.width(),
                networks.vae().factor());
    }

    private @Nullable Picture fitted(@Nullable Picture given) {
        return given == null ? null : given.fitted(request.width(), request.height());
    }

    /** Encodes the pictures that the UNet gets, and puts them beside the prompts. */
    void prepare(TextEmbedding prompt, TextEmbedding negative) {
        boolean encodes = picture != null
                || networks.inpaints()
                || !request.imagePrompts().isEmpty();
        if (encodes) {
            listener.progress(new Progress(Phase.ENCODE, 0, 0, 1));
        }
        if (picture != null) {
            start = startFrom(picture);
        }
        float[] beside = beside();
        added = added(prompt, negative);
        if (encodes) {
            listener.progress(new Progress(Phase.ENCODE, 0, 1, 1));
        }
        var branches = Stream.of(
                new Guidance.Branch(condition(prompt, AESTHETICS), beside),
                new Guidance.Branch(condition(negative, NEGATIVE_AESTHETICS), beside),
                new Guidance.Branch(condition(negative, NEGATIVE_AESTHETICS), new float[beside.length]));
        // Samplers may ask for the negative prompt's estimate without guidance too.
        int count = Math.max(course.mixture().branches(), 2);
        guidance = new Guidance(
                branches.limit(count).toList(),
                networks.unet().guidanceWidth() > 0 ? 1 : request.guidance(),
                request.imageGuidance());
    }

    private List<AddedAttention> added(TextEmbedding prompt, TextEmbedding negative) {
        List<AddedAttention> all = new ArrayList<>();
        SpeedUpNet speedUp = request.speedUp();
        if (speedUp != null) {
            speedUp.terms(condition(prompt, AESTHETICS), condition(negative, NEGATIVE_AESTHETICS))
                    .forEach(it -> all.add(new AddedAttention(
                            it.adapter(), List.of(it.context()), it.tokens(), it.scale(), new StepRange(0, 1))));
        }
        for (ImagePrompt image : request.imagePrompts()) {
            ImageAdapter adapter = image.adapter();
            float[] planes =
                    image.picture().fitted(adapter.side(), adapter.side()).unitPlanes();
            float[] tokens = adapter.tokens(planes, control);
            float[] nothing = adapter.tokens(null, control);
            all.add(new AddedAttention(
                    adapter.attention(),
                    List.of(tokens, nothing, nothing),
                    tokens.length / adapter.attention().width(),
                    image.strength(),
                    new StepRange(image.start(), image.end())));
        }
        return all;
    }

    private Condition condition(TextEmbedding text, float aesthetics) {
        PictureSizes sizes =
                request.sizes() == null ? PictureSizes.of(request.width(), request.height()) : request.sizes();
        return Conditioning.of(text, networks.unet(), model.spec().family(), sizes, aesthetics, request.guidance());
    }

    /** A picture in the pass' size, encoded. */
    StartPicture startFrom(Picture picture) {
        Autoencoder vae = networks.vae();
        float[] moments =
                vae.encode(picture.planes(), 1, course.height(), course.width(), request.maxMemory(), control);
        return new StartPicture(moments, model.latentScale(vae), cells());
    }

    private float @Nullable [] cells() {
        return mask == null ? null : StartPicture.cells(mask, networks.vae().factor());
    }

    /**
     * What inpainting and editing models get behind the latent. For inpainting that is the mask of what is drawn anew,
     * and the latent of the picture with grey in its place; without a picture, all of it. For editing it is the latent of
     * the picture, the mode of its distribution and unscaled (Brooks et al., section 3.2); 0 without one.
     */
    private float[] beside() {
        int cells = course.height() * course.width();
        int latent = networks.vae().latentChannels() * cells;
        float[] beside = new float[networks.unet().inChannels() * cells - latent];
        if (networks.inpaints()) {
            float[] drawn = start.mask();
            if (drawn == null) {
                Arrays.fill(beside, 0, cells, 1);
            } else {
                System.arraycopy(drawn, 0, beside, 0, cells);
            }
            if (networks.vae().hasEncoder()) {
                Autoencoder vae = networks.vae();
                float[] moments =
                        vae.encode(unmasked(), 1, course.height(), course.width(), request.maxMemory(), control);
                for (int i = 0; i < latent; i++) {
                    beside[cells + i] = moments[i] * model.latentScale(vae);
                }
            }
        } else if (picture != null) {
            float unscaled = model.latentScale(networks.vae()) / model.spec().latentScale();
            for (int i = 0; i < beside.length; i++) {
                beside[i] = start.moments()[i] * unscaled;
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

    /** Samples the latents of a batch from what the request starts from. */
    Result sample(Batch batch) {
        List<float[]> kept = batch.images().stream()
                .map(image -> start.latent(noise(image), cellValues()))
                .toList();
        return sample(batch, kept, request.strength());
    }

    /** Samples the latents of a batch from those of an earlier pass, [channels][height][width] in this pass' size. */
    Result sample(Batch batch, List<float[]> latents) {
        start = new StartPicture(new float[0], 1, cells());
        return sample(batch, latents, 0);
    }

    private Result sample(Batch batch, List<float[]> latents, float strength) {
        List<NoiseSource> sources = batch.images().stream().map(this::noise).toList();
        List<float[]> fresh = IntStream.range(0, batch.size())
                .mapToObj(i -> start(sources.get(i), batch.first() + i))
                .toList();
        float[] kept = Latents.joined(latents);
        float[] noised = start.noised(kept, Latents.joined(fresh), course.sigmas()[0], strength);
        report(batch, 0);
        if (course.steps() == 0) {
            return new Result(Latents.split(noised, batch.size()), 0, Work.NONE);
        }
        try (GuidedDenoiser denoiser =
                new GuidedDenoiser(model, course, batch.size(), guidance, controls, added, control)) {
            float[] sampled = start.sample(
                    course.sampler(),
                    denoiser,
                    kept,
                    noised,
                    course.sigmas(),
                    NoiseSource.together(sources),
                    (step, denoised) -> {
                        report(batch, step + 1);
                        preview(batch, step + 1, Latents.split(denoised, batch.size()));
                    });
            return new Result(Latents.split(sampled, batch.size()), denoiser.calls(), denoiser.work());
        }
    }

    private void report(Batch batch, int step) {
        listener.progress(new Progress(Phase.DENOISE, batch.first(), batch.size(), step, course.steps()));
    }

    private void preview(Batch batch, int step, List<float[]> denoised) {
        for (int i = 0; i < batch.size(); i++) {
            Progress progress = new Progress(Phase.DENOISE, batch.first() + i, step, course.steps());
            Preview preview = new Preview(model, course, progress, denoised.get(i), control);
            try {
                listener.preview(preview);
            } finally {
                preview.end();
            }
        }
    }

    private int cellValues() {
        return networks.vae().latentChannels() * course.height() * course.width();
    }

    /** The source of a picture's noise. */
    NoiseSource noise(int image) {
        return RandomSources.byName(request.rng(), request.seedOf(image));
    }

    /** The noise that a picture starts from, the first that its source gives. */
    private float[] start(NoiseSource noise, int image) {
        Variation variation = request.variation();
        NoiseSource other = RandomSources.byName(request.rng(), variation.seed() + image);
        return variation.noise(noise, other, networks.vae().latentChannels(), course.height(), course.width());
    }

    /** What is decoded of this pass' latent. Where a mask says so, the pixels of the picture stay, as in A1111. */
    Picture decoded(float[] latent) {
        Picture drawn =
                model.decoded(networks.vae(), latent, course.height(), course.width(), request.maxMemory(), control);
        return picture == null || mask == null ? drawn : picture.under(drawn, mask);
    }

    Course course() {
        return course;
    }

    @Override
    public void close() {
        controls.close();
    }
}
