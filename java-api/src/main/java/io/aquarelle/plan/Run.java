package io.aquarelle.plan;

import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The calls of one picture.
 *
 * @param calls in their order
 * @param networks the units of each UNet; the first one is the model's own, which runs where no plan names another
 * @param guided whether calls have a second branch, that of the negative prompt
 */
public record Run(List<Call> calls, List<List<Unit>> networks, boolean guided) {
    /** Copies the lists. */
    public Run {
        calls = List.copyOf(calls);
        networks = networks.stream().map(List::copyOf).toList();
    }

    /** The units of the UNet that a plan is for. */
    public List<Unit> units(StepPlan plan) {
        return networks.get(plan.unet());
    }

    /** Where units are in the UNet that each plan is for. */
    public List<List<Integer>> places(UnitSelection which, List<StepPlan> plans) {
        Map<Integer, List<Integer>> known = new HashMap<>();
        return plans.stream()
                .map(plan -> known.computeIfAbsent(plan.unet(), unet -> which.among(networks.get(unet))))
                .toList();
    }

    /**
     * What a policy makes of this run, checked.
     *
     * @return one plan a call
     * @throws IllegalArgumentException if it cannot be followed; one line that names the call and the unit
     */
    public List<StepPlan> plan(StepPolicy policy) {
        List<StepPlan> full = calls.stream()
                .map(call -> StepPlan.full(
                        guided || call.needsBoth() ? Branches.BOTH : Branches.CONDITIONAL,
                        networks.getFirst().size()))
                .toList();
        List<StepPlan> plans = List.copyOf(policy.plan(this, full));
        if (plans.size() != calls.size()) {
            throw new IllegalArgumentException(
                    "the policy plans " + plans.size() + " calls of a run of " + calls.size());
        }
        check(plans);
        return plans;
    }

    private void check(List<StepPlan> plans) {
        Set<Integer> both = new HashSet<>(); // stored of both branches
        Set<Integer> conditional = new HashSet<>();
        for (int i = 0; i < plans.size(); i++) {
            StepPlan plan = plans.get(i);
            if (plan.unet() < 0 || plan.unet() >= networks.size()) {
                throw new IllegalArgumentException("call " + i + " is for UNet " + plan.unet() + "; there are "
                        + networks.size() + ", counted from 0");
            }
            List<Unit> units = units(plan);
            if (i > 0 && plan.unet() != plans.get(i - 1).unet()) {
                both.clear(); // caches are of one UNet and dropped with it
                conditional.clear();
            }
            boolean withBoth = plan.branches() == Branches.BOTH;
            if (calls.get(i).needsBoth() && !withBoth) {
                throw new IllegalArgumentException(
                        "call " + i + ": this sampler needs the negative prompt's estimate in"
                                + " every call; use another sampler or guide all calls");
            }
            if (plan.actions().size() != units.size()) {
                throw new IllegalArgumentException("call " + i + ": the plan has "
                        + plan.actions().size() + " actions; the network has " + units.size() + " units");
            }
            for (int unit = 0; unit < units.size(); unit++) {
                Action action = plan.actions().get(unit);
                check(i, plan, units, unit);
                if (action == Action.REUSE && !(withBoth ? both : conditional).contains(unit)) {
                    throw new IllegalArgumentException(
                            "call " + i + ": unit '" + units.get(unit).name() + "' is reused before a call stored it");
                }
                if (action == Action.STORE) {
                    conditional.add(unit);
                    if (withBoth) {
                        both.add(unit);
                    }
                }
            }
        }
    }

    private static void check(int call, StepPlan plan, List<Unit> units, int unit) {
        Action action = plan.actions().get(unit);
        if (action == Action.COMPUTE) {
            return;
        }
        if (action.skips() && !units.get(unit).skippable()) {
            throw new IllegalArgumentException("call " + call + ": unit '"
                    + units.get(unit).name() + "' cannot be skipped: its output has another shape than its input");
        }
        for (int whole = units.get(unit).parent();
                whole >= 0;
                whole = units.get(whole).parent()) {
            if (!plan.actions().get(whole).computes()) {
                throw new IllegalArgumentException("call " + call + ": unit '"
                        + units.get(unit).name() + "' is a part of '"
                        + units.get(whole).name() + "', which is not computed; plan one of them");
            }
        }
    }
}
