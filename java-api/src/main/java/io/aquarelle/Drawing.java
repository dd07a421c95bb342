package io.aquarelle;

import io.aquarelle.Progress.Phase;
import io.aquarelle.model.CallControl;
import io.aquarelle.model.ModelSpec;
import io.aquarelle.model.SpeedUpNet;
import io.aquarelle.model.TextEncoder;
import io.aquarelle.plan.Call;
import io.aquarelle.plan.StepPlan;
import io.aquarelle.plan.Work;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;

/** Draws one request on a model: prompt → tokens → text embedding → sampler loop over UNet calls → latent → picture. */
final class Drawing {
    private final Model model;
    private final ImageRequest request;
    private final List<Course> courses;
    private final ProgressListener listener;
    private final CallControl control;

    /**
     * Prepares a request.
     *
     * @throws IllegalArgumentException if it asks for what the model lacks
     */
    Drawing(Model model, ImageRequest request, ProgressListener listener, CallControl control) {
        this.model = model;
        this.request = request;
        this.listener = listener;
        this.control = control;
        courses = courses(model, request);
    }

    /** The passes of a request, checked. */
    static List<Course> courses(Model model, ImageRequest request) {
        int layers = model.networks().text().stream()
                .mapToInt(TextEncoder::layers)
                .min()
                .orElseThrow();
        if (request.clipSkip() > layers) {
            throw new IllegalArgumentException(
                    "clip skip is " + request.clipSkip() + "; the text encoder has " + layers + " layers");
        }
        Hires hires = request.hires();
        boolean encodes =
                request.image() != null || hires != null && hires.method().needsPixels();
        if (encodes && !model.networks().vae().hasEncoder()) {
            throw new IllegalArgumentException(
                    model.checkpoint().path() + " has a VAE without encoder; it cannot start from an image");
        }
        if (hires != null && hires.model() != null) {
            hires.model().requireFit(request.width(), request.height(), 1);
        }
        List<Course> courses = Course.of(request, model);
        List<StepPlan> plans =
                courses.stream().flatMap(course -> course.plans().stream()).toList();
        for (Course course : courses) {
            requireMemory(course, model, false);
            if (encodes) {
                requireMemory(course, model, true);
            }
        }
        if (request.speedUp() != null) {
            requireFit(request.speedUp(), model, courses);
        }
        if (request.imagePrompts().stream()
                .anyMatch(it -> it.adapter().unet() != model.networks().unet())) {
            throw new IllegalArgumentException(
                    "an image adapter was opened by another pipeline; open it with this one");
        }
        boolean added = !request.controls().isEmpty()
                || request.speedUp() != null
                || !request.imagePrompts().isEmpty()
                || !request.adapters().isEmpty();
        if (added && plans.stream().anyMatch(plan -> plan.unet() != 0)) {
            throw new IllegalArgumentException(
                    "control nets, SpeedUpNets, image prompts and adapters belong to the model's own"
                            + " UNet; leave them out, or do not switch to another one");
        }
        return courses;
    }

    private static void requireMemory(Course course, Model model, boolean encode) {
        ImageRequest request = course.request();
        long allowed = request.maxMemory();
        if (allowed == 0) {
            return;
        }
        long needed = model.networks().vae().memory(encode, 1, course.height(), course.width(), allowed);
        if (needed > allowed) {
            throw new IllegalArgumentException(String.format(
                    Locale.ROOT,
                    "max memory is %.0f MB; %s %dx%d pixels takes at least %.0f MB, so allow more or draw smaller",
                    Math.floor(allowed / 1e6),
                    encode ? "encoding" : "decoding",
                    request.width(),
                    request.height(),
                    Math.ceil(needed / 1e6)));
        }
    }

    private static void requireFit(SpeedUpNet speedUp, Model model, List<Course> courses) {
        if (speedUp.unet() != model.networks().unet()) {
            throw new IllegalArgumentException("a SpeedUpNet was opened by another pipeline; open it with this one");
        }
        for (Course course : courses) {
            if (course.mixture() != Mixture.PROMPT) {
                throw new IllegalArgumentException("a SpeedUpNet has guidance by the negative prompt built in;"
                        + " use guidance 1, and image guidance 1 where a model edits a picture");
            }
            if (course.run().calls().stream().anyMatch(Call::needsBoth)) {
                throw new IllegalArgumentException("this sampler needs the negative prompt's estimate, which a"
                        + " SpeedUpNet has built in; use another sampler");
            }
        }
    }

    /** Draws as many pictures as the request asks for. */
    void run(Consumer<GeneratedImage> finished) {
        try (Pass first = new Pass(model, courses.getFirst(), listener, control);
                Pass last = courses.size() == 1 ? first : new Pass(model, courses.getLast(), listener, control)) {
            prepare(first, last);
            for (Batch batch : Batch.of(request.batch(), courses)) {
                draw(batch, first, last, finished);
            }
        }
    }

    private void prepare(Pass first, Pass last) {
        model.adapters().use(request.adapters());
        listener.progress(new Progress(Phase.TEXT, 0, 0, 2));
        TextEmbedding prompt = embed(request.prompt());
        listener.progress(new Progress(Phase.TEXT, 0, 1, 2));
        TextEmbedding negative = embed(request.negativePrompt());
        if (model.spec().family().isXl() && request.negativePrompt().isEmpty()) {
            negative = negative.withoutText();
        }
        listener.progress(new Progress(Phase.TEXT, 0, 2, 2));
        first.prepare(prompt, negative);
        if (last != first) {
            last.prepare(prompt, negative);
        }
    }

    private void draw(Batch batch, Pass first, Pass last, Consumer<GeneratedImage> finished) {
        model.unloadAllBut(ModelSpec.UNET_PREFIX);
        Pass.Result drawn = first.sample(batch);
        int calls = drawn.calls();
        Work work = drawn.work();
        if (last != first) {
            List<float[]> enlarged = new ArrayList<>();
            for (int i = 0; i < batch.size(); i++) {
                enlarged.add(enlarged(batch.first() + i, drawn.latents().get(i), first, last));
            }
            model.unloadAllBut(ModelSpec.UNET_PREFIX);
            drawn = last.sample(batch, enlarged);
            calls += drawn.calls();
            work = work.plus(drawn.work());
        }
        model.unloadAllBut(ModelSpec.VAE_PREFIX);
        for (int i = 0; i < batch.size(); i++) {
            int index = batch.first() + i;
            GeneratedImage image = image(index, last, drawn.latents().get(i), calls, work);
            finished.accept(image);
            listener.finished(index, image);
        }
    }

    private GeneratedImage image(int i, Pass last, float[] latent, int calls, Work work) {
        listener.progress(new Progress(Phase.DECODE, i, 0, 1));
        Picture picture = last.decoded(latent);
        long seed = request.seedOf(i);
        GeneratedImage image = new GeneratedImage(
                picture.width(),
                picture.height(),
                picture.rgb(),
                seed,
                Infotext.of(request.only(i), seed, model.checkpoint().path()),
                calls,
                work);
        listener.progress(new Progress(Phase.DECODE, i, 1, 1));
        return image;
    }

    /** The first pass' latent in the size of the second. */
    private float[] enlarged(int i, float[] latent, Pass first, Pass last) {
        Hires hires = request.hires();
        Course small = first.course();
        Course large = last.course();
        if (!hires.method().needsPixels()) {
            return hires.method().enlarged(latent, small.height(), small.width(), large.height(), large.width());
        }
        model.unloadAllBut(ModelSpec.VAE_PREFIX);
        Picture picture = first.decoded(latent);
        if (hires.model() != null) {
            picture = hires.model()
                    .enlarged(
                            picture,
                            hires.width(),
                            hires.height(),
                            request.maxMemory(),
                            it -> listener.progress(it.of(i)),
                            control);
        }
        listener.progress(new Progress(Phase.ENCODE, i, 0, 1));
        StartPicture start = last.startFrom(
                picture.fitted(large.request().width(), large.request().height()));
        listener.progress(new Progress(Phase.ENCODE, i, 1, 1));
        return start.latent(last.noise(i), start.moments().length / 2);
    }

    private TextEmbedding embed(String prompt) {
        return TextEmbedding.of(
                prompt, model.networks().text(), new PromptWords(request.words()), request.clipSkip(), control);
    }
}
