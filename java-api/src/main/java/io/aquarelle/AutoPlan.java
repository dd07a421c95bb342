package io.aquarelle;

import io.aquarelle.plan.CallSelection;
import io.aquarelle.plan.PlanSyntax;
import io.aquarelle.plan.SelectiveGuidance;
import io.aquarelle.plan.StepPolicy;
import io.aquarelle.plan.UnitSelection;
import io.aquarelle.plan.UnitSkipping;
import java.util.List;
import java.util.Locale;

/**
 * A plan that was found by measuring how far pictures drawn under it are from those of the full run. Three kinds of
 * savings are combined, each of which may be missing.
 *
 * @param condOnlyLast percentage of calls at the end that leave the negative prompt out; 0 for none
 * @param inherit feature inheritances as {@link PlanSyntax#inheritance} reads them
 * @param skipMiddleLast percentage of calls at the end that leave the middle block out; 0 for none
 * @param psnr the lowest peak signal-to-noise ratio of the calibration pictures against those of the full run, in dB;
 *     infinite where they are the same
 * @param share of the full run's multiply-adds
 * @param pictures how many were compared
 * @param width of these pictures
 * @param height of these pictures
 */
public record AutoPlan(
        int condOnlyLast,
        List<String> inherit,
        int skipMiddleLast,
        double psnr,
        double share,
        int pictures,
        int width,
        int height) {
    /** Checks the numbers and the inheritances. */
    public AutoPlan {
        boolean sound = condOnlyLast >= 0 && condOnlyLast <= 100 && skipMiddleLast >= 0 && skipMiddleLast <= 100;
        if (!sound || Double.isNaN(psnr) || !(share > 0 && share < 100) || pictures < 1) {
            throw new IllegalArgumentException("a plan with such numbers was never found");
        }
        inherit = List.copyOf(inherit);
        inherit.forEach(PlanSyntax::inheritance);
    }

    /** A combination of which nothing is known yet. */
    static AutoPlan candidate(int condOnlyLast, List<String> inherit, int skipMiddleLast) {
        return new AutoPlan(condOnlyLast, inherit, skipMiddleLast, 0, 1, 1, 0, 0);
    }

    AutoPlan measured(double psnr, double share, int pictures, int width, int height) {
        return new AutoPlan(condOnlyLast, inherit, skipMiddleLast, psnr, share, pictures, width, height);
    }

    /** What a request takes as its plan. */
    public StepPolicy policy() {
        StepPolicy policy = StepPolicy.FULL;
        if (condOnlyLast > 0) {
            policy = policy.then(new SelectiveGuidance(CallSelection.lastPercent(condOnlyLast)));
        }
        if (skipMiddleLast > 0) {
            policy = policy.then(
                    new UnitSkipping(UnitSelection.named("middle_block"), CallSelection.lastPercent(skipMiddleLast)));
        }
        for (String each : inherit) {
            policy = policy.then(PlanSyntax.inheritance(each));
        }
        return policy;
    }

    /** One line for people: what it does, and what was measured. */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder();
        if (condOnlyLast > 0) {
            text.append("--cond-only-last ").append(condOnlyLast).append(' ');
        }
        inherit.forEach(each -> text.append("--inherit ").append(each).append(' '));
        if (skipMiddleLast > 0) {
            text.append("no middle block in the last ").append(skipMiddleLast).append("% ");
        }
        if (text.isEmpty()) {
            text.append("the full run ");
        }
        String quality = Double.isInfinite(psnr) ? "the same pictures" : "at least %.1f dB".formatted(psnr);
        return text.append(String.format(
                        Locale.ROOT,
                        "(%.1f%% of the multiply-adds, %s on %d pictures of %dx%d)",
                        100 * share,
                        quality,
                        pictures,
                        width,
                        height))
                .toString();
    }
}
