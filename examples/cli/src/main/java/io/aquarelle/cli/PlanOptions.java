package io.aquarelle.cli;

import io.aquarelle.ImageRequest;
import io.aquarelle.Pipeline;
import io.aquarelle.PlannedCall;
import io.aquarelle.model.ExpertMasks;
import io.aquarelle.plan.Branches;
import io.aquarelle.plan.CallSelection;
import io.aquarelle.plan.PlanSyntax;
import io.aquarelle.plan.SelectiveGuidance;
import io.aquarelle.plan.StepPolicy;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;
import picocli.CommandLine.Option;

/** Options that say what the UNet may leave out. */
final class PlanOptions {
    @Option(
            names = "--cond-only-last",
            paramLabel = "PERCENT",
            description = "Leave the negative prompt out of the last calls; 20 saves up to 10 %% of the time.")
    private Double condOnlyLast;

    @Option(
            names = "--inherit",
            paramLabel = "SPEC",
            description =
                    "Compute parts of the UNet in some calls only and reuse them in the others: block (the encoder),"
                            + " layer:B (all but the B+1 outermost layers) or unit:NAME (such as cross), then /N for every N-th"
                            + " call, @0-3,5 for a list, or ^COUNT:CENTRE:POWER. May be repeated.")
    private List<String> inherit = List.of();

    @Option(
            names = "--plan",
            paramLabel = "FILE",
            description =
                    "The same and more from a JSON file, or masks of ALTER's temporal experts (.pth, .safetensors).")
    private Path file;

    @Option(
            names = "--dry-run",
            description = "Draw nothing; print what each call of the UNet would do and its share of the multiply-adds.")
    boolean dryRun;

    private PlanFile.Contents contents;

    /** Whether any was given. */
    boolean given() {
        return condOnlyLast != null || !inherit.isEmpty() || file != null;
    }

    /** Refuses a plan that the model or the rest of the request does not suit. */
    void requireFit(Pipeline pipeline, ImageRequest request) {
        try {
            pipeline.plan(request);
        } catch (IllegalArgumentException e) {
            throw new BadInputException(names(), e);
        }
    }

    private String names() {
        if (!given()) {
            return "--unet";
        }
        if (file != null) {
            return "--plan: " + file;
        }
        if (condOnlyLast != null && !inherit.isEmpty()) {
            return "--cond-only-last and --inherit";
        }
        return condOnlyLast != null ? "--cond-only-last" : "--inherit";
    }

    /** What the options say, read once. */
    PlanFile.Contents contents(List<UNetOption> switched) {
        if (contents == null) {
            contents = read(switched);
        }
        return contents;
    }

    private PlanFile.Contents read(List<UNetOption> switched) {
        if (file != null && !ExpertMasks.isNamed(file)) {
            if (condOnlyLast != null || !inherit.isEmpty()) {
                throw new BadInputException(
                        "--plan: the file says it all; put what --cond-only-last and --inherit say into it");
            }
            if (!switched.isEmpty()) {
                throw new BadInputException("--plan: put the UNets and their steps of --unet into the file");
            }
            return PlanFile.read(file);
        }
        StepPolicy policy = option("--unet", () -> UNetOption.switching(switched));
        if (condOnlyLast != null) {
            double percent = condOnlyLast;
            policy = option("--cond-only-last", () -> new SelectiveGuidance(CallSelection.lastPercent(percent)));
        }
        if (file != null) {
            policy = policy.then(masks(file));
        }
        for (String spec : inherit) {
            policy = policy.then(option("--inherit", () -> PlanSyntax.inheritance(spec)));
        }
        return new PlanFile.Contents(switched, policy);
    }

    private static StepPolicy masks(Path file) {
        try {
            return ExpertMasks.read(file);
        } catch (IOException e) {
            throw new BadInputException("--plan", e);
        }
    }

    private static StepPolicy option(String name, Supplier<StepPolicy> value) {
        try {
            return value.get();
        } catch (IllegalArgumentException e) {
            throw new BadInputException(name, e);
        }
    }

    /** A call in the JSON of {@code --dry-run}. */
    record Row(
            int call,
            int step,
            double timestep,
            int unet,
            String branches,
            long unitsRun,
            long unitsReused,
            long unitsSkipped,
            double multiplyAdds,
            double share) {}

    static List<Row> rows(List<PlannedCall> calls) {
        return calls.stream()
                .map(call -> new Row(
                        call.call().index(),
                        call.call().step(),
                        call.call().timestep(),
                        call.plan().unet(),
                        branches(call),
                        call.work().run(),
                        call.work().reused(),
                        call.work().skipped(),
                        call.work().multiplyAdds(),
                        call.share()))
                .toList();
    }

    private static String branches(PlannedCall call) {
        return call.plan().branches() == Branches.BOTH ? "both" : "prompt";
    }

    /** The table of {@code --dry-run}. */
    static String table(List<PlannedCall> calls) {
        StringBuilder table =
                new StringBuilder("call  step  timestep  UNet  branches   run  reused  skipped  multiply-adds\n");
        double sum = 0;
        for (Row row : rows(calls)) {
            sum += row.share();
            table.append(String.format(
                    Locale.ROOT,
                    "%4d  %4d  %8.1f  %4d  %-8s %5d  %6d  %7d  %12.1f%%%n",
                    row.call(),
                    row.step(),
                    row.timestep(),
                    row.unet(),
                    row.branches(),
                    row.unitsRun(),
                    row.unitsReused(),
                    row.unitsSkipped(),
                    100 * row.share()));
        }
        double share = calls.isEmpty() ? 100 : 100 * sum / calls.size();
        return table.append(String.format(Locale.ROOT, "in all %.1f%% of the multiply-adds without a plan", share))
                .toString();
    }
}
