package io.aquarelle.plan;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/**
 * Computes some units in key calls only and reuses their outputs in the calls between (A-SDM, arXiv 2406.00210).
 *
 * <p>With {@link UnitSelection#encoder} this is the encoder propagation of Faster Diffusion (Li et al., arXiv
 * 2312.09608), with {@link UnitSelection#decoderLayer} DeepCache (Ma, Fang and Wang, arXiv 2312.00858), and with
 * attentions as units what T-GATE (Zhang et al., arXiv 2404.02747) and pyramid attention broadcast (Zhao et al., arXiv
 * 2408.12588) do, each branch reusing its own outputs.
 *
 * <p>A call is a key call, too, where one of its branches has nothing stored yet, or another UNet takes over. Key calls store only what a later call
 * reuses, so that without such calls nothing changes.
 *
 * @param units whose outputs are reused
 * @param keys the calls that compute them
 */
public record FeatureInheritance(UnitSelection units, CallSelection keys) implements StepPolicy {
    @Override
    public List<StepPlan> plan(Run run, List<StepPlan> plans) {
        List<List<Integer>> places = run.places(units, plans);
        BitSet key = keys.among(plans.size());
        int conditionalKey = -1; // the last call that computed them for the prompt
        int bothKey = -1; // and for the negative prompt too
        BitSet stores = new BitSet();
        for (int i = 0; i < plans.size(); i++) {
            boolean both = plans.get(i).branches() == Branches.BOTH;
            if (i > 0 && plans.get(i).unet() != plans.get(i - 1).unet()) {
                conditionalKey = -1; // what another UNet stored is gone
                bothKey = -1;
            }
            if (conditionalKey < 0 || both && bothKey < 0) {
                key.set(i);
            }
            if (key.get(i)) {
                conditionalKey = i;
                bothKey = both ? i : bothKey;
            } else {
                stores.set(conditionalKey);
                if (both) {
                    stores.set(bothKey);
                }
            }
        }
        List<StepPlan> result = new ArrayList<>();
        for (int i = 0; i < plans.size(); i++) {
            StepPlan plan = plans.get(i);
            if (!key.get(i)) {
                plan = plan.with(places.get(i), Action.REUSE, run.units(plan));
            } else if (stores.get(i)) {
                plan = plan.with(places.get(i), Action.STORE, run.units(plan));
            }
            result.add(plan);
        }
        return result;
    }
}
