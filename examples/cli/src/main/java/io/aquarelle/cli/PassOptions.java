package io.aquarelle.cli;

import io.aquarelle.Hires;
import io.aquarelle.ImageRequest;
import io.aquarelle.Upscaler;
import io.aquarelle.Variation;
import io.aquarelle.model.EngineOptions;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.OptionalLong;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Supplier;
import picocli.CommandLine.Option;

/** Options of a second pass, of variations, and of models that edit pictures. */
final class PassOptions {
    private static final int PIXELS_PER_CELL = 8;

    @Option(
            names = "--hires",
            description = "Draw at the size asked for, enlarge that, and draw once more at the larger size.")
    private boolean hires;

    @Option(names = "--hires-scale", paramLabel = "FACTOR", description = "How much to enlarge (${DEFAULT-VALUE}).")
    private float scale = 2;

    @Option(names = "--hires-width", paramLabel = "PIXELS", description = "Width of the result instead.")
    private Integer width;

    @Option(names = "--hires-height", paramLabel = "PIXELS", description = "Height of the result instead.")
    private Integer height;

    @Option(
            names = "--hires-steps",
            paramLabel = "N",
            description = "Steps of the second pass; 0, the default, as many as the first.")
    private int steps;

    @Option(
            names = "--hires-denoising-strength",
            paramLabel = "0-1",
            description = "How far from the enlarged picture (${DEFAULT-VALUE}).")
    private float strength = Hires.STRENGTH;

    @Option(
            names = "--hires-upscaler",
            paramLabel = "NAME|FILE",
            completionCandidates = UpscalerNames.class,
            description = "What enlarges (${DEFAULT-VALUE}): ${COMPLETION-CANDIDATES}; or the file of an upscaler, see"
                    + " --upscale-model.")
    private String upscaler = Hires.Method.LATENT.title();

    @Option(
            names = "--variation-seed",
            paramLabel = "SEED",
            converter = Seed.Converter.class,
            description =
                    "Turn the noise towards that of another seed (0), which grows by 1 with each picture of a batch;"
                            + " a negative one is random.")
    private Seed variationSeed = new Seed(OptionalLong.of(0));

    @Option(
            names = "--variation-strength",
            paramLabel = "0-1",
            description = "How far (${DEFAULT-VALUE}): 1 is the noise of that seed.")
    private float variationStrength;

    @Option(
            names = "--img-cfg-scale",
            paramLabel = "SCALE",
            description = "How strongly models that edit pictures (InstructPix2Pix) keep to the picture (1.5).")
    private Float imageGuidance;

    private Upscaler model; // what --hires-upscaler names, once it is open

    /** Opens the upscaler that enlarges before the second pass, null if there is none; {@link #use} comes next. */
    Upscaler openUpscaler(EngineOptions options) {
        return hires && isFile() ? UpscaleOptions.open("--hires-upscaler", Path.of(upscaler), options) : null;
    }

    /** Enlarges with an upscaler, which the caller closes, before the second pass. */
    void use(Upscaler opened) {
        model = opened;
    }

    /** A name goes before a file that is called so. */
    private boolean isFile() {
        try {
            Hires.Method.byName(upscaler);
            return false;
        } catch (IllegalArgumentException e) {
            if (Files.isRegularFile(Path.of(upscaler))) {
                return true;
            }
            throw new BadInputException("--hires-upscaler: " + e.getMessage() + ", or the file of a model");
        }
    }

    /** Sets what was given; a size that was not asked for is that of the request so far. */
    void set(ImageRequest.Builder request) {
        ModelCommand.set(
                request,
                "--variation-strength",
                it -> it.variation(
                        option("--variation-strength", () -> new Variation(variationSeed(), variationStrength))));
        ModelCommand.set(request, "--img-cfg-scale", imageGuidance, ImageRequest.Builder::imageGuidance);
        if (hires) {
            ImageRequest base = request.build();
            ModelCommand.set(request, "--hires", it -> it.hires(option("--hires", () -> hires(base))));
        }
    }

    private long variationSeed() {
        return variationSeed.value().orElseGet(() -> ThreadLocalRandom.current().nextInt(Integer.MAX_VALUE));
    }

    private Hires hires(ImageRequest base) {
        return new Hires(
                width != null ? width : height != null ? height : scaled(base.width()),
                height != null ? height : width != null ? width : scaled(base.height()),
                isFile() ? Hires.Method.LANCZOS : Hires.Method.byName(upscaler),
                model,
                steps,
                strength);
    }

    private int scaled(int side) {
        if (!(scale >= 1 && scale <= 16)) {
            throw new BadInputException("--hires-scale: it is " + scale + "; it must be 1 to 16");
        }
        return Math.round(side * scale / PIXELS_PER_CELL) * PIXELS_PER_CELL;
    }

    private static <T> T option(String name, Supplier<T> value) {
        try {
            return value.get();
        } catch (IllegalArgumentException e) {
            throw new BadInputException(name, e);
        }
    }

    /** Names for the help text. */
    private static final class UpscalerNames implements Iterable<String> {
        @Override
        public Iterator<String> iterator() {
            return Hires.Method.names().iterator();
        }
    }
}
