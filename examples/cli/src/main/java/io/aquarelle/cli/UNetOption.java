package io.aquarelle.cli;

import io.aquarelle.Pipeline;
import io.aquarelle.plan.StepPolicy;
import io.aquarelle.plan.UNetSwitching;
import io.aquarelle.plan.UNetSwitching.Stretch;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A UNet for some of the steps, as {@code small.gguf@0-8}: steps 0 to 7. {@code @8-} is all that follow.
 *
 * @param to the step after its last one
 */
record UNetOption(Path file, int from, int to) {
    private static final Pattern FORM = Pattern.compile("(.+)@(\\d{1,6})-(\\d{1,6})?");

    UNetOption {
        if (to <= from) {
            throw new IllegalArgumentException(file + "@" + from + "-" + to + " has no steps");
        }
    }

    /** An option's value, or null for a file without steps. */
    static UNetOption parse(String text) {
        Matcher parts = FORM.matcher(text);
        if (!parts.matches()) {
            return null;
        }
        int to = parts.group(3) == null ? Integer.MAX_VALUE : Integer.parseInt(parts.group(3));
        try {
            return new UNetOption(Path.of(parts.group(1)), Integer.parseInt(parts.group(2)), to);
        } catch (IllegalArgumentException e) {
            throw new BadInputException("--unet", e);
        }
    }

    /** Each file once, in the order in which a pipeline gets to know them. */
    private static List<Path> files(List<UNetOption> unets) {
        return unets.stream().map(UNetOption::file).distinct().toList();
    }

    /** Runs each in its steps. */
    static StepPolicy switching(List<UNetOption> unets) {
        List<Path> files = files(unets);
        List<Stretch> stretches = new ArrayList<>();
        for (UNetOption unet : unets) {
            stretches.add(new Stretch(files.indexOf(unet.file) + 1, unet.from, unet.to));
        }
        return stretches.isEmpty() ? StepPolicy.FULL : new UNetSwitching(stretches);
    }

    /** Opens the files. */
    static void open(List<UNetOption> unets, Pipeline pipeline) {
        for (Path file : files(unets)) {
            try {
                pipeline.addUNet(file);
            } catch (IOException e) {
                throw new BadInputException("--unet", e);
            }
        }
    }
}
