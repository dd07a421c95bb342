package io.aquarelle.plan;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * Runs some steps on other UNets than the model's own: a small one for the first steps, for example, which make the
 * layout of the picture (A-SDM, Li et al., arXiv 2406.00210). What was stored in feature caches is dropped at each
 * switch. Chain it before policies that leave parts of a UNet out.
 *
 * @param stretches which steps, none of them twice; all others run on the model's own UNet
 */
public record UNetSwitching(List<Stretch> stretches) implements StepPolicy {
    /**
     * Steps {@code from} to {@code to - 1}.
     *
     * @param unet its number in the pipeline; 0 is the model's own
     * @param from counted from 0
     * @param to {@link Integer#MAX_VALUE} for all that follow
     */
    public record Stretch(int unet, int from, int to) {
        /**
         * Checks the numbers.
         *
         * @throws IllegalArgumentException if they are negative or there is no step
         */
        public Stretch {
            if (unet < 0 || from < 0 || to <= from) {
                throw new IllegalArgumentException("UNet " + unet + " cannot run steps " + from + " to " + to
                        + "; the end must be above the start");
            }
        }
    }

    /**
     * Copies the list.
     *
     * @throws IllegalArgumentException if a step is there twice
     */
    public UNetSwitching {
        stretches = stretches.stream()
                .sorted(Comparator.comparingInt(Stretch::from))
                .toList();
        for (int i = 1; i < stretches.size(); i++) {
            if (stretches.get(i).from() < stretches.get(i - 1).to()) {
                throw new IllegalArgumentException("step " + stretches.get(i).from() + " has two UNets; give it one");
            }
        }
    }

    @Override
    public List<StepPlan> plan(Run run, List<StepPlan> plans) {
        List<StepPlan> result = new ArrayList<>(plans);
        for (int i = 0; i < plans.size(); i++) {
            int step = run.calls().get(i).step();
            for (Stretch stretch : stretches) {
                if (stretch.from <= step && step < stretch.to) {
                    if (stretch.unet >= run.networks().size()) {
                        throw new IllegalArgumentException("step " + step + " is for UNet " + stretch.unet
                                + "; the pipeline has " + run.networks().size() + ", counted from 0");
                    }
                    result.set(i, plans.get(i).on(stretch.unet, run.networks().get(stretch.unet)));
                }
            }
        }
        return result;
    }
}
