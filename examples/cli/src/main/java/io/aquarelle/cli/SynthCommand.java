package io.aquarelle.cli;

import io.aquarelle.model.DataType;
import io.aquarelle.model.ModelFamily;
import io.aquarelle.model.RandomCheckpoint;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code aquarelle synth}: full-size checkpoints with random weights. */
@Command(
        name = "synth",
        description = "Writes a full-size checkpoint with random weights, for timing and tests.",
        sortOptions = false)
final class SynthCommand extends SubCommand {
    /** Stored types to choose from. */
    private enum Type {
        F16,
        F32,
        BF16
    }

    @Parameters(index = "0", paramLabel = "sd1|sd2|sdxl|sdxl_refiner", description = "The family of models.")
    private ModelFamily family;

    @Parameters(index = "1", paramLabel = "OUT", description = "The .safetensors file to write or replace.")
    private Path out;

    @Option(names = "--type", paramLabel = "TYPE", description = "How weights are stored (f16): f16, f32, bf16.")
    private Type type = Type.F16;

    @Option(
            names = "--seed",
            paramLabel = "SEED",
            description = "The same seed gives the same file everywhere (${DEFAULT-VALUE}).")
    private long seed = 0;

    SynthCommand(Context context) {
        super(context);
    }

    @Override
    public Integer call() throws IOException {
        long start = System.nanoTime();
        OutputFile.requireEnding("OUT", out, ".safetensors");
        OutputFile.requireWritable(List.of(out));
        try (ProgressBar bar = context.progressBar()) {
            RandomCheckpoint.write(
                    family,
                    DataType.valueOf(type.name()),
                    seed,
                    out,
                    (bytes, total) -> bar.showBytes("write", bytes, total));
        }
        print("%s  %.2f GB  %.1f s", out, Files.size(out) / 1e9, (System.nanoTime() - start) / 1e9);
        return Main.DONE;
    }
}
