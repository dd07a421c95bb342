package io.aquarelle.cli;

import io.aquarelle.GeneratedImage;
import io.aquarelle.Hires;
import io.aquarelle.ImageRequest;
import io.aquarelle.ProgressListener;
import io.aquarelle.Upscaler;
import io.aquarelle.model.EngineOptions;
import java.io.IOException;
import java.nio.file.Path;
import picocli.CommandLine.Option;

/** How pictures are enlarged by a network. */
final class UpscaleOptions {
    private static final int MAX_REPEATS = 13; // from one pixel to the largest picture

    @Option(
            names = "--upscale-model",
            paramLabel = "FILE",
            description = "An upscaler, ESRGAN or Real-ESRGAN (RRDBNet): .pth, .safetensors or .gguf.")
    Path model;

    @Option(
            names = {"--upscale-repeats", "--repeats"},
            paramLabel = "N",
            description = "How many times it enlarges (${DEFAULT-VALUE}).")
    int repeats = 1;

    @Option(
            names = {"--upscale-tile-size", "--tile-size"},
            paramLabel = "PIXELS",
            description =
                    "Side of the tiles in which it takes large pictures (${DEFAULT-VALUE}); smaller ones take less"
                            + " memory, 0 takes the picture as a whole.")
    int tileSize = Upscaler.TILE_SIZE;

    /** Refuses numbers out of range. */
    void check() {
        if (repeats < 1 || repeats > MAX_REPEATS) {
            throw new BadInputException("--upscale-repeats is " + repeats + "; it must be 1 to " + MAX_REPEATS);
        }
        if (tileSize != 0 && tileSize < Upscaler.MIN_TILE_SIZE) {
            throw new BadInputException(
                    "--upscale-tile-size is " + tileSize + "; it must be 0 or " + Upscaler.MIN_TILE_SIZE + " and more");
        }
    }

    /** Opens the model if there is one, else null; {@link #check} comes first. */
    Upscaler open(EngineOptions options) {
        return model == null ? null : open("--upscale-model", model, options);
    }

    /** Refuses a request whose pictures would become too large; like the next two, does nothing without an upscaler. */
    void requireFit(Upscaler upscaler, ImageRequest request) {
        if (upscaler != null) {
            Hires hires = request.hires();
            try {
                upscaler.requireFit(
                        hires == null ? request.width() : hires.width(),
                        hires == null ? request.height() : hires.height(),
                        repeats);
            } catch (IllegalArgumentException e) {
                throw new BadInputException("--upscale-model", e);
            }
        }
    }

    GeneratedImage upscaled(Upscaler upscaler, GeneratedImage image, ProgressListener listener) {
        return upscaler == null ? image : upscaler.upscale(image, repeats, tileSize, listener);
    }

    void cancel(Upscaler upscaler) {
        if (upscaler != null) {
            upscaler.cancel();
        }
    }

    /** Opens the model that an option names. */
    static Upscaler open(String option, Path file, EngineOptions options) {
        try {
            return Upscaler.open(file, options);
        } catch (IOException e) {
            throw new BadInputException(option, e);
        }
    }
}
