package io.aquarelle.cli;

import io.aquarelle.model.Convolution;
import io.aquarelle.model.EngineOptions;
import picocli.CommandLine.Option;

/** How networks are computed. */
final class EngineArguments {
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
            description = "How convolutions are computed (auto): auto, what is fastest; direct; winograd.")
    private Convolution convolution = Convolution.AUTO;

    EngineOptions options() {
        try {
            return new EngineOptions(threads, convolution);
        } catch (IllegalArgumentException e) {
            throw new BadInputException("--threads", e);
        }
    }
}
