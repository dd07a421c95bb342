package io.aquarelle.plan;

import io.aquarelle.plan.Unit.Kind;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/**
 * Temporal experts of ALTER (Yang et al., "ALTER: All-in-One Layer Pruning and Temporal Expert Routing for Efficient
 * Diffusion Generation", arXiv 2505.21817): masks that say which layers of a UNet run, and for each timestep of the
 * training which mask holds. Both branches of a guided call have the same one.
 *
 * @param layers what the masks are about, in their order; {@link ExpertLayers#of} in the order of ALTER
 * @param masks of each expert the layers that run, by their place in that order
 * @param route the expert of each timestep, mostly 1000 of them; those between two are the nearest's
 * @param unpopped whether ResBlocks that are left out where a level of the decoder has no attention leave their skip
 *     connection to the next one, as in the authors' code, though not in their training
 */
public record TemporalExperts(UnitSelection layers, List<BitSet> masks, List<Integer> route, boolean unpopped)
        implements StepPolicy {
    /**
     * Copies the lists.
     *
     * @throws IllegalArgumentException if there is no mask or no timestep, or one is routed to an expert that is not there
     */
    public TemporalExperts {
        masks = masks.stream().map(mask -> (BitSet) mask.clone()).toList();
        route = List.copyOf(route);
        if (masks.isEmpty() || route.isEmpty()) {
            throw new IllegalArgumentException("temporal experts need a mask and a timestep at least");
        }
        for (int t = 0; t < route.size(); t++) {
            if (route.get(t) < 0 || route.get(t) >= masks.size()) {
                throw new IllegalArgumentException("timestep " + t + " is routed to expert " + route.get(t)
                        + "; there are experts 0 to " + (masks.size() - 1));
            }
        }
    }

    /** The same with skip connections popped or not. */
    public TemporalExperts withUnpopped(boolean value) {
        return new TemporalExperts(layers, masks, route, value);
    }

    /** The expert of a timestep. */
    public int expert(float timestep) {
        return route.get(Math.clamp(Math.round(timestep), 0, route.size() - 1));
    }

    @Override
    public List<StepPlan> plan(Run run, List<StepPlan> plans) {
        List<List<Integer>> places = run.places(layers, plans);
        List<StepPlan> result = new ArrayList<>();
        for (int i = 0; i < plans.size(); i++) {
            List<Unit> units = run.units(plans.get(i));
            BitSet mask = masks.get(expert(run.calls().get(i).timestep()));
            if (mask.length() > places.get(i).size()) {
                throw new IllegalArgumentException("the masks are about more layers than this network's "
                        + places.get(i).size() + "; they belong to another model");
            }
            result.add(plans.get(i)
                    .with(leftOut(mask, places.get(i), units, false), Action.SKIP, units)
                    .with(leftOut(mask, places.get(i), units, true), Action.SKIP_UNPOPPED, units));
        }
        return result;
    }

    /** Places of layers that a mask leaves out, those that leave their skip connection or the others. */
    private List<Integer> leftOut(BitSet mask, List<Integer> places, List<Unit> units, boolean leaving) {
        List<Integer> result = new ArrayList<>();
        for (int layer = 0; layer < places.size(); layer++) {
            int place = places.get(layer);
            if (!mask.get(layer) && leaving == (unpopped && isUnpopped(units, place))) {
                result.add(place);
            }
        }
        return result;
    }

    /** Whether a unit is a ResBlock of the decoder at a level without attention. */
    private static boolean isUnpopped(List<Unit> units, int place) {
        return units.get(place).kind() == Kind.RESNET
                && ExpertLayers.levels(units).stream()
                        .anyMatch(level -> level.decoder()
                                && level.transformers().isEmpty()
                                && level.resnets().contains(place));
    }
}
