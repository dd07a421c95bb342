package io.aquarelle;

import io.aquarelle.plan.Call;
import io.aquarelle.plan.StepPlan;
import io.aquarelle.plan.Work;

/**
 * What a call of the UNet will do.
 *
 * @param call when
 * @param plan what is computed, stored, reused and skipped
 * @param work what that comes to; both branches together where both run
 * @param controlMultiplyAdds what control nets compute for it, counted likewise; 0 without any
 * @param share the part of the multiply-adds of a call without a plan, those of control nets among both, 0 to 1; more
 *     than 1 with a larger UNet
 * @param leastShare what adaptive policies may make of that while drawing; the same without any
 */
public record PlannedCall(
        Call call, StepPlan plan, Work work, double controlMultiplyAdds, double share, double leastShare) {}
