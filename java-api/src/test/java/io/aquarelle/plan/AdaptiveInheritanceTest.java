package io.aquarelle.plan;

import static io.aquarelle.plan.Networks.letters;
import static io.aquarelle.plan.Networks.run;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class AdaptiveInheritanceTest {
    private static final UnitSelection CROSS = UnitSelection.named("cross");
    private static final String UNIT = "middle_block.1.transformer_blocks.0.attn2";

    /** What calls do whose inputs and outputs are these numbers. */
    private static String follow(StepPolicy policy, Run run, double[] inputs, double[] outputs) {
        List<StepPlan> plans = run.plan(policy);
        Adaptation adaptation = policy.adaptation(run);
        List<StepPlan> followed = new ArrayList<>();
        for (int i = 0; i < inputs.length; i++) {
            float[] input = {(float) inputs[i]};
            StepPlan plan = adaptation.choose(i, plans.get(i), input);
            adaptation.observe(i, plan, input, new float[] {(float) outputs[i]});
            followed.add(plan);
        }
        return letters(followed, UNIT);
    }

    @Test
    void theEstimateDecides() {
        // From 1 to 2 the input changes by 1/2 and the output, from 3 to 4, by 1/4: the slope is 1/2. At 2.5 the input
        // has
        // changed by 1/5, so the output by an estimated 1/10; at 4 by 1/2 and 1/4.
        double[] inputs = {1, 2, 2.5, 4};
        double[] outputs = {3, 4, 4, 4};
        assertEquals("ssrs", follow(new AdaptiveInheritance(CROSS, 0.11, 3), run(4, true), inputs, outputs));
        assertEquals("ssss", follow(new AdaptiveInheritance(CROSS, 0.09, 3), run(4, true), inputs, outputs));
        assertEquals("ssrr", follow(new AdaptiveInheritance(CROSS, 0.26, 3), run(4, true), inputs, outputs));
    }

    @Test
    void theLargerOfTheLastTwoSlopesCounts() {
        // From 1 to 2 the input changes by 1/2 and the output by 2, so the slope is 4, then 0 as the output stays.
        // After
        // both, 4 still counts; after the second 0, nothing is expected to change.
        double[] inputs = {1, 2, 4, 4.2, 8, 8.2};
        double[] outputs = {1, -1, -1, -1, -1, -1};
        assertEquals("ssssrr", follow(new AdaptiveInheritance(CROSS, 0.1, 3), run(6, true), inputs, outputs));
    }

    @Test
    void noMoreCallsInARowReuseThanAllowed() {
        double[] slow = {1, 1.001, 1.002, 1.003, 1.004, 1.005, 1.006, 1.007, 1.008, 1.009};
        assertEquals("ssrrsrrsrr", follow(new AdaptiveInheritance(CROSS, 0.1, 2), run(10, true), slow, slow));
        assertEquals("ssrrrrrrrr", follow(new AdaptiveInheritance(CROSS, 0.1, 100), run(10, true), slow, slow));
    }

    @Test
    void branchesThatComeBackComputeFirst() {
        double[] values = {1, 1.001, 1.002, 1.003, 1.004, 1.005, 1.006, 1.007};
        StepPolicy policy =
                new SelectiveGuidance(CallSelection.listed("0-2")).then(new AdaptiveInheritance(CROSS, 0.5, 100));
        assertEquals("ssrssrrr", follow(policy, run(8, true), values, values));
        // Guided calls store the prompt's branch too.
        policy = new SelectiveGuidance(CallSelection.listed("4-")).then(new AdaptiveInheritance(CROSS, 0.5, 100));
        assertEquals("ssrrrrrr", follow(policy, run(8, true), values, values));
    }

    @Test
    void valuesThatTellNothingLetNothingBeReused() {
        double[] same = {1, 1, 1, 1};
        assertEquals("ssss", follow(new AdaptiveInheritance(CROSS, 9, 3), run(4, true), same, same));
        double[] none = {1, 2, Double.NaN, 2, 2};
        double[] outputs = {1, 2, 2, 2, 2};
        assertEquals("sssss", follow(new AdaptiveInheritance(CROSS, 9, 3), run(5, true), none, outputs));
    }

    @Test
    void withoutAThresholdNothingChanges() {
        StepPolicy policy = new AdaptiveInheritance(CROSS, 0, 3);
        assertEquals(run(4, true).plan(StepPolicy.FULL), run(4, true).plan(policy));
        assertSame(Adaptation.NONE, policy.adaptation(run(4, true)));
        assertSame(Adaptation.NONE, StepPolicy.FULL.then(policy).adaptation(run(4, true)));
    }

    @Test
    void theLeastIsToReuseFromTheThirdCallOn() {
        Run run = run(4, true);
        StepPolicy policy = new AdaptiveInheritance(CROSS, 0.1, 3);
        Adaptation adaptation = policy.adaptation(run);
        List<StepPlan> least = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            least.add(adaptation.least(i, run.plan(policy).get(i)));
        }
        assertEquals("ssrr", letters(least, UNIT));
    }

    @Test
    void syntaxGivesTheSame() {
        for (String text : List.of("unit:cross~0.1", "unit:cross~.1:3")) {
            var read = (AdaptiveInheritance) PlanSyntax.inheritance(text);
            assertEquals(0.1, read.threshold());
            assertEquals(AdaptiveInheritance.MOST, read.most());
        }
        assertEquals(7, ((AdaptiveInheritance) PlanSyntax.inheritance("block~0.2:7")).most());
        for (String broken :
                List.of("block~", "block~x", "block~-1", "block~NaN", "block~0.1:0", "block~0.1:2:3", "~1")) {
            var failure = assertThrows(IllegalArgumentException.class, () -> PlanSyntax.inheritance(broken), broken);
            assertTrue(!failure.getMessage().isEmpty());
        }
    }
}
