package io.aquarelle.plan;

import static io.aquarelle.plan.Networks.UNITS;
import static io.aquarelle.plan.Networks.branches;
import static io.aquarelle.plan.Networks.letters;
import static io.aquarelle.plan.Networks.place;
import static io.aquarelle.plan.Networks.run;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class PoliciesTest {
    private static final UnitSelection CROSS = UnitSelection.named("cross");

    private static void refused(String words, Run run, StepPolicy policy) {
        var failure = assertThrows(IllegalArgumentException.class, () -> run.plan(policy));
        assertTrue(failure.getMessage().contains(words), failure.getMessage());
        assertEquals(1, failure.getMessage().lines().count());
    }

    @Test
    void fullComputesEverythingInEveryBranch() {
        for (StepPlan plan : run(3, true).plan(StepPolicy.FULL)) {
            assertEquals(StepPlan.full(Branches.BOTH, UNITS.size()), plan);
            assertTrue(plan.computesAll());
        }
        assertEquals("cc", branches(run(2, false).plan(StepPolicy.FULL)));
    }

    @Test
    void selectiveGuidanceLeavesTheNegativePromptOut() {
        assertEquals("bbbbbbbbcc", branches(run(10, true).plan(new SelectiveGuidance(CallSelection.lastPercent(20)))));
        assertEquals("bccbc", branches(run(5, true).plan(new SelectiveGuidance(CallSelection.listed("1-2,4")))));
        assertEquals("bbb", branches(run(3, true).plan(new SelectiveGuidance(CallSelection.lastPercent(0)))));
        refused("no call has a negative prompt", run(5, false), new SelectiveGuidance(CallSelection.lastPercent(50)));
    }

    @Test
    void samplersThatNeedBothBranchesGetThem() {
        Run run = new Run(List.of(new Call(0, 0, 999, true), new Call(1, 1, 500, true)), List.of(UNITS), false);
        assertEquals("bb", branches(run.plan(StepPolicy.FULL)));
        refused("call 1: this sampler needs", run, new SelectiveGuidance(CallSelection.listed("1")));
    }

    @Test
    void inheritanceStoresInKeyCallsAndReusesBetween() {
        var plans = run(8, true).plan(new FeatureInheritance(UnitSelection.encoder(), CallSelection.every(3)));
        for (String encoder : List.of("input_blocks.0", "input_blocks.1", "input_blocks.2", "middle_block")) {
            assertEquals("srrsrrsr", letters(plans, encoder));
        }
        for (String rest : List.of("output_blocks.0", "output_blocks.2", "input_blocks.1.0", "out")) {
            assertEquals("cccccccc", letters(plans, rest));
        }
    }

    @Test
    void theEncodersReuseMayTakeInTheStartOfTheDecoder() {
        var plans = run(2, true).plan(new FeatureInheritance(UnitSelection.encoder(2), CallSelection.every(2)));
        for (String reused : List.of("input_blocks.0", "output_blocks.1")) {
            assertEquals("sr", letters(plans, reused));
        }
        // The last block takes the skip connection of the first one; no other is needed.
        for (String rest : List.of("input_blocks.1", "input_blocks.2", "middle_block", "output_blocks.0")) {
            assertEquals("cc", letters(plans, rest));
        }
        assertEquals(
                UnitSelection.encoder().among(UNITS), UnitSelection.encoder(0).among(UNITS));
        for (int blocks : new int[] {-1, 3}) {
            refused(
                    "must be 0 to 2",
                    run(2, true),
                    new FeatureInheritance(UnitSelection.encoder(blocks), CallSelection.every(2)));
        }
    }

    @Test
    void whatNoCallReusesIsNotStored() {
        assertEquals(
                run(6, true).plan(StepPolicy.FULL),
                run(6, true).plan(new FeatureInheritance(UnitSelection.encoder(), CallSelection.every(1))));
        var plans = run(6, true).plan(new FeatureInheritance(CROSS, CallSelection.listed("0-2,4-5")));
        assertEquals("ccsrcc", letters(plans, "middle_block.1.transformer_blocks.0.attn2"));
    }

    @Test
    void firstCallIsAKeyCallWhateverTheListSays() {
        var plans = run(4, true).plan(new FeatureInheritance(CROSS, CallSelection.NONE));
        assertEquals("srrr", letters(plans, "middle_block.1.transformer_blocks.0.attn2"));
    }

    @Test
    void branchesThatComeBackComputeFirst() {
        StepPolicy policy = new SelectiveGuidance(CallSelection.listed("0-2"))
                .then(new FeatureInheritance(UnitSelection.encoder(), CallSelection.every(100)));
        var plans = run(6, true).plan(policy);
        assertEquals("cccbbb", branches(plans));
        assertEquals("srrsrr", letters(plans, "middle_block"));
        // The prompt's branch may go on alone with what both stored.
        policy = new SelectiveGuidance(CallSelection.lastPercent(50))
                .then(new FeatureInheritance(UnitSelection.encoder(), CallSelection.every(100)));
        assertEquals("srrrrr", letters(run(6, true).plan(policy), "middle_block"));
        // A key call of the prompt alone does not renew what the other branch reuses later.
        policy = new SelectiveGuidance(CallSelection.listed("1"))
                .then(new FeatureInheritance(UnitSelection.encoder(), CallSelection.listed("0,1")));
        assertEquals("ssr", letters(run(3, true).plan(policy), "middle_block"));
    }

    @Test
    void layersAreCountedFromTheOutermost() {
        for (int branch = 0; branch <= 1; branch++) {
            var plans = run(2, true)
                    .plan(new FeatureInheritance(UnitSelection.decoderLayer(branch), CallSelection.every(2)));
            for (int block = 0; block < 3; block++) {
                assertEquals(block == 1 - branch ? "sr" : "cc", letters(plans, "output_blocks." + block));
            }
        }
        for (int branch : new int[] {-1, 2}) {
            refused(
                    "must be 0 to 1",
                    run(2, true),
                    new FeatureInheritance(UnitSelection.decoderLayer(branch), CallSelection.every(2)));
        }
    }

    @Test
    void unitsArePickedByKindOrName() {
        assertEquals(7, CROSS.among(UNITS).size());
        assertEquals(7, UnitSelection.named("resnet").among(UNITS).size());
        assertEquals(
                List.of(place("middle_block")),
                UnitSelection.named("middle_block").among(UNITS));
        assertEquals(3, UnitSelection.named("input_blocks.*.attn2").among(UNITS).size());
        for (String none : new String[] {"", "self", "input_blocks", "input_blocks?0", "\\E.*", "nothing"}) {
            var failure = assertThrows(
                    IllegalArgumentException.class,
                    () -> UnitSelection.named(none).among(UNITS));
            assertTrue(failure.getMessage().contains("'" + none + "'"), failure.getMessage());
        }
    }

    @Test
    void skippingLeavesUnitsOut() {
        var plans =
                run(4, true).plan(new UnitSkipping(UnitSelection.named("middle_block.1"), CallSelection.listed("1-2")));
        assertEquals("ckkc", letters(plans, "middle_block.1"));
        refused(
                "'out' cannot be skipped",
                run(4, true),
                new UnitSkipping(UnitSelection.named("out"), CallSelection.ALL));
    }

    @Test
    void meaninglessMixesAreRefused() {
        StepPolicy inherit = new FeatureInheritance(CROSS, CallSelection.every(2));
        refused("has two plans", run(4, true), inherit.then(new UnitSkipping(CROSS, CallSelection.ALL)));
        refused("has two plans", run(4, true), inherit.then(inherit));
        refused(
                "is a part of 'input_blocks.0', which is not computed",
                run(4, true),
                inherit.then(new FeatureInheritance(UnitSelection.encoder(), CallSelection.every(2))));
    }

    @Test
    void plansOfOthersAreCheckedToo() {
        StepPolicy early = (run, plans) -> plans.stream()
                .map(plan -> plan.with(List.of(place("middle_block")), Action.REUSE, UNITS))
                .toList();
        refused("call 0: unit 'middle_block' is reused before a call stored it", run(3, true), early);
        // Stored of the prompt alone, reused of both.
        StepPolicy oneBranch = (run, plans) -> {
            List<StepPlan> changed = new ArrayList<>(plans);
            List<Integer> middle = List.of(place("middle_block"));
            changed.set(0, plans.get(0).with(Branches.CONDITIONAL).with(middle, Action.STORE, UNITS));
            changed.set(1, plans.get(1).with(middle, Action.REUSE, UNITS));
            return changed;
        };
        refused("call 1: unit 'middle_block' is reused before", run(2, true), oneBranch);
        refused("plans 1 calls of a run of 2", run(2, true), (run, plans) -> plans.subList(0, 1));
        refused("has 3 actions", run(1, true), (run, plans) -> List.of(StepPlan.full(Branches.BOTH, 3)));
    }

    @Test
    void syntaxGivesTheSamePlans() {
        Run run = run(12, true);
        record Case(String text, StepPolicy policy) {}
        for (Case each : List.of(
                new Case("block/3", new FeatureInheritance(UnitSelection.encoder(), CallSelection.every(3))),
                new Case("block:2/3", new FeatureInheritance(UnitSelection.encoder(2), CallSelection.every(3))),
                new Case("layer/2", new FeatureInheritance(UnitSelection.decoderLayer(0), CallSelection.every(2))),
                new Case("layer:1/2", new FeatureInheritance(UnitSelection.decoderLayer(1), CallSelection.every(2))),
                new Case("unit:cross@0-3,7", new FeatureInheritance(CROSS, CallSelection.listed("0-3,7"))),
                new Case(
                        "layer:0^4:4:1.4",
                        new FeatureInheritance(UnitSelection.decoderLayer(0), CallSelection.powerLaw(4, 4, 1.4))))) {
            assertEquals(run.plan(each.policy()), run.plan(PlanSyntax.inheritance(each.text())), each.text());
        }
        for (String broken : List.of(
                "",
                "block",
                "block/",
                "block/0",
                "block/x",
                "block:x/2",
                "unit/2",
                "layer:x/2",
                "layer:0@",
                "layer^1:2",
                "layer^1:2:x",
                "all/2",
                "block/3\nx")) {
            var failure = assertThrows(IllegalArgumentException.class, () -> PlanSyntax.inheritance(broken), broken);
            assertTrue(!failure.getMessage().isEmpty());
        }
    }
}
