package io.aquarelle.cli;

import io.aquarelle.Canny;
import io.aquarelle.Control;
import io.aquarelle.ImageRequest;
import io.aquarelle.Picture;
import io.aquarelle.Pipeline;
import io.aquarelle.model.ControlNet;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import picocli.CommandLine.Option;

/** Options for pictures that the drawing follows. Where there are several control nets, each takes its own of each. */
final class ControlOptions {
    @Option(
            names = "--control-net",
            paramLabel = "FILE",
            description = "Follow a picture by this ControlNet, of SD 1.5 or SDXL; may be repeated.")
    private List<Path> nets = List.of();

    @Option(
            names = "--control-image",
            paramLabel = "FILE",
            description = "The picture that it reads; once for all nets, or once for each.")
    private List<Path> images = List.of();

    @Option(
            names = "--control-strength",
            paramLabel = "SCALE",
            description = "How strongly the drawing follows it (0.9), likewise.")
    private List<Float> strengths = List.of(Control.STRENGTH);

    @Option(
            names = "--control-start",
            paramLabel = "0-1",
            description = "Leave it out of this first part of the steps (0), likewise.")
    private List<Float> starts = List.of(0f);

    @Option(
            names = "--control-end",
            paramLabel = "0-1",
            description = "Leave it out after this part of the steps (1), likewise.")
    private List<Float> ends = List.of(1f);

    @Option(names = "--canny", description = "Give control nets the edges in their pictures, which are found first.")
    private boolean canny;

    /** Refuses options that do not belong together, and pictures that cannot be read. */
    void requireFit(Function<Path, Picture> pictures) {
        if (nets.isEmpty() && !images.isEmpty()) {
            throw new BadInputException("--control-image: it needs a net that reads it; name one with --control-net");
        }
        if (nets.isEmpty() && canny) {
            throw new BadInputException("--canny: it is for control nets; name one with --control-net");
        }
        if (!nets.isEmpty() && images.isEmpty()) {
            throw new BadInputException("--control-net: it needs a picture to read; name one with --control-image");
        }
        requireCount("--control-image", images);
        requireCount("--control-strength", strengths);
        requireCount("--control-start", starts);
        requireCount("--control-end", ends);
        for (int i = 0; i < nets.size(); i++) {
            control(null, i, pictures);
        }
    }

    private void requireCount(String option, List<?> values) {
        if (!nets.isEmpty() && values.size() > 1 && values.size() != nets.size()) {
            throw new BadInputException(option + ": it is there " + values.size() + " times for " + nets.size()
                    + " control nets; give it once, or once for each");
        }
    }

    /** Opens the nets and adds them to a request. */
    ImageRequest.Builder open(Pipeline pipeline, ImageRequest.Builder request, Function<Path, Picture> pictures) {
        List<Control> controls = new ArrayList<>();
        for (int i = 0; i < nets.size(); i++) {
            try {
                controls.add(control(pipeline.controlNet(nets.get(i)), i, pictures));
            } catch (IOException e) {
                throw new BadInputException("--control-net", e);
            }
        }
        return request.controls(controls);
    }

    private Control control(ControlNet net, int i, Function<Path, Picture> pictures) {
        Picture picture = pictures.apply(of(images, i));
        try {
            return new Control(
                    net, picture, canny ? Canny.DEFAULT : null, of(strengths, i), of(starts, i), of(ends, i));
        } catch (IllegalArgumentException e) {
            throw new BadInputException("--control-strength, --control-start, --control-end", e);
        }
    }

    private static <T> T of(List<T> values, int i) {
        return values.get(values.size() == 1 ? 0 : i);
    }
}
