package io.aquarelle.cli;

import io.aquarelle.ImagePrompt;
import io.aquarelle.ImageRequest;
import io.aquarelle.Picture;
import io.aquarelle.Pipeline;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Function;
import picocli.CommandLine.Option;

/** Options for a picture as a prompt. */
final class ImagePromptOptions {
    @Option(
            names = "--ip-adapter",
            paramLabel = "FILE",
            description = "Take a picture as a prompt by this IP-Adapter, a plain one or a Plus, of SD 1.5 or SDXL.")
    private Path adapter;

    @Option(
            names = {"--clip_vision", "--clip-vision"},
            paramLabel = "FILE",
            description = "The image encoder that it was trained with.")
    private Path encoder;

    @Option(names = "--ip-adapter-image", paramLabel = "FILE", description = "The picture.")
    private Path image;

    @Option(
            names = "--ip-adapter-strength",
            paramLabel = "SCALE",
            description = "How strongly it guides (${DEFAULT-VALUE}).")
    private float strength = 1;

    /** Refuses options that do not belong together, and a picture that cannot be read. */
    void requireFit(Function<Path, Picture> pictures) {
        boolean all = adapter != null && encoder != null && image != null;
        if (!all && (adapter != null || encoder != null || image != null)) {
            throw new BadInputException("--ip-adapter, --clip_vision and --ip-adapter-image: name all three");
        }
        pictures.apply(image);
    }

    /** Opens what was given and adds it to a request. */
    ImageRequest.Builder open(Pipeline pipeline, ImageRequest.Builder request, Function<Path, Picture> pictures) {
        if (adapter == null) {
            return request;
        }
        try {
            return request.imagePrompts(List.of(
                    new ImagePrompt(pipeline.imageAdapter(adapter, encoder), pictures.apply(image), strength, 0, 1)));
        } catch (IOException e) {
            throw new BadInputException("--ip-adapter", e);
        } catch (IllegalArgumentException e) {
            throw new BadInputException("--ip-adapter-strength", e);
        }
    }
}
