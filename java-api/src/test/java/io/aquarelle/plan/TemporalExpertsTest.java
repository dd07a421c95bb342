package io.aquarelle.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.plan.Unit.Kind;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class TemporalExpertsTest {
    private static final List<Unit> SD2 = sd2();
    private static final List<List<Integer>> PIECES = List.of(
            List.of(1, 1, 2),
            List.of(1, 1, 1),
            List.of(1, 1, 1),
            List.of(2),
            List.of(3),
            List.of(1, 1, 1, 3),
            List.of(1, 1, 1, 2),
            List.of(1, 1, 1, 2),
            List.of(1, 2));

    /** The 34 layers of SD 2.1 by hand: i, m and o for blocks, a transformer block (t) or a ResBlock (r) of each. */
    private static final List<String> LAYERS = Stream.of((""
                            + "i1t i2t i1r i2r  i4t i5t i5r  i7t i8t i8r  i10r i11r  o0r o1r o2r  o3t o4t o5t o3r o4r o5r"
                            + "  o6t o7t o8t o7r o8r  o9t o10t o11t o10r o11r  mt m0r m2r")
                    .split(" +"))
            .map(TemporalExpertsTest::name)
            .toList();

    private static String name(String code) {
        String number = code.substring(1, code.length() - 1);
        boolean transformer = code.endsWith("t");
        if (code.startsWith("m")) {
            return "middle_block." + (transformer ? "1.transformer_blocks.0" : number);
        }
        return (code.startsWith("i") ? "input_blocks." : "output_blocks.")
                + number
                + (transformer ? ".1.transformer_blocks.0" : ".0");
    }

    private static List<Unit> sd2() {
        List<Unit> units = new ArrayList<>();
        add(units, "input_blocks.0", "c");
        for (int i = 1; i < 12; i++) {
            // The first ResBlocks of the second and third level widen.
            add(units, "input_blocks." + i, i % 3 == 0 ? "c" : i == 4 || i == 7 ? "wt" : i < 9 ? "rt" : "r");
        }
        add(units, "middle_block", "rtr");
        for (int i = 0; i < 12; i++) {
            String parts = (i == 6 || i == 9 ? "w" : "r") + (i < 3 ? "" : "t") + (i % 3 == 2 && i < 11 ? "c" : "");
            add(units, "output_blocks." + i, parts);
        }
        add(units, "out", "");
        return units;
    }

    /** A block of convolutions, ResBlocks (w those that change the width) and transformers. */
    private static void add(List<Unit> units, String name, String parts) {
        int block = units.size();
        units.add(new Unit(name, parts.isEmpty() ? Kind.CONVOLUTION : Kind.BLOCK, -1, false));
        for (int i = 0; i < parts.length(); i++) {
            String part = name + "." + i;
            switch (parts.charAt(i)) {
                case 'c' -> units.add(new Unit(part, Kind.CONVOLUTION, block, false));
                case 'r' -> units.add(new Unit(part, Kind.RESNET, block, true));
                case 'w' -> units.add(new Unit(part, Kind.RESNET, block, false));
                default -> {
                    units.add(new Unit(part, Kind.TRANSFORMER, block, true));
                    int transformer = units.size() - 1;
                    units.add(new Unit(part + ".transformer_blocks.0", Kind.TRANSFORMER_BLOCK, transformer, true));
                    units.add(new Unit(
                            part + ".transformer_blocks.0.attn2", Kind.CROSS_ATTENTION, transformer + 1, true));
                }
            }
        }
    }

    private static Run run(float... timesteps) {
        return new Run(
                IntStream.range(0, timesteps.length)
                        .mapToObj(i -> new Call(i, i, timesteps[i], false))
                        .toList(),
                List.of(SD2),
                true);
    }

    private static BitSet allBut(int... layers) {
        BitSet mask = new BitSet();
        mask.set(0, 34);
        Arrays.stream(layers).forEach(mask::clear);
        return mask;
    }

    private static List<String> skipped(StepPlan plan, Action action) {
        return IntStream.range(0, SD2.size())
                .filter(i -> plan.actions().get(i) == action)
                .mapToObj(i -> SD2.get(i).name())
                .toList();
    }

    private static TemporalExperts experts(boolean unpopped, BitSet... masks) {
        List<Integer> route = IntStream.range(0, 1000)
                .map(t -> t * masks.length / 1000)
                .boxed()
                .toList();
        return new TemporalExperts(ExpertLayers.ofPieces(PIECES), List.of(masks), route, unpopped);
    }

    @Test
    void layersOfStableDiffusion2AreInTheOrderOfAlter() {
        assertEquals(34, LAYERS.size());
        assertEquals(
                LAYERS,
                ExpertLayers.of().among(SD2).stream()
                        .map(place -> SD2.get(place).name())
                        .toList());
        assertEquals(ExpertLayers.of().among(SD2), ExpertLayers.ofPieces(PIECES).among(SD2));
        assertEquals(ExpertLayers.of().among(SD2), ExpertLayers.named(LAYERS).among(SD2));
    }

    @Test
    void masksThatLeaveNothingOutPlanNothing() {
        Run run = run(999, 500, 0);
        assertEquals(run.plan(StepPolicy.FULL), run.plan(experts(false, allBut())));
    }

    @Test
    void timestepsAreRoutedToTheirExperts() {
        TemporalExperts experts = experts(false, allBut(0), allBut(6, 33));
        var plans = run(999, 500, 499, 0, 499.6f).plan(experts);
        List<String> second = List.of(name("i5r"), name("m2r"));
        assertEquals(second, skipped(plans.get(0), Action.SKIP));
        assertEquals(second, skipped(plans.get(1), Action.SKIP));
        assertEquals(List.of(name("i1t")), skipped(plans.get(2), Action.SKIP));
        assertEquals(List.of(name("i1t")), skipped(plans.get(3), Action.SKIP));
        assertEquals(second, skipped(plans.get(4), Action.SKIP), "500 is the nearest");
        assertEquals(1, experts.expert(1200));
        assertEquals(0, experts.expert(-3));
    }

    @Test
    void onlyResBlocksWithoutAttentionAtTheirLevelLeaveTheirConnection() {
        // o1r is alone at its level; o5r has attention beside it; i11r is of the encoder.
        TemporalExperts experts = experts(true, allBut(LAYERS.indexOf(name("o1r")), 11, 20));
        StepPlan plan = run(0).plan(experts).getFirst();
        assertEquals(List.of(name("o1r")), skipped(plan, Action.SKIP_UNPOPPED));
        assertEquals(List.of(name("i11r"), name("o5r")), skipped(plan, Action.SKIP));
        assertEquals(
                List.of(name("i11r"), name("o1r"), name("o5r")),
                skipped(run(0).plan(experts.withUnpopped(false)).getFirst(), Action.SKIP));
    }

    @Test
    void masksOfAnotherModelAreRefused() {
        var other = List.of(List.of(1, 1, 2), List.of(1, 2));
        TemporalExperts experts =
                new TemporalExperts(ExpertLayers.ofPieces(other), List.of(allBut()), List.of(0), false);
        var failure = assertThrows(IllegalArgumentException.class, () -> run(5).plan(experts));
        assertTrue(failure.getMessage().contains("they belong to another model"), failure.getMessage());
        assertTrue(failure.getMessage().lines().count() == 1);
        TemporalExperts named = new TemporalExperts(
                ExpertLayers.named(List.of("input_blocks.40.0")), List.of(allBut()), List.of(0), true);
        failure = assertThrows(IllegalArgumentException.class, () -> run(5).plan(named));
        assertTrue(failure.getMessage().contains("'input_blocks.40.0'"), failure.getMessage());
        failure = assertThrows(
                IllegalArgumentException.class,
                () -> new TemporalExperts(ExpertLayers.of(), List.of(allBut()), List.of(0, 1), false));
        assertTrue(failure.getMessage().contains("timestep 1 is routed to expert 1"), failure.getMessage());
    }

    @Test
    void randomMasksLeaveOutTheirShare() {
        double[] costs = new double[SD2.size()];
        for (int i = 0; i < costs.length; i++) {
            costs[i] = 1 + i % 5;
        }
        double whole = 120;
        for (double share : new double[] {0, 0.2, 0.35, 0.5}) {
            TemporalExperts experts = ExpertLayers.random(SD2, costs, whole, 10, share, 3);
            assertEquals(10, experts.masks().size());
            for (BitSet mask : experts.masks()) {
                double left = 0;
                for (int layer = 0; layer < 34; layer++) {
                    left += mask.get(layer)
                            ? 0
                            : costs[SD2.stream().map(Unit::name).toList().indexOf(LAYERS.get(layer))];
                }
                assertEquals(share * whole, left, 2.5, "half the largest layer");
            }
        }
        assertEquals(9, ExpertLayers.random(SD2, costs, whole, 10, 0.35, 3).expert(999));
        assertThrows(IllegalArgumentException.class, () -> ExpertLayers.random(SD2, costs, whole, 10, 0.9, 3));
    }
}
