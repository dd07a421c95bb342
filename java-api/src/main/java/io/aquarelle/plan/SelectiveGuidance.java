package io.aquarelle.plan;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/**
 * Leaves the negative prompt out of some calls, mostly the last ones, which change the picture least (Golnari, Yao and
 * He, "Selective Guidance: Are All the Denoising Steps of Guided Diffusion Important?", arXiv 2305.09847). A call with
 * the prompt alone costs half.
 *
 * @param conditionalOnly the calls that run with the prompt alone
 */
public record SelectiveGuidance(CallSelection conditionalOnly) implements StepPolicy {
    @Override
    public List<StepPlan> plan(Run run, List<StepPlan> plans) {
        BitSet chosen = conditionalOnly.among(plans.size());
        if (!chosen.isEmpty() && plans.stream().noneMatch(plan -> plan.branches() == Branches.BOTH)) {
            throw new IllegalArgumentException("without guidance (scale 1) no call has a negative prompt to leave out");
        }
        List<StepPlan> result = new ArrayList<>();
        for (int i = 0; i < plans.size(); i++) {
            result.add(chosen.get(i) ? plans.get(i).with(Branches.CONDITIONAL) : plans.get(i));
        }
        return result;
    }
}
