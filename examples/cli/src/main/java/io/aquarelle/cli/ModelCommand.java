package io.aquarelle.cli;

import io.aquarelle.ImageRequest;
import io.aquarelle.model.Convolution;
import io.aquarelle.model.EngineOptions;
import java.nio.file.Path;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import picocli.CommandLine.Option;

/** What commands have that run a model. */
abstract class ModelCommand extends SubCommand {
    @Option(
            names = {"-m", "--model"},
            paramLabel = "FILE",
            description =
                    "A Stable Diffusion checkpoint (.safetensors): SD 1.x, SD 2.x, SDXL and what was made of them.")
    private Path model;

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

    @Option(
            names = {"-t", "--threads"},
            paramLabel = "N",
            order = 80,
            description = "Threads that compute (${DEFAULT-VALUE}, this machine's processors).")
    int threads = EngineOptions.best().threads();

    @Option(
            names = "--conv",
            paramLabel = "NAME",
            order = 80,
            description = "How convolutions are computed (${DEFAULT-VALUE}): ${COMPLETION-CANDIDATES}.")
    Convolution convolution = Convolution.AUTO;

    @Option(names = "--json", order = 80, description = "Print one JSON object instead of text.")
    boolean json;

    ModelCommand(Context context) {
        super(context);
    }

    final Path requireModel() {
        if (model == null) {
            throw new BadInputException("no model: no demonstration model ships yet; name a checkpoint with -m FILE");
        }
        return model;
    }

    final EngineOptions engineOptions() {
        try {
            return new EngineOptions(threads, convolution);
        } catch (IllegalArgumentException e) {
            throw new BadInputException("--threads", e);
        }
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
