package io.aquarelle.cli;

import io.aquarelle.ImageRequest;
import io.aquarelle.model.Convolution;
import io.aquarelle.model.EngineOptions;
import java.nio.file.Path;
import java.util.function.Consumer;
import picocli.CommandLine.Option;

/** What commands have that run a model. */
abstract class ModelCommand extends SubCommand {
    @Option(
            names = {"-m", "--model"},
            paramLabel = "FILE",
            description = "A Stable Diffusion 1.x checkpoint (.safetensors).")
    private Path model;

    @Option(
            names = {"-W", "--width"},
            paramLabel = "PIXELS",
            description = "Width of the picture, a multiple of 8 (${DEFAULT-VALUE}).")
    int width = 512;

    @Option(
            names = {"-H", "--height"},
            paramLabel = "PIXELS",
            description = "Height of the picture, a multiple of 8 (${DEFAULT-VALUE}).")
    int height = 512;

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

    /** A request of the size asked for. */
    final ImageRequest.Builder request(String prompt) {
        var request = ImageRequest.builder(prompt);
        set(request, "--prompt", it -> {});
        set(request, "--width", it -> it.size(width, 512));
        set(request, "--height", it -> it.size(width, height));
        return request;
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
