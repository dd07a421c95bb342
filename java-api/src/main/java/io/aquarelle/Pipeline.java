package io.aquarelle;

import io.aquarelle.model.Adapter;
import io.aquarelle.model.Autoencoder;
import io.aquarelle.model.CallControl;
import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.ControlNet;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.ImageAdapter;
import io.aquarelle.model.ModelFormatException;
import io.aquarelle.model.ModelSpec;
import io.aquarelle.model.NativeRuntime;
import io.aquarelle.model.SpeedUpNet;
import io.aquarelle.plan.ExpertLayers;
import io.aquarelle.plan.StepPlan;
import io.aquarelle.plan.TemporalExperts;
import io.aquarelle.plan.UNetSwitching;
import io.aquarelle.plan.Unit;
import io.aquarelle.sampling.Prediction;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
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
    private final Model model;
    private final EngineOptions options;
    private final Turns turns;

    private Pipeline(Model model, EngineOptions options) {
        this.model = model;
        this.options = options;
        turns = new Turns("the pipeline of " + model.checkpoint().path());
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
            Pipeline second =
                    own(model.checkpoint().retain(), options, model.spec().prediction());
            try {
                model.shareOthers(second.model);
                return second;
            } catch (Throwable e) {
                second.close();
                throw e;
            }
        } catch (IOException e) {
            throw new IllegalStateException(model.checkpoint().path() + " could be opened once but not again", e);
        }
    }

    /**
     * Opens the UNet of another file, so that plans can switch to it; see {@link UNetSwitching}. Text encoder, VAE and
     * the sampler's state stay those of this model, so it must take and give what the model's own does.
     *
     * @param file a whole model or a UNet alone
     * @return its number in plans, 1 for the first
     * @throws ModelFormatException if the file is damaged, or has no UNet of this model's kind
     * @throws IOException if it cannot be read
     * @throws IllegalStateException if the pipeline is closed
     */
    public int addUNet(Path file) throws IOException {
        return turns.inTurn(() -> {
            model.addUNet(Checkpoint.open(file));
            return model.unets().size() - 1;
        });
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
            return new Pipeline(Model.open(checkpoint, options, prediction), options);
        } catch (Throwable e) {
            checkpoint.close();
            throw e;
        }
    }

    /** What kind of model this is; its prediction is known. */
    public ModelSpec spec() {
        return model.spec();
    }

    /** The parts of the UNet that plans are about. */
    public List<Unit> units() {
        return model.networks().unet().units();
    }

    /** Starts a request with everything but the prompt at what suits this model; see {@link ModelDefaults}. */
    public ImageRequest.Builder request(String prompt) {
        ModelDefaults defaults = ModelDefaults.of(model.spec());
        return ImageRequest.builder(prompt)
                .suitedSize(defaults.width(), defaults.height())
                .steps(defaults.steps())
                .suitedGuidance(defaults.guidance())
                .sampler(defaults.sampler())
                .schedule(defaults.schedule())
                // Models that edit get the picture beside noise alone.
                .strength(model.networks().edits() ? 1 : ImageRequest.STRENGTH);
    }

    /**
     * Opens a control net for this pipeline's requests, which closes it. The same file is opened once.
     *
     * @param file with the names of CompVis or diffusers, of any format that {@link Checkpoint} knows
     * @throws ModelFormatException if it is no control net or was made for another kind of model
     * @throws IOException if it cannot be read
     * @throws IllegalStateException if the pipeline is closed
     */
    public ControlNet controlNet(Path file) throws IOException {
        return turns.inTurn(() -> model.addOns().controlNet(file));
    }

    /**
     * Opens a SpeedUpNet for this pipeline's requests, which closes it. The same file is opened once.
     *
     * @param file of any format that {@link Checkpoint} knows
     * @throws ModelFormatException if it is none, or was made for another kind of model
     * @throws IOException if it cannot be read
     * @throws IllegalStateException if the pipeline is closed
     */
    public SpeedUpNet speedUpNet(Path file) throws IOException {
        return turns.inTurn(() -> model.addOns().speedUpNet(file));
    }

    /**
     * Opens an IP-Adapter for this pipeline's requests, which closes it. The same files are opened once.
     *
     * @param file a plain adapter of SD 1.5 or SDXL, of any format that {@link Checkpoint} knows
     * @param encoder the CLIP image tower that it was trained with, by the names of Hugging Face
     * @throws ModelFormatException if it is none, or was made for another kind of model or encoder
     * @throws IOException if a file cannot be read
     * @throws IllegalStateException if the pipeline is closed
     */
    public ImageAdapter imageAdapter(Path file, Path encoder) throws IOException {
        return imageAdapter(file, encoder, 0);
    }

    /** The same for an encoder whose attention has other than the usual 16 heads. */
    ImageAdapter imageAdapter(Path file, Path encoder, int heads) throws IOException {
        return turns.inTurn(() -> model.addOns().imageAdapter(file, encoder, heads));
    }

    /**
     * Opens an autoencoder beside the model's own, such as a tiny one for {@link Preview#decoded(Autoencoder)}; the
     * pipeline closes it. The same file is opened once. To draw with a tiny autoencoder in place of the VAE, open the
     * model {@linkplain io.aquarelle.model.ModelFiles#withVae with it}.
     *
     * @param file a VAE or a TAESD, whole or its decoder, of any format that {@link Checkpoint} knows
     * @throws ModelFormatException if it has none that decodes this model's latents
     * @throws IOException if it cannot be read
     * @throws IllegalStateException if the pipeline is closed
     */
    public Autoencoder autoencoder(Path file) throws IOException {
        return turns.inTurn(() -> model.addOns().autoencoder(file));
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
     * Draws a request and keeps no picture: the listener {@linkplain ProgressListener#finished gets} each one. Otherwise
     * like {@link #generate(ImageRequest, ProgressListener)}, for batches that would fill the memory.
     */
    public void draw(ImageRequest request, ProgressListener listener) {
        draw(request, listener, new CallControl(), image -> {});
    }

    /** Draws a request on a thread of its own; see {@link #generateAsync(ImageRequest, ProgressListener)}. */
    public CompletableFuture<List<GeneratedImage>> generateAsync(ImageRequest request) {
        return generateAsync(request, ProgressListener.NONE);
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
        turns.cancel();
    }

    /**
     * Cancels the generation in progress, refuses those that wait, and gives memory back. Without effect when closed
     * already.
     *
     * @throws IllegalStateException if a listener of this pipeline's own generation calls it
     */
    @Override
    public void close() {
        turns.close(model::close);
    }

    /**
     * What each call of the UNet computes for one picture of a request, in their order; those of a second pass follow,
     * counted from 0 again.
     *
     * @throws IllegalArgumentException if the request's plan does not suit this model and the request
     */
    public List<StepPlan> plan(ImageRequest request) {
        return Drawing.courses(model, request).stream()
                .flatMap(course -> course.plans().stream())
                .toList();
    }

    /**
     * What each call of the UNet would do for one picture of a request, and the work that it comes to; draws
     * nothing.
     *
     * @throws IllegalArgumentException if the request's plan does not suit this model and the request
     * @throws IllegalStateException if the pipeline is closed
     */
    public List<PlannedCall> explain(ImageRequest request) {
        return turns.cancellable(
                new CallControl(),
                control -> Drawing.courses(model, request).stream()
                        .flatMap(course -> course.explain().stream())
                        .toList());
    }

    /**
     * Random masks for this model's UNet that leave out a share of the multiply-adds of each guided call, to time what
     * temporal experts save; see {@link ExpertLayers#random}.
     *
     * @param request of whose size calls are
     * @param experts how many masks
     * @param share 0 to what all layers come to
     * @throws IllegalArgumentException if the layers do not come to the share
     */
    public TemporalExperts randomExperts(ImageRequest request, int experts, double share, long seed) {
        return turns.cancellable(
                new CallControl(),
                control -> Course.of(request, model).getFirst().randomExperts(experts, share, seed));
    }

    /**
     * The cheapest plan for pictures as of a request that stay close to those of the full run. It is found by drawing
     * some dozens of small pictures, and kept in the user's cache for the next request of the same model, size, steps,
     * sampler and schedule.
     *
     * @param quality lowest peak signal-to-noise ratio of the calibration pictures, 10 to 100 dB; other pictures may
     *     differ more, or less
     * @param listener told of the calibration pictures' progress; there are no previews of them
     * @throws IllegalArgumentException if the quality is out of range, or the request starts from a picture
     * @throws GenerationCancelledException after {@link #cancel}
     */
    public AutoPlan autoPlan(ImageRequest request, double quality, ProgressListener listener) {
        return autoPlan(request, quality, listener, NativeRuntime.cacheFolder().resolve("plans"));
    }

    /** The same with a folder to keep plans in. */
    AutoPlan autoPlan(ImageRequest request, double quality, ProgressListener listener, Path folder) {
        if (!(quality >= 10 && quality <= 100)) {
            throw new IllegalArgumentException("the quality is " + quality + " dB; it must be 10 to 100");
        }
        boolean plain = request.image() == null
                && request.hires() == null
                && request.controls().isEmpty()
                && request.speedUp() == null
                && request.imagePrompts().isEmpty()
                && request.adapters().isEmpty()
                && request.words().isEmpty();
        if (!plain) {
            throw new IllegalArgumentException("plans are found for pictures that the model draws from noise in one"
                    + " pass, without other pictures and adapters");
        }
        ImageRequest asked = PlanSearch.calibration(request);
        PlanCache cache = turns.cancellable(
                new CallControl(),
                control -> new PlanCache(
                        folder,
                        model.checkpoint(),
                        String.join(
                                "|",
                                Version.current(),
                                "" + PlanSearch.VERSION,
                                "" + quality,
                                asked.width() + "x" + asked.height(),
                                "" + asked.guidance(),
                                asked.sampler(),
                                asked.schedule(),
                                "" + asked.steps(),
                                asked.sigmas().toString(),
                                "" + asked.eta(),
                                "" + asked.clipSkip(),
                                asked.rng(),
                                "" + model.spec().prediction())));
        return cache.read().orElseGet(() -> {
            AutoPlan plan = new PlanSearch(this, request, quality, listener).find();
            cache.write(plan);
            return plan;
        });
    }

    /**
     * Whether an adapter fits this model, and what of it does nothing here.
     *
     * @return names of its tensors that change nothing, as the model has no such layer or they are of an unknown kind
     * @throws ModelFormatException if it was made for another kind of model; the message names a tensor
     * @throws IllegalStateException if the pipeline is closed
     */
    public List<String> unused(Adapter adapter) throws ModelFormatException {
        return turns.inTurn(() -> model.adapters().unused(adapter));
    }

    private List<GeneratedImage> generate(ImageRequest request, ProgressListener listener, CallControl control) {
        List<GeneratedImage> images = new ArrayList<>();
        draw(request, listener, control, images::add);
        return images;
    }

    private void draw(
            ImageRequest request, ProgressListener listener, CallControl control, Consumer<GeneratedImage> finished) {
        turns.cancellable(control, it -> {
            new Drawing(model, request, listener, it).run(finished);
            return null;
        });
    }
}
