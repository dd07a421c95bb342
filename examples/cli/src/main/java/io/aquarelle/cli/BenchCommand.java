package io.aquarelle.cli;

import io.aquarelle.ImageRequest;
import io.aquarelle.ModelDefaults;
import io.aquarelle.model.Autoencoder;
import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.Engine;
import io.aquarelle.model.ModelFormatException;
import io.aquarelle.model.ModelSpec;
import io.aquarelle.model.NativeRuntime;
import io.aquarelle.model.TextEncoder;
import io.aquarelle.model.TextTower;
import io.aquarelle.model.UNet;
import io.aquarelle.model.UNet.Condition;
import io.aquarelle.model.Weights;
import io.aquarelle.sampling.RandomSources;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code aquarelle bench}: seconds that the networks of a model take. */
@Command(name = "bench", description = "Times the networks of a model.", sortOptions = false)
final class BenchCommand extends ModelCommand {
    private static final float TIMESTEP = 500;
    private static final int TOKENS = 77;

    @Option(
            names = "--steps",
            paramLabel = "N",
            description = "UNet calls to time after a first one that warms up; the median counts (${DEFAULT-VALUE}).")
    private int steps = 5;

    @Option(names = "--profile", description = "Also show where a UNet call and a decode spend their time.")
    private boolean profile;

    BenchCommand(Context context) {
        super(context);
    }

    /** What {@code --json} prints; a pair is a batch of two, as in a step with guidance. */
    private record Report(
            String model,
            int width,
            int height,
            int steps,
            int threads,
            double loadS,
            double textS,
            double unetCallS,
            double unetPairS,
            double decodeS,
            double peakRssMb,
            String unetProfile,
            String decodeProfile) {}

    @Override
    public Integer call() {
        requireNoSteps();
        var request = ImageRequest.builder("");
        setSize(request);
        set(request, "--steps", it -> it.steps(steps));
        Report report;
        try (ProgressBar bar = context.progressBar()) {
            report = measure(model(), bar);
        } catch (IOException e) {
            throw new BadInputException(e);
        }
        if (json) {
            print("%s", Json.of(report));
            return Main.DONE;
        }
        print("%s, %dx%d, threads %d", report.model, report.width, report.height, threads());
        print("load            %9.3f s", report.loadS);
        print("text            %9.3f s", report.textS);
        print("UNet call       %9.3f s", report.unetCallS);
        print("UNet call of 2  %9.3f s", report.unetPairS);
        print("decode          %9.3f s", report.decodeS);
        print("peak memory     %9.0f MB", report.peakRssMb);
        if (profile) {
            print("%nThe last UNet call, of 2:%n%s", report.unetProfile);
            print("%nThe decode:%n%s", report.decodeProfile);
        }
        return Main.DONE;
    }

    private Report measure(Path model, ProgressBar bar) throws IOException {
        bar.show("load", "", 0);
        long start = System.nanoTime();
        try (Checkpoint checkpoint = openModel(model, bar);
                Engine engine = Engine.create(engineOptions());
                Weights weights = Weights.of(checkpoint)) {
            ModelSpec spec = ModelSpec.of(checkpoint);
            List<TextEncoder> text = new ArrayList<>();
            try (UNet unet = UNet.create(engine, weights, ModelSpec.UNET_PREFIX, spec.heads());
                    Autoencoder vae = Autoencoder.create(engine, weights, ModelSpec.VAE_PREFIX)) {
                for (TextTower tower : spec.towers()) {
                    text.add(TextEncoder.create(engine, weights, tower));
                }
                double loadS = Json.seconds(System.nanoTime() - start);
                tell("%s", NativeRuntime.describe());
                if (!vae.hasDecoder()) {
                    throw new ModelFormatException(model, "has a VAE without decoder; use a whole checkpoint");
                }
                ModelDefaults defaults = ModelDefaults.of(spec);
                int pixelsWide = width == null ? defaults.width() : width;
                int pixelsHigh = height == null ? defaults.height() : height;
                int latentWidth = pixelsWide / vae.factor();
                int latentHeight = pixelsHigh / vae.factor();
                float[] latent = noise(unet.inChannels() * latentHeight * latentWidth);
                Condition condition = new Condition(
                        noise(TOKENS * unet.contextWidth()),
                        TOKENS,
                        noise(2 * unet.labelWidth()), // the branches of a guided step have different ones
                        noise(unet.guidanceWidth()));
                float[] decoded = noise(vae.latentChannels() * latentHeight * latentWidth);
                return new Report(
                        model.toString(),
                        pixelsWide,
                        pixelsHigh,
                        steps,
                        threads(),
                        loadS,
                        median(bar, "text", steps, () -> text.forEach(BenchCommand::encode)),
                        median(bar, "UNet", steps, () -> unet(unet, latent, condition, latentHeight, latentWidth, 1)),
                        median(
                                bar,
                                "UNet pair",
                                steps,
                                () -> unet(unet, latent, condition, latentHeight, latentWidth, 2)),
                        median(bar, "decode", 1, () -> vae.decode(decoded, 1, latentHeight, latentWidth, null)),
                        Json.megabytes(NativeRuntime.peakResidentBytes()),
                        profile ? unet.profile() : null,
                        profile ? vae.profile() : null);
            } finally {
                text.forEach(TextEncoder::close);
            }
        }
    }

    private static void encode(TextEncoder text) {
        int[][] prompt = new int[1][Math.min(TOKENS, text.maxTokens())];
        Arrays.setAll(prompt[0], i -> i % text.vocabulary());
        text.encode(prompt, 0, null);
    }

    private static void unet(UNet unet, float[] latent, Condition condition, int height, int width, int batch) {
        float[] timesteps = new float[batch];
        Arrays.fill(timesteps, TIMESTEP);
        Condition all = new Condition(
                repeat(condition.context(), batch),
                condition.tokens(),
                Arrays.copyOf(condition.label(), batch * unet.labelWidth()),
                repeat(condition.guidance(), batch));
        unet.evaluate(repeat(latent, batch), timesteps, all, height, width, null);
    }

    private static float[] repeat(float[] values, int times) {
        float[] all = new float[times * values.length];
        for (int i = 0; i < times; i++) {
            System.arraycopy(values, 0, all, i * values.length, values.length);
        }
        return all;
    }

    private static float[] noise(int count) {
        return RandomSources.philox(0).normal(count);
    }

    /** The median time of {@code calls} calls in seconds, after one that is not counted. */
    private static double median(ProgressBar bar, String phase, int calls, Runnable call) {
        bar.show(phase, "0/" + (calls + 1), 0);
        long[] nanos = new long[calls];
        for (int i = -1; i < calls; i++) {
            long start = System.nanoTime();
            call.run();
            if (i >= 0) {
                nanos[i] = System.nanoTime() - start;
            }
            bar.show(phase, i + 2 + "/" + (calls + 1), (i + 2.0) / (calls + 1));
        }
        Arrays.sort(nanos);
        return Json.seconds((nanos[(calls - 1) / 2] + nanos[calls / 2]) / 2);
    }
}
