package io.aquarelle.evaluate;

import io.aquarelle.GeneratedImage;
import io.aquarelle.Pipeline;
import io.aquarelle.demo.DemoModel;
import io.aquarelle.model.Autoencoder;
import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.Engine;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.ModelSpec;
import io.aquarelle.model.Weights;
import io.aquarelle.plan.CallSelection;
import io.aquarelle.plan.PlanSyntax;
import io.aquarelle.plan.SelectiveGuidance;
import io.aquarelle.plan.StepPolicy;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import java.util.concurrent.Callable;
import javax.imageio.ImageIO;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Draws the fixed list of prompts with their fixed seeds and judges the pictures. */
@Command(
        name = "evaluate",
        description = "Draws 100 prompts with fixed seeds and tells how many pictures show what was asked for.",
        mixinStandardHelpOptions = true,
        sortOptions = false)
public final class Evaluate implements Callable<Integer> {
    @Option(
            names = {"-m", "--model"},
            paramLabel = "FILE",
            description = "Another form of the demonstration model; without it, the one that ships.")
    private Path model;

    @Option(
            names = {"-o", "--output"},
            paramLabel = "FOLDER",
            description = "Where to put the pictures, the contact sheet and the table.")
    private Path output;

    @Option(
            names = "--baseline",
            paramLabel = "FOLDER",
            description = "The output of an earlier run to compare pictures with.")
    private Path baseline;

    @Option(names = "--steps", paramLabel = "N", description = "Sampling steps (${DEFAULT-VALUE}).")
    private int steps = 20;

    @Option(names = "--cfg-scale", paramLabel = "SCALE", description = "Guidance (what suits the model).")
    private Float guidance;

    @Option(names = "--sampling-method", paramLabel = "NAME", description = "Sampler (what suits the model).")
    private String sampler;

    @Option(names = "--scheduler", paramLabel = "NAME", description = "Noise levels (what suits the model).")
    private String schedule;

    @Option(
            names = "--cond-only-last",
            paramLabel = "PERCENT",
            description = "Leave the negative prompt out of the last calls, as generate does.")
    private Double condOnlyLast;

    @Option(
            names = "--inherit",
            paramLabel = "SPEC",
            description = "Reuse parts of the UNet, as generate does. May be repeated.")
    private List<String> inherit = List.of();

    @Option(
            names = {"-t", "--threads"},
            paramLabel = "N",
            description = "Threads that compute (${DEFAULT-VALUE}).")
    private int threads = EngineOptions.best().threads();

    private Evaluate() {}

    /** Runs the command and ends the process: 0 done, 1 failed, 2 bad arguments. */
    public static void main(String[] args) {
        System.exit(run(args));
    }

    static int run(String... args) {
        return new CommandLine(new Evaluate())
                .setExecutionExceptionHandler((failure, command, parsed) -> {
                    System.err.println("evaluate: " + failure.getMessage());
                    return failure instanceof IllegalArgumentException ? 2 : 1;
                })
                .execute(args);
    }

    @Override
    public Integer call() throws IOException {
        Path file = model == null ? DemoModel.file() : model;
        var options = new EngineOptions(threads, EngineOptions.best().convolution());
        List<Result> results = new ArrayList<>();
        try (Pipeline pipeline = Pipeline.open(file, options);
                Checkpoint checkpoint = Checkpoint.open(file);
                Engine engine = Engine.create(options);
                Weights weights = Weights.of(checkpoint);
                Autoencoder vae = Autoencoder.create(engine, weights, ModelSpec.VAE_PREFIX)) {
            var retrieval = new Retrieval(new Atlas(), vae);
            for (Prompt prompt : Prompt.all()) {
                results.add(evaluate(pipeline, prompt, retrieval, results.size() + 1));
            }
        }
        var report = new Report(results);
        report.print(System.out);
        if (output != null) {
            write(report);
        }
        return 0;
    }

    private Result evaluate(Pipeline pipeline, Prompt prompt, Retrieval retrieval, int number) throws IOException {
        var request = pipeline.request(prompt.text())
                .size(Atlas.PICTURE, Atlas.PICTURE)
                .seed(prompt.seed())
                .steps(steps);
        if (guidance != null) {
            request.guidance(guidance);
        }
        if (sampler != null) {
            request.sampler(sampler);
        }
        if (schedule != null) {
            request.schedule(schedule);
        }
        request.plan(policy());
        long start = System.nanoTime();
        GeneratedImage image = pipeline.generate(request.build()).getFirst();
        double seconds = (System.nanoTime() - start) / 1e9;
        BufferedImage picture = image.toBufferedImage();
        return new Result(
                prompt,
                picture,
                retrieval.byPixels(picture, prompt.background()),
                retrieval.byLatent(picture, prompt.background()),
                Backgrounds.of(picture),
                psnr(picture, number),
                image.unetCalls(),
                image.work().multiplyAdds(),
                seconds);
    }

    private StepPolicy policy() {
        StepPolicy policy =
                condOnlyLast == null ? StepPolicy.FULL : new SelectiveGuidance(CallSelection.lastPercent(condOnlyLast));
        for (String spec : inherit) {
            policy = policy.then(PlanSyntax.inheritance(spec));
        }
        return policy;
    }

    private OptionalDouble psnr(BufferedImage picture, int number) throws IOException {
        if (baseline == null) {
            return OptionalDouble.empty();
        }
        Path file = picture(baseline, number);
        BufferedImage before = Files.isReadable(file) ? ImageIO.read(file.toFile()) : null;
        if (before == null || before.getWidth() != picture.getWidth() || before.getHeight() != picture.getHeight()) {
            throw new IllegalArgumentException(
                    file + " is no picture of an earlier run; name a folder that was written with --output");
        }
        return OptionalDouble.of(Planes.psnr(Planes.of(picture), Planes.of(before)));
    }

    private void write(Report report) throws IOException {
        Files.createDirectories(output);
        List<BufferedImage> pictures =
                report.results().stream().map(Result::picture).toList();
        for (int i = 0; i < pictures.size(); i++) {
            ImageIO.write(pictures.get(i), "png", picture(output, i + 1).toFile());
        }
        ImageIO.write(
                ContactSheet.of(pictures), "png", output.resolve("sheet.png").toFile());
        try (var table = new PrintStream(output.resolve("table.txt").toFile(), "UTF-8")) {
            report.print(table);
        }
    }

    private static Path picture(Path folder, int number) {
        return folder.resolve("%03d.png".formatted(number));
    }
}
