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

    /** This policy, and another one on what it gives. */
    default StepPolicy then(StepPolicy next) {
        return (run, plans) -> next.plan(run, plan(run, plans));
    }
}
