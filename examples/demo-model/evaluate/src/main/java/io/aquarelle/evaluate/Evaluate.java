package io.aquarelle.evaluate;

import io.aquarelle.Picture;
import io.aquarelle.demo.DemoModel;
import io.aquarelle.evaluate.Evaluation.Baseline;
import io.aquarelle.model.EngineOptions;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalDouble;
import java.util.concurrent.Callable;
import javax.imageio.ImageIO;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
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
            description =
                    "Where to put the pictures, the contact sheet and the table; of --plans one sheet of all, a column"
                            + " a plan and a row a prompt.")
    private Path output;

    @Option(
            names = "--baseline",
            paramLabel = "FOLDER",
            description = "The output of an earlier run to compare pictures with.")
    private Path baseline;

    @Option(
            names = "--plans",
            paramLabel = "FILE",
            description = "Compare the ways to draw that a file lists, a line of options each, with its first one;"
                    + " prints comma-separated values.")
    private Path plans;

    @Option(
            names = "--prompts",
            paramLabel = "N",
            description = "Draw the first prompts only, such as for quick timings.")
    private int prompts = Integer.MAX_VALUE;

    @Mixin
    private Settings settings;

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
        if (prompts < 1) {
            throw new IllegalArgumentException("--prompts is " + prompts + "; it must be 1 or more");
        }
        try (var evaluation = new Evaluation(
                model == null ? DemoModel.file() : model,
                new EngineOptions(threads, EngineOptions.best().convolution()),
                Prompt.all().stream().limit(prompts).toList())) {
            if (plans == null) {
                report(evaluation);
            } else {
                compare(evaluation);
            }
        }
        return 0;
    }

    private void report(Evaluation evaluation) throws IOException {
        var report = new Report(evaluation.results(settings, baseline == null ? Baseline.NONE : this::psnr));
        report.print(System.out);
        if (output != null) {
            write(report);
        }
    }

    private void compare(Evaluation evaluation) throws IOException {
        BufferedImage pictures = Plans.compare(plans, evaluation, System.out);
        if (output != null) {
            Files.createDirectories(output);
            ImageIO.write(pictures, "jpg", output.resolve("plans.jpg").toFile());
        }
    }

    private OptionalDouble psnr(int number, BufferedImage picture) throws IOException {
        Path file = picture(baseline, number);
        BufferedImage before = Files.isReadable(file) ? ImageIO.read(file.toFile()) : null;
        if (before == null || before.getWidth() != picture.getWidth() || before.getHeight() != picture.getHeight()) {
            throw new IllegalArgumentException(
                    file + " is no picture of an earlier run; name a folder that was written with --output");
        }
        return OptionalDouble.of(Picture.of(picture).psnr(Picture.of(before)));
    }

    private void write(Report report) throws IOException {
        Files.createDirectories(output);
        List<BufferedImage> pictures =
                report.results().stream().map(Result::picture).toList();
        for (int i = 0; i < pictures.size(); i++) {
            ImageIO.write(pictures.get(i), "png", picture(output, i).toFile());
        }
        ImageIO.write(
                ContactSheet.of(pictures, 10),
                "png",
                output.resolve("sheet.png").toFile());
        try (var table = new PrintStream(output.resolve("table.txt").toFile(), "UTF-8")) {
            report.print(table);
        }
    }

    /** Of a prompt, counted from 0. */
    private static Path picture(Path folder, int number) {
        return folder.resolve("%03d.png".formatted(number + 1));
    }
}
