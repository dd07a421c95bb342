package io.aquarelle.cli;

import io.aquarelle.Picture;
import io.aquarelle.Progress.Phase;
import io.aquarelle.Upscaler;
import io.aquarelle.model.NativeRuntime;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code aquarelle upscale}: a picture to a larger one. */
@Command(name = "upscale", description = "Enlarges a picture by a network.", sortOptions = false)
final class UpscaleCommand extends SubCommand {
    @Parameters(
            index = "0",
            paramLabel = "FILE",
            description = "The picture: PNG, JPEG, GIF or BMP. What is transparent becomes white.")
    private Path input;

    @Mixin
    private UpscaleOptions upscale;

    @Option(
            names = {"-o", "--output"},
            paramLabel = "FILE",
            description = "The PNG file to write or replace (${DEFAULT-VALUE}).")
    private Path output = Path.of("out.png");

    @Mixin
    private EngineArguments engine;

    @Option(names = "--json", order = 80, description = "Print one JSON object instead of text.")
    private boolean json;

    UpscaleCommand(Context context) {
        super(context);
    }

    /** What {@code --json} prints. */
    private record Report(
            int width,
            int height,
            int scale,
            double loadS,
            double upscaleS,
            double totalS,
            double peakRssMb,
            String output) {}

    @Override
    public Integer call() throws IOException {
        long start = System.nanoTime();
        upscale.check();
        if (upscale.model == null) {
            throw new BadInputException("--upscale-model: name the upscaler's file");
        }
        OutputFile.requireEnding("--output", output, ".png");
        OutputFile.requireWritable(List.of(output));
        Picture small = read();
        try (ProgressBar bar = context.progressBar();
                Upscaler upscaler = upscale.open(engine.options())) {
            double loadS = Json.seconds(System.nanoTime() - start);
            context.interrupt().onRequest(upscaler::cancel);
            var clock = new PhaseClock(context.interrupt(), bar, 1);
            Picture large = enlarged(upscaler, small, clock);
            large.writePng(output);
            bar.clear();
            double totalS = Json.seconds(System.nanoTime() - start);
            if (json) {
                print(
                        "%s",
                        Json.of(new Report(
                                large.width(),
                                large.height(),
                                upscaler.scale(),
                                loadS,
                                clock.seconds(Phase.UPSCALE),
                                totalS,
                                Json.megabytes(NativeRuntime.peakResidentBytes()),
                                output.toString())));
            } else {
                print("%s  %s  %.1f s", output, large, totalS);
            }
        }
        return Main.DONE;
    }

    private Picture read() {
        try {
            return Picture.read(input);
        } catch (IOException e) {
            throw new BadInputException(e);
        }
    }

    private Picture enlarged(Upscaler upscaler, Picture small, PhaseClock clock) {
        try {
            return upscaler.upscale(small, upscale.repeats, upscale.tileSize, clock);
        } catch (IllegalArgumentException e) {
            throw new BadInputException(input.toString(), e);
        }
    }
}
