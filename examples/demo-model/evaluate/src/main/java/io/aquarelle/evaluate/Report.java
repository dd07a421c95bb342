package io.aquarelle.evaluate;

import java.io.PrintStream;
import java.util.List;
import java.util.Locale;
import java.util.function.Predicate;

/** The results of all prompts as text. */
record Report(List<Result> results) {
    void print(PrintStream out) {
        out.printf(
                "%-52s %-28s %-28s %-10s %7s%n",
                "prompt", "nearest by pixels", "nearest by latent", "background", "dB");
        for (Result result : results) {
            out.printf(
                    "%-52s %-28s %-28s %-10s %7s%n",
                    result.prompt().text(),
                    result.rightPixels() ? "right" : result.byPixels(),
                    result.rightLatent() ? "right" : result.byLatent(),
                    result.rightBackground() ? "right" : result.background(),
                    result.psnr().isPresent() ? decimal(result.psnr().getAsDouble(), 1) : "");
        }
        out.println();
        out.printf("%-40s %s%n", "nearest glyph right, by pixels", share(result -> true, Result::rightPixels));
        out.printf("%-40s %s%n", "nearest glyph right, by latent", share(result -> true, Result::rightLatent));
        out.printf(
                "%-40s %s%n",
                "named background right", share(result -> result.prompt().namesBackground(), Result::rightBackground));
        out.printf(
                "%-40s %s%n",
                "unnamed background white",
                share(result -> !result.prompt().namesBackground(), Result::rightBackground));
        if (results.stream().allMatch(result -> result.psnr().isPresent())) {
            double[] ratios = results.stream()
                    .mapToDouble(result -> result.psnr().getAsDouble())
                    .sorted()
                    .toArray();
            out.printf(
                    "%-40s median %s dB, least %s dB%n",
                    "against the baseline", decimal(ratios[ratios.length / 2], 1), decimal(ratios[0], 1));
        }
        out.printf(
                "%-40s %d%n",
                "UNet calls", results.stream().mapToInt(Result::unetCalls).sum());
        double multiplyAdds = results.stream().mapToDouble(Result::multiplyAdds).sum();
        out.printf("%-40s %s thousand million%n", "multiply-adds of the UNet", decimal(multiplyAdds / 1e9, 1));
        double seconds = results.stream().mapToDouble(Result::seconds).sum();
        out.printf("%-40s %s, %s a picture%n", "seconds", decimal(seconds, 1), decimal(seconds / results.size(), 3));
    }

    private String share(Predicate<Result> among, Predicate<Result> right) {
        List<Result> some = results.stream().filter(among).toList();
        long count = some.stream().filter(right).count();
        return some.isEmpty()
                ? "-"
                : "%d of %d, %s %%".formatted(count, some.size(), decimal(100.0 * count / some.size(), 1));
    }

    private static String decimal(double value, int digits) {
        return Double.isInfinite(value) ? "same" : String.format(Locale.ROOT, "%." + digits + "f", value);
    }
}
