package io.aquarelle.plan;

import java.util.List;

/** Plans the calls of a run. */
@FunctionalInterface
public interface StepPolicy {
    /** Every call computes everything. */
    StepPolicy FULL = (run, plans) -> plans;

    /**
     * The plans of a run's calls.
     *
     * @param run the calls to come
     * @param plans what they do so far, one a call
     * @return as many, with what this policy changes
     * @throws IllegalArgumentException if the policy does not suit the run, its network, or the plans so far; one line
     */
    List<StepPlan> plan(Run run, List<StepPlan> plans);

    /**
     * What decides while a picture is drawn, for policies whose plans leave that open.
     *
     * @param run as for {@link #plan}
     * @return a new one for each picture
     */
    default Adaptation adaptation(Run run) {
        return Adaptation.NONE;
    }

    /** This policy, and another one on what it gives. */
    default StepPolicy then(StepPolicy next) {
        StepPolicy first = this;
        return new StepPolicy() {
            @Override
            public List<StepPlan> plan(Run run, List<StepPlan> plans) {
                return next.plan(run, first.plan(run, plans));
            }

            @Override
            public Adaptation adaptation(Run run) {
                return first.adaptation(run).then(next.adaptation(run));
            }
        };
    }
}
