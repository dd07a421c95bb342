package io.aquarelle.plan;

import java.util.ArrayList;
import java.util.List;

/**
 * Computes some units only when the UNet's output is likely to have changed since they were computed last, and reuses
 * their outputs otherwise.
 *
 * <p>With inputs x and outputs y, a call that computes the units after call a and before call b tells how strongly the
 * output follows the input: {@code s = (|y_b - y_a| / |y_b|) / (|x_b - x_a| / |x_b|)}. The change at a later call k is then
 * estimated as {@code s |x_k - x_b| / |x_k|}, with the larger of the last two s, and the units are reused where that is
 * below the threshold. Norms are Euclidean. Caches of stable-diffusion.cpp and EasyCache (Zhou et al., arXiv 2507.02860)
 * decide likewise, but for whole calls and by adding up changes from call to call.
 *
 * @param units whose outputs are reused
 * @param threshold estimated relative change of the output from which on they are computed; 0 computes them always
 * @param most calls in a row that reuse them, 1 or more
 */
public record AdaptiveInheritance(UnitSelection units, double threshold, int most) implements StepPolicy {
    /** How many calls in a row reuse units where nothing else is said. */
    public static final int MOST = 3;

    /** Calls that compute the units before anything can be estimated. */
    private static final int FIRST = 2;

    /**
     * Checks the numbers.
     *
     * @throws IllegalArgumentException if the threshold is negative or no number, or no call may reuse units
     */
    public AdaptiveInheritance {
        if (!(threshold >= 0 && threshold < Double.POSITIVE_INFINITY)) {
            throw new IllegalArgumentException("the threshold is " + threshold + "; it must be 0 or more");
        }
        if (most < 1) {
            throw new IllegalArgumentException(
                    "at most " + most + " calls in a row cannot reuse units; allow 1 or more");
        }
    }

    /** All calls store the units; which of them reuse them instead is found out while drawing. */
    @Override
    public List<StepPlan> plan(Run run, List<StepPlan> plans) {
        List<List<Integer>> places = run.places(units, plans);
        if (threshold == 0) {
            return plans;
        }
        List<StepPlan> result = new ArrayList<>();
        for (int i = 0; i < plans.size(); i++) {
            result.add(plans.get(i).with(places.get(i), Action.STORE, run.units(plans.get(i))));
        }
        return result;
    }

    @Override
    public Adaptation adaptation(Run run) {
        return threshold == 0 ? Adaptation.NONE : new State(run);
    }

    /** What was measured so far; a slope that is no number lets nothing be reused. */
    private final class State implements Adaptation {
        private final Run run;
        private float[] input = {}; // of the last call that computed the units
        private float[] output = {};
        private StepPlan key = StepPlan.full(Branches.CONDITIONAL, 0);
        private double slope = Double.POSITIVE_INFINITY; // the larger of the last two s
        private double lastSlope;
        private int computed; // calls in a row of one UNet and its branches, as far as they computed the units
        private int reused; // calls since then

        State(Run run) {
            this.run = run;
        }

        @Override
        public StepPlan choose(int call, StepPlan plan, float[] now) {
            boolean stored = computed >= FIRST
                    && plan.unet() == key.unet()
                    && (plan.branches() == key.branches() || plan.branches() == Branches.CONDITIONAL);
            boolean reuses = stored && reused < most && slope * change(input, now) < threshold;
            return reuses ? reusing(plan) : plan;
        }

        @Override
        public StepPlan least(int call, StepPlan plan) {
            return call < FIRST ? plan : reusing(plan);
        }

        private StepPlan reusing(StepPlan plan) {
            List<Action> actions = new ArrayList<>(plan.actions());
            for (int place : units.among(run.units(plan))) {
                actions.set(place, Action.REUSE);
            }
            return new StepPlan(plan.branches(), actions, plan.unet());
        }

        @Override
        public void observe(int call, StepPlan followed, float[] given, float[] result) {
            if (followed.actions().get(units.among(run.units(followed)).getFirst()) == Action.REUSE) {
                reused++;
                return;
            }
            // Outputs of another UNet, or guided ones and others, tell nothing about each other.
            boolean comparable = computed > 0 && followed.unet() == key.unet() && followed.branches() == key.branches();
            computed = comparable ? computed + 1 : 1;
            if (comparable) {
                double newest = change(output, result) / change(input, given);
                slope = computed == FIRST ? newest : Math.max(newest, lastSlope);
                lastSlope = newest;
            }
            input = given.clone();
            output = result.clone();
            key = followed;
            reused = 0;
        }

        /** |b - a| / |b|. */
        private static double change(float[] a, float[] b) {
            double difference = 0;
            double size = 0;
            for (int i = 0; i < b.length; i++) {
                double step = (double) b[i] - a[i];
                difference += step * step;
                size += (double) b[i] * b[i];
            }
            return Math.sqrt(difference / size);
        }
    }
}
