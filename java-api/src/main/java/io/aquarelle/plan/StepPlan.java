package io.aquarelle.plan;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * What one call does.
 *
 * @param branches which run
 * @param actions one for each of the network's units, in its order
 * @param unet which UNet runs: 0 is the model's own, others follow in the order in which a pipeline was given them
 */
public record StepPlan(Branches branches, List<Action> actions, int unet) {
    /** Copies the list. */
    public StepPlan {
        actions = List.copyOf(actions);
    }

    /** A call of the model's own UNet. */
    public StepPlan(Branches branches, List<Action> actions) {
        this(branches, actions, 0);
    }

    /** A call that computes everything. */
    public static StepPlan full(Branches branches, int units) {
        return new StepPlan(branches, Collections.nCopies(units, Action.COMPUTE));
    }

    /** The same for other branches. */
    public StepPlan with(Branches other) {
        return new StepPlan(other, actions, unet);
    }

    /**
     * The same on another UNet, which computes everything.
     *
     * @param units of that one
     * @throws IllegalArgumentException if something else is planned for this one
     */
    public StepPlan on(int other, List<Unit> units) {
        if (!computesAll()) {
            throw new IllegalArgumentException("choose UNets before what they leave out");
        }
        return new StepPlan(branches, full(branches, units.size()).actions, other);
    }

    /**
     * The same with another action for some units.
     *
     * @throws IllegalArgumentException if one of them already has an action of its own
     */
    public StepPlan with(List<Integer> places, Action action, List<Unit> units) {
        List<Action> changed = new ArrayList<>(actions);
        for (int place : places) {
            if (changed.set(place, action) != Action.COMPUTE) {
                throw new IllegalArgumentException("unit '" + units.get(place).name() + "' has two plans for one call: "
                        + actions.get(place) + " and " + action + "; give each unit one");
            }
        }
        return new StepPlan(branches, changed, unet);
    }

    /** Whether all units are computed and none is stored. */
    public boolean computesAll() {
        return actions.stream().allMatch(action -> action == Action.COMPUTE);
    }
}
