package io.aquarelle.cli;

import io.aquarelle.GeneratedImage;
import io.aquarelle.ImageRequest;
import io.aquarelle.Picture;
import io.aquarelle.Pipeline;
import io.aquarelle.PlannedCall;
import io.aquarelle.Progress;
import io.aquarelle.Progress.Phase;
import io.aquarelle.ProgressListener;
import io.aquarelle.Upscaler;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.NativeRuntime;
import io.aquarelle.model.TextualInversion;
import io.aquarelle.plan.Work;
import io.aquarelle.sampling.Prediction;
import io.aquarelle.sampling.RandomSources;
import io.aquarelle.sampling.Samplers;
import io.aquarelle.sampling.SigmaSchedules;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigInteger;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code aquarelle generate}: text and pictures to PNG files. */
@Command(name = "generate", description = "Draws what a prompt describes.", sortOptions = false)
final class GenerateCommand extends ModelCommand {
    @Parameters(
            arity = "0..1",
            paramLabel = "PROMPT",
            description = "What the picture shows. (words:1.3) weighs words, BREAK starts a new chunk of 75 tokens.")
    private String positionalPrompt;

    @Option(
            names = {"-p", "--prompt"},
            paramLabel = "PROMPT",
            description = "The same as an option.")
    private String prompt;

    @Option(
            names = {"-n", "--negative-prompt"},
            paramLabel = "PROMPT",
            description = "What the picture does not show.")
    private String negativePrompt = "";

    @Option(
            names = "--steps",
            paramLabel = "N",
            description = "Sampling steps; without it, what suits the model, 20 for most.")
    private Integer steps;

    @Option(
            names = "--cfg-scale",
            paramLabel = "SCALE",
            description = "How strongly the prompts guide; without it, what suits the model, 7 for most. 1 leaves the"
                    + " negative prompt out.")
    private Float guidance;

    @Option(
            names = {"-s", "--seed"},
            paramLabel = "SEED",
            converter = Seed.Converter.class,
            description = "The same seed draws the same picture; a negative one, or none, is random.")
    private Seed seed = Seed.RANDOM;

    @Option(
            names = "--rng",
            paramLabel = "NAME",
            completionCandidates = RngNames.class,
            description = "Source of the noise (${DEFAULT-VALUE}): ${COMPLETION-CANDIDATES}.")
    private String rng = "cuda";

    @Option(
            names = {"--sampling-method", "--sampler"},
            paramLabel = "NAME",
            completionCandidates = SamplerNames.class,
            description = "Sampler; without it, what suits the model, euler_a for most: ${COMPLETION-CANDIDATES}.")
    private String sampler;

    @Option(
            names = {"--scheduler", "--schedule"},
            paramLabel = "NAME",
            completionCandidates = ScheduleNames.class,
            description = "Noise levels of the steps; without it, what suits model and sampler, discrete for most:"
                    + " ${COMPLETION-CANDIDATES}.")
    private String schedule;

    @Option(
            names = "--prediction",
            paramLabel = "eps|v",
            description = "What the UNet predicts, noise or velocity; without it, what the file or the UNet tells.")
    private Prediction prediction;

    @Option(
            names = "--sigmas",
            paramLabel = "N,N,...",
            split = ",",
            hideParamSyntax = true,
            description = "Noise levels of your own instead, falling, as in 14.6,6.5,2.1,0.5; they count the steps.")
    private List<Float> sigmas = List.of();

    @Option(
            names = "--eta",
            paramLabel = "SCALE",
            description =
                    "How much fresh noise the sampler adds, 0 none (0 for ddim, ddim_trailing, tcd, res_multistep,"
                            + " res_2s and euler_ge, otherwise 1).")
    private Float eta;

    @Option(
            names = {"-i", "--init-img"},
            paramLabel = "FILE",
            description = "A picture to start from: PNG, JPEG, GIF or BMP. It is cut and resized to the size asked for,"
                    + " or gives the size.")
    private Path initImage;

    @Option(
            names = "--strength",
            paramLabel = "0-1",
            description = "How far from that picture: 0 keeps it; without it 0.75, or 1 for models that edit pictures.")
    private Float strength;

    @Option(
            names = "--mask",
            paramLabel = "FILE",
            description = "What of that picture to draw anew: what is light in this one.")
    private Path mask;

    @Option(
            names = "--clip-skip",
            paramLabel = "N",
            description = "1 uses the text encoder's last layer, 2 the one before; 0, the default, what the model was"
                    + " trained on.")
    private int clipSkip = 0;

    @Option(
            names = "--max-memory",
            paramLabel = "SIZE",
            converter = MemorySize.class,
            description =
                    "Memory that encoding and decoding pictures may take besides weights, as in 500M or 2G; larger"
                            + " pictures go in bands, more slowly. Without it, what is free.")
    private Long maxMemory;

    @Option(
            names = {"-b", "--batch-count"},
            paramLabel = "N",
            description =
                    "Pictures to draw (${DEFAULT-VALUE}); the seed grows by 1 with each, or that of the variation.")
    private int batch = 1;

    @Option(
            names = {"-o", "--output"},
            paramLabel = "FILE",
            description = "The PNG file to write or replace (${DEFAULT-VALUE}); further pictures of a batch get _2, _3,"
                    + " ... before the ending.")
    private Path output = Path.of("out.png");

    @ArgGroup(validate = false)
    private AdapterOptions adapters = new AdapterOptions();

    @ArgGroup(validate = false)
    private PlanOptions plan = new PlanOptions();

    @Option(
            names = "--dry-run",
            description = "Draw nothing; print what each call of the UNet would do and its share of the multiply-adds.")
    private boolean dryRun;

    @ArgGroup(validate = false)
    private PassOptions passes = new PassOptions();

    @ArgGroup(validate = false)
    private SpeedUpOptions speedUp = new SpeedUpOptions();

    @ArgGroup(validate = false)
    private ControlOptions control = new ControlOptions();

    @ArgGroup(validate = false)
    private ImagePromptOptions imagePrompt = new ImagePromptOptions();

    @ArgGroup(validate = false)
    private PreviewOptions previews = new PreviewOptions();

    @ArgGroup(validate = false)
    private UpscaleOptions upscale = new UpscaleOptions();

    private final Map<Path, Picture> pictures = new HashMap<>();
    private List<TextualInversion> words = List.of();

    GenerateCommand(Context context) {
        super(context);
    }

    /**
     * What {@code --json} prints; {@code output} and {@code seed} are the first's, {@code outputs} and {@code seeds} all
     * of a batch's, and units are counted with a plan. {@code width} and {@code height} are those before upscaling, for
     * which {@code upscale_s} is set.
     */
    private record Report(
            BigInteger seed,
            int width,
            int height,
            int steps,
            int unetCalls,
            double loadS,
            double textS,
            double denoiseS,
            double decodeS,
            Double upscaleS,
            double totalS,
            double peakRssMb,
            String output,
            List<String> outputs,
            List<BigInteger> seeds,
            Long unitsRun,
            Long unitsReused,
            Long unitsSkipped,
            String plan) {}

    @Override
    public Integer call() throws IOException {
        long start = System.nanoTime();
        // Wrong options come to light before the model is read.
        splitSampler();
        adapters.read();
        String text = adapters.withoutTags("--prompt", prompt());
        negativePrompt = adapters.withoutTags("--negative-prompt", negativePrompt);
        words = adapters.words(text, negativePrompt);
        request(ImageRequest.builder(text));
        control.requireFit(this::picture);
        imagePrompt.requireFit(this::picture);
        upscale.check();
        OutputFile.requireEnding("--output", output, ".png");
        List<Path> files = OutputFile.series(output, batch);
        previews.requireFit(files, pictures.keySet(), dryRun);
        if (!dryRun) {
            OutputFile.requireWritable(files);
        }

        try (ProgressBar bar = context.progressBar();
                Upscaler between = passes.openUpscaler(engineOptions());
                Upscaler after = upscale.open(engineOptions())) {
            passes.use(between);
            bar.show("load", "", 0);
            Path model = model();
            try (Pipeline pipeline = open(model, bar)) {
                double loadS = Json.seconds(System.nanoTime() - start);
                tell("%s", NativeRuntime.describe());
                tell("%s: %s, threads %d", model, pipeline.spec().family().title(), threads());
                context.interrupt().onRequest(() -> {
                    pipeline.cancel();
                    upscale.cancel(after);
                });
                adapters.requireFit(pipeline, context, verbose);
                ImageRequest.Builder suited = speedUp.open(pipeline, pipeline.request(text));
                imagePrompt.open(pipeline, control.open(pipeline, suited, this::picture), this::picture);
                ImageRequest request = plan.planned(
                        pipeline,
                        adapters.beside(request(suited)),
                        switchedUNets(),
                        picture -> bar.show("plan", "calibration picture " + picture, 0));
                if (plan.found() != null) {
                    bar.clear();
                    tell("plan: %s", plan.found());
                }
                plan.requireFit(pipeline, request);
                upscale.requireFit(after, request);
                if (dryRun) {
                    bar.clear();
                    List<PlannedCall> calls = pipeline.explain(request);
                    print("%s", json ? Json.of(PlanOptions.rows(calls)) : PlanOptions.table(calls));
                    return Main.DONE;
                }
                var clock = new PhaseClock(context.interrupt(), bar, batch);
                var writer = new Writer(clock, after, files, bar);
                pipeline.draw(request, previews.beside(writer, pipeline));
                bar.clear();
                report(request, files, writer, loadS, clock, Json.seconds(System.nanoTime() - start));
            }
        }
        return Main.DONE;
    }

    private void report(
            ImageRequest request, List<Path> files, Writer done, double loadS, PhaseClock clock, double totalS) {
        Work work = done.work;
        double textS = clock.seconds(Phase.TEXT);
        double denoiseS = clock.seconds(Phase.DENOISE);
        double decodeS = clock.seconds(Phase.DECODE);
        double peakRssMb = Json.megabytes(NativeRuntime.peakResidentBytes());
        List<String> outputs =
                batch == 1 ? null : files.stream().map(Path::toString).toList();
        if (json) {
            print(
                    "%s",
                    Json.of(new Report(
                            Seed.unsigned(request.seed()),
                            request.width(),
                            request.height(),
                            request.steps(),
                            done.unetCalls,
                            loadS,
                            textS,
                            denoiseS,
                            decodeS,
                            upscale.model == null ? null : clock.seconds(Phase.UPSCALE),
                            totalS,
                            peakRssMb,
                            output.toString(),
                            outputs,
                            batch == 1 ? null : done.seeds,
                            plan.given() ? work.run() : null,
                            plan.given() ? work.reused() : null,
                            plan.given() ? work.skipped() : null,
                            plan.found())));
        }
        tell(
                "load %.2f s, text %.2f s, denoise %.2f s, decode %.2f s; %d UNet calls, peak memory %.0f MB",
                loadS, textS, denoiseS, decodeS, done.unetCalls, peakRssMb);
    }

    private String prompt() {
        if (prompt == null && positionalPrompt == null) {
            throw new BadInputException("no prompt: say what to draw, as in aquarelle generate \"a red apple\"");
        }
        if (prompt != null && positionalPrompt != null) {
            throw new BadInputException("--prompt: a prompt stands before it already; give one of them");
        }
        return prompt == null ? positionalPrompt : prompt;
    }

    /** A1111's older names of samplers end in that of the schedule: "DPM++ 2M Karras". */
    private void splitSampler() {
        int space = sampler == null ? -1 : sampler.lastIndexOf(' ');
        if (space < 0 || schedule != null || knows(Samplers::byName, sampler)) {
            return;
        }
        String first = sampler.substring(0, space);
        String last = sampler.substring(space + 1);
        if (knows(Samplers::byName, first) && knows(SigmaSchedules::byName, last)) {
            sampler = first;
            schedule = last;
        }
    }

    private static boolean knows(Function<String, ?> byName, String name) {
        try {
            byName.apply(name);
            return true;
        } catch (IllegalArgumentException e) {
            return false;
        }
    }

    /** The request with all that was asked for. */
    private ImageRequest request(ImageRequest.Builder request) {
        set(request, "--prompt", it -> {});
        set(request, "--lora", it -> it.adapters(adapters.adapters()).words(words));
        setSize(request);
        set(request, "--negative-prompt", it -> it.negativePrompt(negativePrompt));
        set(request, "--steps", steps, ImageRequest.Builder::steps);
        set(request, "--cfg-scale", guidance, ImageRequest.Builder::guidance);
        set(request, "--rng", it -> it.rng(rng));
        set(request, "--sampler", sampler, ImageRequest.Builder::sampler);
        set(request, "--schedule", schedule, ImageRequest.Builder::schedule);
        set(request, "--sigmas", it -> it.sigmas(sigmas));
        set(request, "--eta", it -> it.eta(eta));
        set(request, "--init-img", it -> it.image(picture(initImage)));
        set(request, "--strength", strength, ImageRequest.Builder::strength);
        if (strength != null && initImage == null) {
            throw new BadInputException("--strength: there is no picture to start from; name one with --init-img");
        }
        set(request, "--mask", it -> it.mask(picture(mask)));
        set(request, "--clip-skip", it -> it.clipSkip(clipSkip));
        set(request, "--max-memory", maxMemory, ImageRequest.Builder::maxMemory);
        set(request, "--batch-count", it -> it.batch(batch));
        passes.set(request);
        request.plan(plan.contents(switchedUNets()).policy());
        seed.value().ifPresent(request::seed);
        return request.build();
    }

    /** A file's picture, read once. */
    private Picture picture(Path file) {
        return file == null ? null : pictures.computeIfAbsent(file, GenerateCommand::read);
    }

    private static Picture read(Path file) {
        try {
            return Picture.read(file);
        } catch (IOException e) {
            throw new BadInputException(e);
        }
    }

    private Pipeline open(Path model, ProgressBar bar) {
        EngineOptions options = engineOptions();
        try {
            return Pipeline.open(adapters.merged(openModel(model, previews.vae(), bar)), options, prediction);
        } catch (IOException e) {
            throw new BadInputException(e);
        }
    }

    /** Writes each picture when it is there, so that what is finished stays when a later one fails or is stopped. */
    private final class Writer implements ProgressListener {
        private final PhaseClock clock;
        private final Upscaler after;
        private final List<Path> files;
        private final ProgressBar bar;
        private final long start = System.nanoTime();
        private int unetCalls;
        private Work work = Work.NONE;
        private final List<BigInteger> seeds = new ArrayList<>();

        Writer(PhaseClock clock, Upscaler after, List<Path> files, ProgressBar bar) {
            this.clock = clock;
            this.after = after;
            this.files = files;
            this.bar = bar;
        }

        @Override
        public void progress(Progress progress) {
            clock.progress(progress);
        }

        @Override
        public void finished(int index, GeneratedImage image) {
            unetCalls += image.unetCalls();
            work = work.plus(image.work());
            seeds.add(Seed.unsigned(image.seed()));
            ProgressListener tiles =
                    it -> clock.progress(new Progress(it.phase(), index, it.step(), it.total())); // not the repeats
            try {
                upscale.upscaled(after, image, tiles).writePng(files.get(index));
            } catch (IOException e) {
                throw new UncheckedIOException(e.getMessage(), e);
            }
            clock.pause();
            if (!json) {
                bar.clear();
                print(
                        "%s  seed %s  %.1f s",
                        files.get(index), Seed.unsigned(image.seed()), (System.nanoTime() - start) / 1e9);
            }
        }
    }

    /** Names for the help text. */
    private static final class RngNames implements Iterable<String> {
        @Override
        public Iterator<String> iterator() {
            return RandomSources.names().iterator();
        }
    }

    private static final class SamplerNames implements Iterable<String> {
        @Override
        public Iterator<String> iterator() {
            return Samplers.names().iterator();
        }
    }

    private static final class ScheduleNames implements Iterable<String> {
        @Override
        public Iterator<String> iterator() {
            return SigmaSchedules.names().iterator();
        }
    }
}
