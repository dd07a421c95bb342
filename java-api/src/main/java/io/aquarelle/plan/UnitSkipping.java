package io.aquarelle.plan;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/**
 * Leaves units out of some calls.
 *
 * @param units what to leave out
 * @param calls when
 */
public record UnitSkipping(UnitSelection units, CallSelection calls) implements StepPolicy {
    @Override
    public List<StepPlan> plan(Run run, List<StepPlan> plans) {
        List<List<Integer>> places = run.places(units, plans);
        BitSet chosen = calls.among(plans.size());
        List<StepPlan> result = new ArrayList<>();
        for (int i = 0; i < plans.size(); i++) {
            StepPlan plan = plans.get(i);
            result.add(chosen.get(i) ? plan.with(places.get(i), Action.SKIP, run.units(plan)) : plan);
        }
        return result;
    }
}
