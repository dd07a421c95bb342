package io.aquarelle.plan;

/**
 * What a policy decides while a picture is drawn: it is asked before each call and told what came of it. Each picture has
 * one of its own. Decisions follow from what is measured alone, so that the same picture is drawn again from the same
 * seed.
 */
public interface Adaptation {
    /** Follows the plan. */
    Adaptation NONE = new Adaptation() {};

    /**
     * What a call does.
     *
     * @param call counted from 0
     * @param plan what was planned; the result must be one that can be followed instead
     * @param input what the UNet is given: the scaled latent and what goes beside it; only to be read, only now
     */
    default StepPlan choose(int call, StepPlan plan, float[] input) {
        return plan;
    }

    /**
     * Tells what came of a call.
     *
     * @param followed what {@link #choose} gave
     * @param input as it was given
     * @param output of the UNet, guided where both branches ran; only to be read, only now
     */
    default void observe(int call, StepPlan followed, float[] input, float[] output) {}

    /** The least that {@link #choose} could make of a plan, whatever is measured. */
    default StepPlan least(int call, StepPlan plan) {
        return plan;
    }

    /** This one's decisions, then another one's on them. */
    default Adaptation then(Adaptation next) {
        Adaptation first = this;
        if (first == NONE || next == NONE) {
            return first == NONE ? next : first;
        }
        return new Adaptation() {
            @Override
            public StepPlan choose(int call, StepPlan plan, float[] input) {
                return next.choose(call, first.choose(call, plan, input), input);
            }

            @Override
            public void observe(int call, StepPlan followed, float[] input, float[] output) {
                first.observe(call, followed, input, output);
                next.observe(call, followed, input, output);
            }

            @Override
            public StepPlan least(int call, StepPlan plan) {
                return next.least(call, first.least(call, plan));
            }
        };
    }
}
