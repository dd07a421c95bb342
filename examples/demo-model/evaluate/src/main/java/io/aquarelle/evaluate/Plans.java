package io.aquarelle.evaluate;

import io.aquarelle.evaluate.Evaluation.Baseline;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Predicate;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;

/**
 * A list of ways to draw, each compared with the first: lines of options below headings that start with {@code #}. What
 * comes of it is a table of comma-separated values.
 */
final class Plans {
    /** A line of the list, and the heading above it. */
    private record Line(String kind, String options) {
        static List<Line> of(Path list) throws IOException {
            List<Line> lines = new ArrayList<>();
            String kind = "";
            for (String line : Files.readAllLines(list)) {
                if (line.startsWith("#")) {
                    kind = line.substring(1).strip();
                } else if (!line.isBlank()) {
                    lines.add(new Line(kind, line.strip()));
                }
            }
            return lines;
        }

        Settings settings() {
            Settings settings = new Settings();
            try {
                new CommandLine(settings)
                        .parseArgs(Arrays.stream(options.split(" +"))
                                .filter(word -> !word.equals("-"))
                                .toArray(String[]::new));
            } catch (ParameterException e) {
                throw new IllegalArgumentException("'" + options + "': " + e.getMessage(), e);
            }
            return settings;
        }
    }

    private Plans() {}

    /**
     * Draws and judges all prompts in all ways.
     *
     * @param list the first line is what others are compared with; {@code -} stands for no options
     * @param out gets a line as soon as its pictures are drawn
     * @return all pictures, a column a line and a row a prompt
     */
    static BufferedImage compare(Path list, Evaluation evaluation, PrintStream out) throws IOException {
        out.println("kind,options,unet_calls,multiply_adds,seconds,psnr,least_psnr,pixels,latent,background,found");
        List<Result> full = null;
        List<List<Result>> all = new ArrayList<>();
        for (Line line : Line.of(list)) {
            Settings settings = line.settings();
            List<Result> results = evaluation.results(settings, full == null ? Baseline.NONE : Baseline.of(full));
            full = full == null ? results : full;
            all.add(results);
            String found = settings.found();
            out.printf(
                    Locale.ROOT,
                    "%s,\"%s\",%.1f,%.4f,%.4f,%.2f,%.2f,%.1f,%.1f,%.1f,\"%s\"%n",
                    line.kind,
                    line.options.equals("-") ? "" : line.options,
                    mean(results, Result::unetCalls),
                    mean(results, Result::multiplyAdds) / mean(full, Result::multiplyAdds),
                    mean(results, Result::seconds),
                    psnr(results, 0.5),
                    psnr(results, 0),
                    share(results, Result::rightPixels),
                    share(results, Result::rightLatent),
                    share(results, Result::rightBackground),
                    found == null ? "" : found);
            out.flush();
        }
        if (all.isEmpty()) {
            throw new IllegalArgumentException(list + " lists nothing; write a line of options, or - for none");
        }
        List<BufferedImage> pictures = IntStream.range(0, all.getFirst().size())
                .boxed()
                .flatMap(row -> all.stream().map(results -> results.get(row).picture()))
                .toList();
        return ContactSheet.of(pictures, all.size());
    }

    private static double mean(List<Result> results, ToDoubleFunction<Result> value) {
        return results.stream().mapToDouble(value).average().orElseThrow();
    }

    private static double share(List<Result> results, Predicate<Result> right) {
        return mean(results, result -> right.test(result) ? 100 : 0);
    }

    /** In dB, the least of all but a part of the pictures; infinite for the full run. */
    private static double psnr(List<Result> results, double below) {
        double[] sorted = results.stream()
                .mapToDouble(result -> result.psnr().orElse(Double.POSITIVE_INFINITY))
                .sorted()
                .toArray();
        return sorted[(int) (below * sorted.length)];
    }
}
