package io.aquarelle.cli;

import io.aquarelle.ImageRequest;
import io.aquarelle.Pipeline;
import io.aquarelle.model.ExpertMasks;
import io.aquarelle.plan.TemporalExperts;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code aquarelle masks}: random temporal experts of the cost that trained ones have. */
@Command(
        name = "masks",
        description = "Writes random masks of ALTER's temporal experts for a model, for timing and tests.",
        sortOptions = false)
final class MasksCommand extends ModelCommand {
    @Parameters(index = "0", paramLabel = "OUT", description = "The .safetensors file to write or replace.")
    private Path out;

    @Option(
            names = "--share",
            paramLabel = "PERCENT",
            description = "Multiply-adds of a guided call that each mask leaves out (${DEFAULT-VALUE}).")
    private double share = 35;

    @Option(names = "--experts", paramLabel = "N", description = "How many masks (${DEFAULT-VALUE}).")
    private int experts = 10;

    @Option(names = "--seed", paramLabel = "SEED", description = "The same seed gives the same masks.")
    private long seed = 0;

    MasksCommand(Context context) {
        super(context);
    }

    @Override
    public Integer call() throws IOException {
        Path model = model();
        requireNoSteps();
        OutputFile.requireEnding("OUT", out, ".safetensors");
        OutputFile.requireWritable(List.of(out));
        if (experts < 1 || experts > 1000) {
            throw new BadInputException("--experts is " + experts + "; it must be 1 to 1000");
        }
        try (ProgressBar bar = context.progressBar()) {
            bar.show("load", "", 0);
            try (Pipeline pipeline = open(model, bar)) {
                ImageRequest.Builder request = pipeline.request("");
                setSize(request);
                ExpertMasks.write(masks(pipeline, request.build()), pipeline.units(), out);
            }
        }
        print("%s  %d experts that leave out %.1f%%", out, experts, share);
        return Main.DONE;
    }

    private TemporalExperts masks(Pipeline pipeline, ImageRequest request) {
        try {
            return pipeline.randomExperts(request, experts, share / 100, seed);
        } catch (IllegalArgumentException e) {
            throw new BadInputException("--share", e);
        }
    }

    private Pipeline open(Path model, ProgressBar bar) {
        try {
            return Pipeline.open(openModel(model, bar), engineOptions(), null);
        } catch (IOException e) {
            throw new BadInputException(e);
        }
    }
}
