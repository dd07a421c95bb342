package io.aquarelle;

import io.aquarelle.plan.StepPolicy;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Finds the cheapest plan whose pictures stay close enough to those of the full run. Savings of four kinds are measured one
 * by one, milder ones first: calls without the negative prompt, calls without the middle block, and the inheritance of
 * nearly everything for short times and of the inner layers for long ones. Squared errors of different kinds are taken to
 * add up, which tells the combinations that are worth measuring, and the cheapest that holds is the answer.
 */
final class PlanSearch {
    /** Raised with every change of what a search tries or how it measures: plans found before are searched anew. */
    static final int VERSION = 1;

    private static final List<String> PROMPTS = List.of("a red apple", "a smiling face", "a house by a lake");
    private static final long FIRST_SEED = 1001;
    private static final int MOST_CELLS = 32; // of a side of calibration latents, by area
    private static final int MOST_COMBINATIONS = 16; // that are measured

    private static final int[] COND_ONLY_LAST = {20, 35, 50, 65, 80};
    private static final int[] SKIP_MIDDLE_LAST = {30, 60};

    /** Most of a call, reused for short times. */
    private static final List<String> OUTER = List.of("layer:0", "unit:out");

    /** Layers that change slowly, reused for long times while the outer ones are computed. */
    private static final List<String> INNER = List.of("layer:1", "layer:2", "layer:3");

    /** Gaps between key calls at the start and the end of a run, those of a family ever longer. */
    private static final List<List<int[]>> GAPS = List.of(
            List.of(new int[] {2, 2}, new int[] {3, 3}, new int[] {4, 4}, new int[] {6, 6}),
            List.of(new int[] {3, 1}, new int[] {4, 1}, new int[] {4, 2}, new int[] {6, 2}, new int[] {6, 3}),
            List.of(new int[] {1, 3}, new int[] {1, 5}, new int[] {2, 6}));

    /**
     * A plan and what came of it.
     *
     * @param errors of each picture
     * @param shares of the full run's multiply-adds in each call
     */
    private record Measured(AutoPlan plan, double[] errors, double[] shares) {}

    private final Pipeline pipeline;
    private final ImageRequest request;
    private final double quality;
    private final ProgressListener listener;
    private final List<GeneratedImage> full = new ArrayList<>();
    private final int calls;

    /**
     * Prepares a search.
     *
     * @param quality lowest peak signal-to-noise ratio in dB
     */
    PlanSearch(Pipeline pipeline, ImageRequest request, double quality, ProgressListener listener) {
        this.pipeline = pipeline;
        this.request = calibration(request);
        this.quality = quality;
        this.listener = listener;
        calls = pipeline.plan(this.request).size();
    }

    /** The request at the size at which plans are measured, without what differs from picture to picture. */
    static ImageRequest calibration(ImageRequest request) {
        double cells = request.width() / 8.0 * (request.height() / 8.0);
        double scale = Math.min(1, MOST_CELLS / Math.sqrt(cells));
        return request.toBuilder()
                .negativePrompt("")
                .size(side(request.width() * scale), side(request.height() * scale))
                .batch(1)
                .plan(StepPolicy.FULL)
                .build();
    }

    /** A multiple of 64 where it can be, so that latents can be halved three times. */
    private static int side(double pixels) {
        int unit = pixels >= 128 ? 64 : 8;
        return Math.max(unit, (int) Math.round(pixels / unit) * unit);
    }

    AutoPlan find() {
        for (int i = 0; i < PROMPTS.size(); i++) {
            full.add(draw(StepPolicy.FULL, i));
        }
        List<List<AutoPlan>> guidance = request.guidance() == 1
                ? List.of()
                : List.of(IntStream.of(COND_ONLY_LAST)
                        .mapToObj(percent -> AutoPlan.candidate(percent, List.of(), 0))
                        .toList());
        List<List<AutoPlan>> skipping = List.of(IntStream.of(SKIP_MIDDLE_LAST)
                .mapToObj(percent -> AutoPlan.candidate(0, List.of(), percent))
                .toList());
        return combine(List.of(measured(guidance), measured(skipping), measured(outer()), measured(inner())));
    }

    private List<List<AutoPlan>> outer() {
        List<List<AutoPlan>> families = new ArrayList<>();
        for (String level : OUTER) {
            for (List<int[]> family : GAPS) {
                families.add(inheritances(family.stream().map(gaps -> level + keys(gaps[0], gaps[1]))));
            }
            families.add(
                    inheritances(Stream.of("~0.1", "~0.2", "~0.4:5", "~0.8:5").map(level::concat)));
        }
        return families;
    }

    private List<List<AutoPlan>> inner() {
        return INNER.stream()
                .map(level -> inheritances(Stream.of(2, 4, 6, 10, calls).map(gap -> level + keys(gap, gap))))
                .toList();
    }

    private static List<AutoPlan> inheritances(Stream<String> family) {
        return family.map(inherit -> AutoPlan.candidate(0, List.of(inherit), 0)).toList();
    }

    /** Calls the gaps between which change evenly. */
    private String keys(int firstGap, int lastGap) {
        if (firstGap == lastGap) {
            return "/" + firstGap;
        }
        List<String> keys = new ArrayList<>();
        for (int call = 0; call < calls; call += Math.round(firstGap + (lastGap - firstGap) * (float) call / calls)) {
            keys.add(Integer.toString(call));
        }
        return "@" + String.join(",", keys);
    }

    /** No saving, and those of families that hold; what follows one that does not would be worse. */
    private List<Measured> measured(List<List<AutoPlan>> families) {
        double[] whole = new double[calls];
        Arrays.fill(whole, 1);
        AutoPlan nothing = AutoPlan.candidate(0, List.of(), 0)
                .measured(Double.POSITIVE_INFINITY, 1, full.size(), request.width(), request.height());
        List<Measured> holding = new ArrayList<>(List.of(new Measured(nothing, new double[full.size()], whole)));
        for (List<AutoPlan> family : families) {
            for (AutoPlan each : family) {
                if (!measure(each, holding)) {
                    break;
                }
            }
        }
        return holding;
    }

    /** Adds a plan to those that hold; false if it does not hold or cannot be followed. */
    private boolean measure(AutoPlan plan, List<Measured> holding) {
        List<PlannedCall> planned;
        try {
            planned = pipeline.explain(request.toBuilder().plan(plan.policy()).build());
        } catch (IllegalArgumentException e) {
            return false; // another network, or two plans for one unit
        }
        double work = 0;
        double whole = 0;
        double worst = Double.POSITIVE_INFINITY;
        double[] errors = new double[full.size()];
        for (int i = 0; i < full.size(); i++) {
            GeneratedImage image = draw(plan.policy(), i);
            errors[i] = full.get(i).picture().squaredError(image.picture());
            worst = Math.min(worst, Picture.psnr(errors[i]));
            if (worst < quality) {
                return false;
            }
            work += image.work().multiplyAdds();
            whole += full.get(i).work().multiplyAdds();
        }
        AutoPlan measured = plan.measured(worst, work / whole, full.size(), request.width(), request.height());
        // What adaptive plans came to is spread over all calls.
        double explained =
                planned.stream().mapToDouble(PlannedCall::share).average().orElse(1);
        double[] shares = planned.stream()
                .mapToDouble(call -> call.share() * measured.share() / explained)
                .toArray();
        holding.add(new Measured(measured, errors, shares));
        return true;
    }

    /** One of each kind together, none of them measured: errors add up, and of two inheritances a call does the less. */
    private static Measured together(Measured guidance, Measured skipping, Measured outer, Measured inner) {
        List<String> inherit = new ArrayList<>(inner.plan.inherit());
        inherit.addAll(outer.plan.inherit());
        double[] errors = new double[guidance.errors.length];
        Arrays.setAll(errors, i -> guidance.errors[i] + skipping.errors[i] + outer.errors[i] + inner.errors[i]);
        double[] shares = new double[guidance.shares.length];
        Arrays.setAll(
                shares, i -> guidance.shares[i] * skipping.shares[i] * Math.min(outer.shares[i], inner.shares[i]));
        return new Measured(
                AutoPlan.candidate(guidance.plan.condOnlyLast(), inherit, skipping.plan.skipMiddleLast()),
                errors,
                shares);
    }

    /** The cheapest combination that holds. */
    private AutoPlan combine(List<List<Measured>> kinds) {
        List<Measured> combinations = new ArrayList<>();
        for (Measured guidance : kinds.get(0)) {
            for (Measured skipping : kinds.get(1)) {
                for (Measured outer : kinds.get(2)) {
                    for (Measured inner : kinds.get(3)) {
                        Measured all = together(guidance, skipping, outer, inner);
                        if (Arrays.stream(all.errors).allMatch(error -> Picture.psnr(error) >= quality)) {
                            combinations.add(all);
                        }
                    }
                }
            }
        }
        combinations.sort(Comparator.comparingDouble(PlanSearch::share));
        List<Measured> holding = new ArrayList<>();
        kinds.forEach(holding::addAll);
        double best = holding.stream().mapToDouble(it -> it.plan.share()).min().orElseThrow();
        int tried = 0;
        for (Measured each : combinations) {
            if (share(each) >= best || tried++ == MOST_COMBINATIONS) {
                break; // those that follow promise no more than what holds already
            }
            if (measure(each.plan, holding)) {
                best = Math.min(best, holding.getLast().plan.share());
            }
        }
        return holding.stream()
                .map(Measured::plan)
                .min(Comparator.comparingDouble(AutoPlan::share))
                .orElseThrow();
    }

    private static double share(Measured measured) {
        return Arrays.stream(measured.shares).average().orElse(1);
    }

    private GeneratedImage draw(StepPolicy plan, int picture) {
        return pipeline.generate(
                        request.toBuilder()
                                .prompt(PROMPTS.get(picture))
                                .plan(plan)
                                .seed(FIRST_SEED + picture)
                                .build(),
                        listener::progress)
                .getFirst();
    }
}
