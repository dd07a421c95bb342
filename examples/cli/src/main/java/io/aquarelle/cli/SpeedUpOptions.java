package io.aquarelle.cli;

import io.aquarelle.ImageRequest;
import io.aquarelle.Pipeline;
import java.io.IOException;
import java.nio.file.Path;
import picocli.CommandLine.Option;

/** An adapter that makes a model need few steps. */
final class SpeedUpOptions {
    @Option(
            names = "--sun",
            paramLabel = "FILE",
            description =
                    "Draw with this SpeedUpNet: without other options 4 steps of dpm++2m, trailing, and guidance 1;"
                            + " the negative prompt counts.")
    private Path sun;

    /** Opens what was given, and sets what it was trained for; later settings replace that. */
    ImageRequest.Builder open(Pipeline pipeline, ImageRequest.Builder request) {
        try {
            return sun == null ? request : request.speedUp(pipeline.speedUpNet(sun));
        } catch (IOException e) {
            throw new BadInputException("--sun", e);
        }
    }
}
