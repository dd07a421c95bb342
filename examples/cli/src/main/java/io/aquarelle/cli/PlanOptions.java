package io.aquarelle.cli;

import io.aquarelle.AutoPlan;
import io.aquarelle.ImageRequest;
import io.aquarelle.Pipeline;
import io.aquarelle.PlannedCall;
import io.aquarelle.Progress;
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
import java.util.function.IntConsumer;
import java.util.function.Supplier;
import picocli.CommandLine.Option;

/** Options that say what the UNet may leave out, for commands and other programs that draw. */
public final class PlanOptions {
    private static final String AUTO = "auto:";

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
                            + " block:N (and the decoder's first N blocks), layer:B (all but the B+1 outermost layers) or"
                            + " unit:NAME (such as cross), then /N for every N-th call, @0-3,5 for a list,"
                            + " ^COUNT:CENTRE:POWER, or ~CHANGE:MOST to compute where the output has changed by that"
                            + " share, as ~0.1, or after MOST calls. May be repeated.")
    private List<String> inherit = List.of();

    @Option(
            names = "--plan",
            paramLabel = "FILE|auto:DB",
            description =
                    "The same and more from a JSON file, or masks of ALTER's temporal experts (.pth, .safetensors)."
                            + " auto:30 finds the cheapest plan whose calibration pictures are within 30 dB of the"
                            + " full run, once for a model, size, steps and sampler, in the time of some dozens of"
                            + " small pictures.")
    private Path file;

    private String found;
    private PlanFile.Contents contents;

    /** Whether any was given. */
    boolean given() {
        return condOnlyLast != null || !inherit.isEmpty() || file != null;
    }

    /** The quality in dB of a plan that is to be found; null where none is. */
    private Double auto() {
        if (file == null || !file.toString().startsWith(AUTO)) {
            return null;
        }
        String quality = file.toString().substring(AUTO.length());
        try {
            return Double.valueOf(quality);
        } catch (NumberFormatException e) {
            throw new BadInputException("--plan: '" + quality + "' is no quality in dB; write auto:30, for example");
        }
    }

    /** What was found, in a line; null where nothing was to be. */
    public String found() {
        return found;
    }

    /**
     * A request with this plan. UNets that it switches to are added to the pipeline, and a plan that is to be found is
     * searched for.
     *
     * @param calibration told the number of each picture that the search draws
     * @throws IllegalArgumentException if an option or a file is wrong; one line that names it
     */
    public ImageRequest planned(Pipeline pipeline, ImageRequest request, IntConsumer calibration) {
        return planned(pipeline, request, List.of(), calibration);
    }

    ImageRequest planned(Pipeline pipeline, ImageRequest request, List<UNetOption> switched, IntConsumer calibration) {
        UNetOption.open(contents(switched).unets(), pipeline);
        StepPolicy policy = contents.policy();
        if (auto() != null) {
            AutoPlan plan = search(pipeline, request, calibration);
            found = plan.toString();
            policy = plan.policy();
        }
        return request.toBuilder().plan(policy).build();
    }

    private AutoPlan search(Pipeline pipeline, ImageRequest request, IntConsumer calibration) {
        int[] pictures = {0};
        try {
            return pipeline.autoPlan(request, auto(), progress -> {
                if (progress.phase() == Progress.Phase.TEXT && progress.step() == 0) {
                    calibration.accept(++pictures[0]);
                }
            });
        } catch (IllegalArgumentException e) {
            throw new BadInputException("--plan", e);
        }
    }

    /** Refuses a plan that the model or the rest of the request does not suit. */
    void requireFit(Pipeline pipeline, ImageRequest request) {
        try {
            pipeline.plan(request);
        } catch (IllegalArgumentException e) {
            throw given() || !contents.unets().isEmpty() ? new BadInputException(names(), e) : new BadInputException(e);
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
        if (auto() != null) {
            if (condOnlyLast != null || !inherit.isEmpty() || !switched.isEmpty()) {
                throw new BadInputException(
                        "--plan: auto chooses everything; give no other plan and no steps to --unet");
            }
            return new PlanFile.Contents(List.of(), StepPolicy.FULL);
        }
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
            policy = policy.then(
                    option("--cond-only-last", () -> new SelectiveGuidance(CallSelection.lastPercent(percent))));
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
            double controlMultiplyAdds,
            double share,
            double leastShare) {}

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
                        call.controlMultiplyAdds(),
                        call.share(),
                        call.leastShare()))
                .toList();
    }

    /** What control nets are of a call's share. */
    private static double controlShare(Row row) {
        double all = row.multiplyAdds() + row.controlMultiplyAdds();
        return all == 0 ? 0 : row.share() * row.controlMultiplyAdds() / all;
    }

    private static String branches(PlannedCall call) {
        return call.plan().branches() == Branches.BOTH ? "both" : "prompt";
    }

    /** The table of {@code --dry-run}; with a column for what control nets are of each call's, if there are any. */
    static String table(List<PlannedCall> calls) {
        boolean controls = calls.stream().anyMatch(call -> call.controlMultiplyAdds() > 0);
        StringBuilder table =
                new StringBuilder("call  step  timestep  UNet  branches   run  reused  skipped  multiply-adds");
        table.append(controls ? "  control nets\n" : "\n");
        double sum = 0;
        for (Row row : rows(calls)) {
            sum += row.share();
            table.append(String.format(
                    Locale.ROOT,
                    "%4d  %4d  %8.1f  %4d  %-8s %5d  %6d  %7d  %12.1f%%",
                    row.call(),
                    row.step(),
                    row.timestep(),
                    row.unet(),
                    row.branches(),
                    row.unitsRun(),
                    row.unitsReused(),
                    row.unitsSkipped(),
                    100 * row.share()));
            table.append(controls ? String.format(Locale.ROOT, "  %11.1f%%%n", 100 * controlShare(row)) : "\n");
        }
        double share = calls.isEmpty() ? 100 : 100 * sum / calls.size();
        table.append(String.format(Locale.ROOT, "in all %.1f%% of the multiply-adds without a plan", share));
        if (calls.stream().anyMatch(call -> call.leastShare() < call.share())) {
            double least = calls.stream()
                    .mapToDouble(PlannedCall::leastShare)
                    .average()
                    .orElseThrow();
            table.append(String.format(
                    Locale.ROOT,
                    " at most, %.1f%% at least: an adaptive plan%nfinds out while drawing which calls reuse what they"
                            + " store here",
                    100 * least));
        }
        return table.toString();
    }
}
