package io.aquarelle.cli;

import io.aquarelle.GeneratedImage;
import io.aquarelle.Picture;
import io.aquarelle.Pipeline;
import io.aquarelle.Preview;
import io.aquarelle.Progress;
import io.aquarelle.ProgressListener;
import io.aquarelle.model.Autoencoder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import picocli.CommandLine.Option;

/** A tiny autoencoder, and pictures of what is being drawn. */
final class PreviewOptions {
    /** What makes a preview of a latent. */
    enum Method {
        NONE,
        /** Colours of the latent's channels. */
        PROJ,
        /** The tiny autoencoder. */
        TAE,
        /** What decodes the last picture too. */
        VAE;

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    @Option(
            names = {"--taesd", "--tae"},
            paramLabel = "FILE",
            description =
                    "Decode and encode pictures with this tiny autoencoder (TAESD, or TAESDXL for SDXL) in place of"
                            + " the VAE: in a moment, less exactly.")
    private Path tiny;

    @Option(names = "--taesd-preview-only", description = "Use it for previews only.")
    private boolean previewOnly;

    @Option(
            names = "--preview",
            paramLabel = "METHOD",
            description =
                    "While drawing, write what the picture is becoming: in the colours of the latent, small and at"
                            + " once (proj), by the tiny autoencoder (tae), or by what decodes the picture (vae, slow). none is"
                            + " the default.")
    private Method method = Method.NONE;

    @Option(
            names = "--preview-interval",
            paramLabel = "N",
            description = "Do so after each N steps (${DEFAULT-VALUE}).")
    private int interval = 1;

    @Option(
            names = "--preview-path",
            paramLabel = "FILE",
            description = "The PNG file to write and replace (${DEFAULT-VALUE}).")
    private Path file = Path.of("preview.png");

    /**
     * Refuses options that do not belong together, and a file that cannot be written.
     *
     * @param outputs files of the finished pictures
     * @param inputs files of pictures that are read
     */
    void requireFit(List<Path> outputs, Set<Path> inputs, boolean dryRun) {
        if (previewOnly && tiny == null) {
            throw new BadInputException("--taesd-preview-only: there is no tiny autoencoder; name one with --taesd");
        }
        if (method == Method.TAE && tiny == null) {
            throw new BadInputException("--preview: tae needs a tiny autoencoder; name one with --taesd");
        }
        if (interval < 1) {
            throw new BadInputException("--preview-interval: it is " + interval + "; it must be 1 or more");
        }
        if (method == Method.NONE) {
            return;
        }
        OutputFile.requireEnding("--preview-path", file, ".png");
        if (isAmong(outputs)) {
            throw new BadInputException("--preview-path: " + file + " is where --output puts a picture; name another");
        }
        if (isAmong(inputs)) {
            throw new BadInputException("--preview-path: " + file + " is a picture to be read; name another");
        }
        if (!dryRun) {
            OutputFile.requireWritable(List.of(file));
        }
    }

    private boolean isAmong(Collection<Path> files) {
        Path absolute = file.toAbsolutePath().normalize();
        return files.stream().anyMatch(it -> it.toAbsolutePath().normalize().equals(absolute));
    }

    /** What takes the place of the model's VAE; null if nothing does. */
    Path vae() {
        return previewOnly ? null : tiny;
    }

    /** The listener that tells another one of progress, and writes previews if any are asked for. */
    ProgressListener beside(ProgressListener other, Pipeline pipeline) {
        if (method == Method.NONE) {
            return other;
        }
        Autoencoder opened = method == Method.TAE && previewOnly ? open(pipeline) : null;
        return new ProgressListener() {
            @Override
            public void progress(Progress progress) {
                other.progress(progress);
            }

            @Override
            public void preview(Preview preview) {
                if (preview.progress().step() % interval == 0) {
                    write(picture(preview, opened));
                }
            }

            @Override
            public void finished(int index, GeneratedImage image) {
                other.finished(index, image);
            }
        };
    }

    private Autoencoder open(Pipeline pipeline) {
        try {
            return pipeline.autoencoder(tiny);
        } catch (IOException e) {
            throw new BadInputException("--taesd", e);
        }
    }

    private Picture picture(Preview preview, Autoencoder opened) {
        if (method == Method.PROJ) {
            return preview.projected();
        }
        return opened == null ? preview.decoded() : preview.decoded(opened);
    }

    private void write(Picture picture) {
        try {
            picture.writePng(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e.getMessage(), e);
        }
    }
}
