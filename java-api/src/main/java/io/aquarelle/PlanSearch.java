package io.aquarelle;

import io.aquarelle.plan.StepPolicy;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Finds the cheapest plan whose pictures stay close enough to those of the full run. Guidance, inheritance and skipping
 * are measured one by one, milder ones first; squared errors of different kinds are taken to add up, which tells the
 * combinations that are worth measuring, and the cheapest that holds is the answer.
 */
final class PlanSearch {
    private static final List<String> PROMPTS = List.of("a red apple", "a smiling face", "a house by a lake");
    private static final long FIRST_SEED = 1001;
    private static final int MOST_CELLS = 32; // of a side of calibration latents, by area
    private static final int MOST_COMBINATIONS = 12; // that are measured

    private static final int[] COND_ONLY_LAST = {20, 35, 50, 65, 80};
    private static final int[] SKIP_MIDDLE_LAST = {30, 60};

    /** A plan and what its pictures' errors were. */
    private record Measured(AutoPlan plan, double[] errors) {}

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
        Measured nothing = new Measured(
                AutoPlan.candidate(0, "", 0)
                        .measured(Double.POSITIVE_INFINITY, 1, full.size(), request.width(), request.height()),
                new double[full.size()]);
        List<Measured> guidance = new ArrayList<>(List.of(nothing));
        if (request.guidance() != 1) {
            for (int percent : COND_ONLY_LAST) {
                if (!measure(AutoPlan.candidate(percent, "", 0), guidance)) {
                    break; // more would be worse
                }
            }
        }
        List<Measured> skipping = new ArrayList<>(List.of(nothing));
        for (int percent : SKIP_MIDDLE_LAST) {
            if (!measure(AutoPlan.candidate(0, "", percent), skipping)) {
                break;
            }
        }
        List<Measured> inheritance = new ArrayList<>(List.of(nothing));
        for (List<String> family : families()) {
            for (String inherit : family) {
                if (!measure(AutoPlan.candidate(0, inherit, 0), inheritance)) {
                    break;
                }
            }
        }
        return combine(guidance, skipping, inheritance);
    }

    /** Inheritances, those of a list ever cheaper and worse. */
    private List<List<String>> families() {
        List<List<String>> families = new ArrayList<>();
        for (String level : List.of("block", "layer:0", "layer:1", "layer:2", "unit:out")) {
            families.add(List.of(level + "/2", level + "/3", level + "/5"));
            families.add(List.of(level + "@" + early(3), level + "@" + early(5)));
            families.add(List.of(level + "~0.05", level + "~0.1", level + "~0.2", level + "~0.4:5"));
        }
        families.add(List.of("unit:cross@0-" + calls / 2, "unit:cross@0-" + calls / 4));
        return families;
    }

    /** The first quarter of all calls, then every {@code interval}-th. */
    private String early(int interval) {
        int first = calls / 4;
        return IntStream.range(0, calls)
                .filter(call -> call <= first || (call - first) % interval == 0)
                .mapToObj(Integer::toString)
                .collect(Collectors.joining(","));
    }

    /** Adds a plan to those that hold; false if it does not hold or cannot be followed. */
    private boolean measure(AutoPlan plan, List<Measured> holding) {
        try {
            pipeline.plan(request.toBuilder().plan(plan.policy()).build());
        } catch (IllegalArgumentException e) {
            return false; // another network, or two plans for one unit
        }
        double work = 0;
        double whole = 0;
        double worst = Double.POSITIVE_INFINITY;
        double[] errors = new double[full.size()];
        for (int i = 0; i < full.size(); i++) {
            GeneratedImage image = draw(plan.policy(), i);
            errors[i] = error(full.get(i), image);
            worst = Math.min(worst, psnr(errors[i]));
            if (worst < quality) {
                return false;
            }
            work += image.work().multiplyAdds();
            whole += full.get(i).work().multiplyAdds();
        }
        AutoPlan measured = plan.measured(worst, work / whole, full.size(), request.width(), request.height());
        holding.add(new Measured(measured, errors));
        return true;
    }

    /** The cheapest combination that holds. */
    private AutoPlan combine(List<Measured> guidance, List<Measured> skipping, List<Measured> inheritance) {
        record Combination(AutoPlan plan, double share) {}
        List<Combination> combinations = new ArrayList<>();
        List<Measured> holding = new ArrayList<>();
        for (List<Measured> axis : List.of(guidance, skipping, inheritance)) {
            holding.addAll(axis);
        }
        for (Measured g : guidance) {
            for (Measured s : skipping) {
                for (Measured i : inheritance) {
                    double worst = IntStream.range(0, full.size())
                            .mapToDouble(at -> psnr(g.errors[at] + s.errors[at] + i.errors[at]))
                            .min()
                            .orElseThrow();
                    long parts = List.of(g, s, i).stream()
                            .filter(part -> part != guidance.getFirst())
                            .count();
                    if (parts > 1 && worst >= quality) {
                        combinations.add(new Combination(
                                AutoPlan.candidate(g.plan.condOnlyLast(), i.plan.inherit(), s.plan.skipMiddleLast()),
                                g.plan.share() * s.plan.share() * i.plan.share()));
                    }
                }
            }
        }
        combinations.sort(Comparator.comparingDouble(Combination::share));
        double best = holding.stream().mapToDouble(it -> it.plan.share()).min().orElseThrow();
        int tried = 0;
        for (Combination each : combinations) {
            if (each.share >= best || tried++ == MOST_COMBINATIONS) {
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

    /** The mean of squared differences of 8-bit values. */
    static double error(GeneratedImage one, GeneratedImage other) {
        byte[] a = one.rgb();
        byte[] b = other.rgb();
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            double difference = (a[i] & 0xff) - (b[i] & 0xff);
            sum += difference * difference;
        }
        return sum / a.length;
    }

    /** In dB. */
    static double psnr(double error) {
        return 10 * Math.log10(255 * 255 / error);
    }
}
