package io.aquarelle.cli;

import io.aquarelle.ImageRequest;
import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.Conversion;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.StoredTypes;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What commands have that run a model. */
abstract class ModelCommand extends SubCommand {
    @Mixin
    private ModelFileOptions files;

    @Option(
            names = "--type",
            paramLabel = "TYPE",
            order = 80,
            description = "Store weights in memory in another type, such as q8_0 or q4_k; see convert --help.")
    private String type;

    @Option(
            names = {"-W", "--width"},
            paramLabel = "PIXELS",
            description = "Width of the picture, a multiple of 8; without it, that of the picture to start from or"
                    + " what the model was trained on.")
    Integer width;

    @Option(
            names = {"-H", "--height"},
            paramLabel = "PIXELS",
            description = "Height of the picture, likewise.")
    Integer height;

    @Mixin
    private EngineArguments engine;

    @Option(names = "--json", order = 80, description = "Print one JSON object instead of text.")
    boolean json;

    ModelCommand(Context context) {
        super(context);
    }

    /** The checkpoint asked for, or the one that ships with the project. */
    final Path model() throws IOException {
        return files.modelOrDemo();
    }

    final void requireNoSteps() {
        files.requireNoSteps();
    }

    /** UNets for some of the steps. */
    final List<UNetOption> switchedUNets() {
        return files.switched();
    }

    /** Opens the model in the type asked for. */
    final Checkpoint openModel(Path model, ProgressBar bar) throws IOException {
        return openModel(model, null, bar);
    }

    /** The same with {@code tiny} in place of the VAE, if it is not null. */
    final Checkpoint openModel(Path model, Path tiny, ProgressBar bar) throws IOException {
        if (type == null) {
            return files.open(model, tiny);
        }
        StoredTypes types = StoredTypes.of(ModelFileOptions.type("--type", type));
        try (Checkpoint stored = files.open(model, tiny)) {
            return Conversion.load(stored, types, (bytes, total) -> bar.showBytes("load", bytes, total));
        }
    }

    final int threads() {
        return engine.threads;
    }

    final EngineOptions engineOptions() {
        return engine.options();
    }

    /** Sets the size asked for, where one is. */
    final void setSize(ImageRequest.Builder request) {
        set(request, "--width", width, ImageRequest.Builder::width);
        set(request, "--height", height, ImageRequest.Builder::height);
    }

    /** Sets a part of a request, where {@code value} is not null; a failure names the option that it came from. */
    static <T> void set(
            ImageRequest.Builder request, String option, T value, BiConsumer<ImageRequest.Builder, T> setting) {
        if (value != null) {
            set(request, option, it -> setting.accept(it, value));
        }
    }

    /** Sets a part of a request; a failure names the option that it came from. */
    static void set(ImageRequest.Builder request, String option, Consumer<ImageRequest.Builder> setting) {
        setting.accept(request);
        try {
            request.build();
        } catch (IllegalArgumentException e) {
            throw new BadInputException(option, e);
        }
    }
}
