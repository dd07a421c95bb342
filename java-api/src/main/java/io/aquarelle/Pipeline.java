package io.aquarelle;

import io.aquarelle.Progress.Phase;
import io.aquarelle.model.Autoencoder;
import io.aquarelle.model.CallControl;
import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.ModelFormatException;
import io.aquarelle.model.ModelSpec;
import io.aquarelle.model.TextEncoder;
import io.aquarelle.model.UNet.Condition;
import io.aquarelle.plan.Branches;
import io.aquarelle.plan.Call;
import io.aquarelle.plan.Run;
import io.aquarelle.plan.StepPlan;
import io.aquarelle.plan.StepPolicy;
import io.aquarelle.plan.Work;
import io.aquarelle.sampling.NoiseSchedule;
import io.aquarelle.sampling.NoiseSource;
import io.aquarelle.sampling.Prediction;
import io.aquarelle.sampling.RandomSources;
import io.aquarelle.sampling.Sampler;
import io.aquarelle.sampling.SamplerOptions;
import io.aquarelle.sampling.Samplers;
import io.aquarelle.sampling.SigmaSchedules;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A model, ready to draw.
 *
 * <pre>{@code
 * try (Pipeline pipeline = Pipeline.open(Path.of("model.safetensors"))) {
 *     pipeline.generate(pipeline.request("a red apple").build()).getFirst().writePng(Path.of("apple.png"));
 * }
 * }</pre>
 *
 * <p>Weights are used where they lie in the model file. A pipeline draws one request at a time: calls from several
 * threads wait for each other. {@link #share} makes a second pipeline on the same weights that draws beside it.
 */
public final class Pipeline implements AutoCloseable {
    /** Scores that a refiner is told of the prompt's picture and of the negative prompt's, as in A1111. */
    private static final float AESTHETICS = 6;

    private static final float NEGATIVE_AESTHETICS = 2.5f;

    private final ModelSpec spec;
    private final Prediction prediction;
    private final Checkpoint checkpoint;
    private final EngineOptions options;
    private final Networks networks;
    private final NoiseSchedule noiseSchedule = NoiseSchedule.stableDiffusion();
    private final ReentrantLock turn = new ReentrantLock();
    private volatile @Nullable CallControl running;
    private volatile boolean open = true;

    /**
     * Makes the networks.
     *
     * @param checkpoint closed with this pipeline
     * @param given what the UNet predicts, or null to find out
     */
    private Pipeline(Checkpoint checkpoint, EngineOptions options, @Nullable Prediction given) throws IOException {
        this.checkpoint = checkpoint;
        this.options = options;
        ModelSpec read = ModelSpec.of(checkpoint);
        networks = Networks.open(checkpoint, read, options);
        prediction = given != null ? given : prediction(read, networks);
        spec = read.withPrediction(prediction);
    }

    private static Prediction prediction(ModelSpec spec, Networks networks) {
        return spec.prediction() != null ? spec.prediction() : PredictionProbe.of(networks.unet());
    }

    /**
     * Opens a model on all processors.
     *
     * @throws ModelFormatException if the file is damaged or no model that can be run
     * @throws IOException if it cannot be read
     */
    public static Pipeline open(Path model) throws IOException {
        return open(model, EngineOptions.best());
    }

    /**
     * Opens a model.
     *
     * @param options threads and kernels to compute with
     * @throws ModelFormatException if the file is damaged or no model that can be run
     * @throws IOException if it cannot be read
     */
    public static Pipeline open(Path model, EngineOptions options) throws IOException {
        return open(model, options, null);
    }

    /**
     * Opens a model whose file does not say what its UNet predicts, or says it wrong.
     *
     * @param options threads and kernels to compute with
     * @param prediction what the UNet predicts; null to take it from the file's metadata, else from the family, and for
     *     SD 2.x from what the UNet makes of a constant latent
     * @throws ModelFormatException if the file is damaged or no model that can be run
     * @throws IOException if it cannot be read
     */
    public static Pipeline open(Path model, EngineOptions options, @Nullable Prediction prediction) throws IOException {
        return own(Checkpoint.open(model), options, prediction);
    }

    /**
     * A second pipeline on the same weights, with threads and workspace of its own, to draw at the same time. Each of
     * them is closed by itself.
     *
     * @throws IllegalStateException if this one is closed
     */
    public Pipeline share() {
        try {
            return own(checkpoint.retain(), options, prediction);
        } catch (IOException e) {
            throw new IllegalStateException(checkpoint.path() + " could be opened once but not again", e);
        }
    }

    /**
     * Opens a model whose files are open already, such as one of several files or in other types.
     *
     * @param checkpoint closed with the pipeline, or at once if this fails
     * @param options threads and kernels to compute with
     * @param prediction what the UNet predicts; null to find out
     * @throws ModelFormatException if it is no model that can be run
     * @throws IOException if it cannot be read
     */
    public static Pipeline open(Checkpoint checkpoint, EngineOptions options, @Nullable Prediction prediction)
            throws IOException {
        return own(checkpoint, options, prediction);
    }

    private static Pipeline own(Checkpoint checkpoint, EngineOptions options, @Nullable Prediction prediction)
            throws IOException {
        try {
            return new Pipeline(checkpoint, options, prediction);
        } catch (Throwable e) {
            checkpoint.close();
            throw e;
        }
    }

    /** What kind of model this is; its prediction is known. */
    public ModelSpec spec() {
        return spec;
    }

    /** Starts a request with everything but the prompt at what suits this model; see {@link ModelDefaults}. */
    public ImageRequest.Builder request(String prompt) {
        ModelDefaults defaults = ModelDefaults.of(spec);
        return ImageRequest.builder(prompt)
                .suitedSize(defaults.width(), defaults.height())
                .steps(defaults.steps())
                .guidance(defaults.guidance())
                .sampler(defaults.sampler())
                .schedule(defaults.schedule());
    }

    /** Draws a request; see {@link #generate(ImageRequest, ProgressListener)}. */
    public List<GeneratedImage> generate(ImageRequest request) {
        return generate(request, ProgressListener.NONE);
    }

    /**
     * Draws a request on the calling thread; waits while another one is being drawn.
     *
     * @return the pictures, {@code request.batch()} of them
     * @throws GenerationCancelledException after {@link #cancel}
     * @throws io.aquarelle.model.InsufficientMemoryException if the pictures are too large for memory
     * @throws IllegalArgumentException if the request asks for what this model lacks
     * @throws IllegalStateException if the pipeline is closed
     */
    public List<GeneratedImage> generate(ImageRequest request, ProgressListener listener) {
        return generate(request, listener, new CallControl());
    }

    /**
     * Draws a request on a thread of its own. Cancelling the future cancels the generation.
     *
     * @return completes as {@link #generate(ImageRequest, ProgressListener)} returns or throws
     */
    public CompletableFuture<List<GeneratedImage>> generateAsync(ImageRequest request, ProgressListener listener) {
        CallControl control = new CallControl();
        CompletableFuture<List<GeneratedImage>> result = new CompletableFuture<>();
        result.whenComplete((images, failure) -> {
            if (result.isCancelled()) {
                control.cancel();
            }
        });
        // A platform thread: native calls would pin the carrier of a virtual one.
        Thread.ofPlatform().name("aquarelle").daemon().start(() -> {
            try {
                result.complete(generate(request, listener, control));
            } catch (Throwable e) {
                result.completeExceptionally(e);
            }
        });
        return result;
    }

    /** Cancels the generation in progress, if there is one; it ends within one node of the network. Any thread may. */
    public void cancel() {
        CallControl control = running;
        if (control != null) {
            control.cancel();
        }
    }

    /**
     * Cancels the generation in progress, refuses those that wait, and gives memory back. Without effect when closed
     * already.
     *
     * @throws IllegalStateException if a listener of this pipeline's own generation calls it
     */
    @Override
    public void close() {
        if (turn.isHeldByCurrentThread()) {
            throw new IllegalStateException(
                    "a listener cannot close the pipeline that it listens to; cancel it instead");
        }
        open = false;
        cancel();
        turn.lock();
        try {
            networks.close();
            checkpoint.close();
        } finally {
            turn.unlock();
        }
    }

    /**
     * What each call of the UNet computes for one picture of a request, in their order.
     *
     * @throws IllegalArgumentException if the request's plan does not suit this model and the request
     */
    public List<StepPlan> plan(ImageRequest request) {
        return run(request).plan(request.plan());
    }

    /**
     * What each call of the UNet would do for one picture of a request, and the work that it comes to; draws
     * nothing.
     *
     * @throws IllegalArgumentException if the request's plan does not suit this model and the request
     * @throws IllegalStateException if the pipeline is closed
     */
    public List<PlannedCall> explain(ImageRequest request) {
        return taken(new CallControl(), control -> planned(request));
    }

    private List<GeneratedImage> generate(ImageRequest request, ProgressListener listener, CallControl control) {
        return taken(control, it -> draw(request, listener, it));
    }

    /** Takes the networks for a task that can be cancelled. */
    private <T> T taken(CallControl control, Function<CallControl, T> task) {
        turn.lock();
        CallControl outer = running; // not null when a listener draws
        try {
            running = control; // first, so that close() cancels what has passed the check
            if (!open) {
                throw new IllegalStateException("the pipeline of " + checkpoint.path() + " is closed");
            }
            return task.apply(control);
        } catch (CancellationException e) {
            throw new GenerationCancelledException();
        } finally {
            running = outer;
            turn.unlock();
        }
    }

    /** prompt → tokens → text embedding → sigmas and noise → sampler loop over UNet calls → latent → picture. */
    private List<GeneratedImage> draw(ImageRequest request, ProgressListener listener, CallControl control) {
        List<StepPlan> plans = plan(request);
        int factor = networks.vae().factor();
        int height = request.height() / factor;
        int width = request.width() / factor;

        listener.progress(new Progress(Phase.TEXT, 0, 0, 2));
        TextEmbedding prompt = embed(request.prompt(), request, control);
        listener.progress(new Progress(Phase.TEXT, 0, 1, 2));
        TextEmbedding negative = embed(request.negativePrompt(), request, control);
        if (spec.family().isXl() && request.negativePrompt().isEmpty()) {
            negative = negative.withoutText();
        }
        listener.progress(new Progress(Phase.TEXT, 0, 2, 2));
        Condition conditional = condition(prompt, AESTHETICS, request);
        Condition unconditional = condition(negative, NEGATIVE_AESTHETICS, request);
        StartPicture start = start(request, height, width, listener, control);
        float[] beside = beside(request, start, height, width, control);
        checkpoint.unload(name -> !name.startsWith(ModelSpec.UNET_PREFIX)); // only one network is needed at a time
        float[] sigmas = sigmas(request);
        Sampler sampler = sampler(request);
        List<GeneratedImage> images = new ArrayList<>();
        for (int i = 0; i < request.batch(); i++) {
            int image = i;
            long seed = request.seed() + i;
            NoiseSource noise = RandomSources.byName(request.rng(), seed);
            float[] fresh = noise.normal(networks.vae().latentChannels() * height * width);
            float[] kept = start.latent(RandomSources.byName(request.rng(), seed), fresh.length);
            float[] latent = start.noised(kept, fresh, sigmas[0], request.strength());
            int steps = sigmas.length - 1;
            listener.progress(new Progress(Phase.DENOISE, image, 0, steps));
            int calls = 0;
            Work work = Work.NONE;
            try (GuidedDenoiser denoiser = new GuidedDenoiser(
                    networks.unet(),
                    prediction,
                    noiseSchedule,
                    conditional,
                    unconditional,
                    guidance(request),
                    beside,
                    height,
                    width,
                    plans,
                    control)) {
                if (steps > 0) {
                    latent = start.sample(
                            sampler,
                            denoiser,
                            kept,
                            latent,
                            sigmas,
                            noise,
                            (step, denoised) -> listener.progress(new Progress(Phase.DENOISE, image, step + 1, steps)));
                }
                calls = denoiser.calls();
                work = denoiser.work();
            }

            listener.progress(new Progress(Phase.DECODE, image, 0, 1));
            checkpoint.unload(name -> !name.startsWith(ModelSpec.VAE_PREFIX));
            images.add(decode(latent, height, width, seed, request, calls, work, control));
            listener.progress(new Progress(Phase.DECODE, image, 1, 1));
        }
        return images;
    }

    private Run run(ImageRequest request) {
        List<Call> calls = CallRecorder.calls(sampler(request), sigmas(request), noiseSchedule);
        return new Run(calls, networks.unet().units(), guidance(request) != 1);
    }

    private Sampler sampler(ImageRequest request) {
        return Samplers.byName(request.sampler(), new SamplerOptions(request.eta(), noiseSchedule));
    }

    /** The scale between the branches; 1 needs one of them only. Consistency models know the scale of themselves. */
    private float guidance(ImageRequest request) {
        return networks.unet().guidanceWidth() > 0 ? 1 : request.guidance();
    }

    private List<PlannedCall> planned(ImageRequest request) {
        Run run = run(request);
        List<StepPlan> plans = run.plan(request.plan());
        List<StepPlan> full = run.plan(StepPolicy.FULL);
        int height = request.height() / networks.vae().factor();
        int width = request.width() / networks.vae().factor();
        requireClipSkip(request);
        int tokens = TextEmbedding.length(request.prompt());
        int negativeTokens = TextEmbedding.length(request.negativePrompt());
        Map<StepPlan, Work> known = new HashMap<>();
        Function<StepPlan, Work> estimate = plan -> {
            if (plan.branches() == Branches.BOTH && tokens == negativeTokens) {
                return networks.unet().estimate(2, height, width, tokens, plan.actions());
            }
            Work conditional = networks.unet().estimate(1, height, width, tokens, plan.actions());
            return plan.branches() == Branches.CONDITIONAL
                    ? conditional
                    : conditional.plus(networks.unet().estimate(1, height, width, negativeTokens, plan.actions()));
        };
        List<PlannedCall> explained = new ArrayList<>();
        for (int i = 0; i < plans.size(); i++) {
            Work work = known.computeIfAbsent(plans.get(i), estimate);
            double whole = known.computeIfAbsent(full.get(i), estimate).multiplyAdds();
            explained.add(new PlannedCall(run.calls().get(i), plans.get(i), work, work.multiplyAdds() / whole));
        }
        return explained;
    }

    private StartPicture start(
            ImageRequest request, int height, int width, ProgressListener listener, CallControl control) {
        if (request.image() == null) {
            return StartPicture.NONE;
        }
        Autoencoder vae = networks.vae();
        if (!vae.hasEncoder()) {
            throw new IllegalArgumentException(
                    checkpoint.path() + " has a VAE without encoder; it cannot start from an image");
        }
        listener.progress(new Progress(Phase.ENCODE, 0, 0, 1));
        float[] planes =
                request.image().fitted(request.width(), request.height()).planes();
        float[] moments = vae.encode(planes, 1, height, width, control);
        listener.progress(new Progress(Phase.ENCODE, 0, 1, 1));
        float[] mask = request.mask() == null
                ? null
                : StartPicture.cells(request.mask().fitted(request.width(), request.height()), vae.factor());
        return new StartPicture(moments, spec.latentScale(), mask);
    }

    /** The noise levels of a run; those that are left, where it starts from a picture. */
    private float[] sigmas(ImageRequest request) {
        return StartPicture.sigmas(allSigmas(request), request.image() == null ? 1 : request.strength());
    }

    private float[] allSigmas(ImageRequest request) {
        if (!request.sigmas().isEmpty()) {
            return SigmaSchedules.custom(request.sigmas());
        }
        boolean xl = spec.family().isXl() && request.schedule().equals("ays"); // it has levels for each of the two
        return SigmaSchedules.byName(xl ? "ays_sdxl" : request.schedule()).sigmas(noiseSchedule, request.steps());
    }

    private TextEmbedding embed(String prompt, ImageRequest request, CallControl control) {
        requireClipSkip(request);
        return TextEmbedding.of(prompt, networks.text(), request.clipSkip(), control);
    }

    private void requireClipSkip(ImageRequest request) {
        int layers =
                networks.text().stream().mapToInt(TextEncoder::layers).min().orElseThrow();
        if (request.clipSkip() > layers) {
            throw new IllegalArgumentException(
                    "clip skip is " + request.clipSkip() + "; the text encoder has " + layers + " layers");
        }
    }

    private Condition condition(TextEmbedding text, float aesthetics, ImageRequest request) {
        PictureSizes sizes =
                request.sizes() == null ? PictureSizes.of(request.width(), request.height()) : request.sizes();
        return Conditioning.of(text, networks.unet(), spec.family(), sizes, aesthetics, request.guidance());
    }

    /**
     * What inpainting and editing models get behind the latent. For inpainting that is the mask of what is drawn anew,
     * and the latent of the picture with grey in its place; without a picture, all of it. For editing it is the latent of
     * no picture, which is 0.
     */
    private float[] beside(ImageRequest request, StartPicture start, int height, int width, CallControl control) {
        Autoencoder vae = networks.vae();
        int cells = height * width;
        int latent = vae.latentChannels() * cells;
        float[] beside = new float[networks.unet().inChannels() * cells - latent];
        if (beside.length > latent) {
            float[] mask = start.mask();
            if (mask == null) {
                Arrays.fill(beside, 0, cells, 1);
            } else {
                System.arraycopy(mask, 0, beside, 0, cells);
            }
            if (vae.hasEncoder()) {
                float[] moments = vae.encode(unmasked(request), 1, height, width, control);
                for (int i = 0; i < latent; i++) {
                    beside[cells + i] = moments[i] * spec.latentScale();
                }
            }
        }
        return beside;
    }

    /** [3][height][width] of the image to start from with grey where it is drawn anew. */
    private static float[] unmasked(ImageRequest request) {
        int width = request.width();
        int height = request.height();
        return request.image() == null || request.mask() == null
                ? new float[3 * width * height]
                : request.image().fitted(width, height).planes(request.mask().fitted(width, height));
    }

    private GeneratedImage decode(
            float[] latent,
            int height,
            int width,
            long seed,
            ImageRequest request,
            int unetCalls,
            Work work,
            CallControl control) {
        Autoencoder vae = networks.vae();
        float[] unscaled = latent.clone();
        for (int i = 0; i < unscaled.length; i++) {
            unscaled[i] /= spec.latentScale();
        }
        float[] planes = vae.decode(unscaled, 1, height, width, control);
        for (float value : planes) {
            if (!Float.isFinite(value)) {
                throw new IllegalStateException(checkpoint.path()
                        + " computed values that are no numbers; it is damaged, or the guidance is too strong");
            }
        }
        return new GeneratedImage(
                request.width(),
                request.height(),
                keepUnmasked(rgb(planes), request),
                seed,
                Infotext.of(request, seed, checkpoint.path()),
                unetCalls,
                work);
    }

    /** The pixels of the image to start from where a mask says that they stay, as in A1111. */
    private static byte[] keepUnmasked(byte[] rgb, ImageRequest request) {
        if (request.image() == null || request.mask() == null) {
            return rgb;
        }
        int width = request.width();
        int height = request.height();
        Picture drawn = Picture.of(width, height, rgb);
        return request.image()
                .fitted(width, height)
                .under(drawn, request.mask().fitted(width, height))
                .rgb();
    }

    /** [3][pixels] from -1 to 1, to [pixels][3] bytes, rounding half up. */
    private static byte[] rgb(float[] planes) {
        int pixels = planes.length / 3;
        byte[] rgb = new byte[planes.length];
        for (int p = 0; p < pixels; p++) {
            for (int c = 0; c < 3; c++) {
                float value = (planes[c * pixels + p] + 1) / 2;
                rgb[3 * p + c] = (byte) (Math.max(0, Math.min(1, value)) * 255 + 0.5f);
            }
        }
        return rgb;
    }
}
