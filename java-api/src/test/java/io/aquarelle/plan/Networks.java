package io.aquarelle.plan;

import io.aquarelle.plan.Unit.Kind;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/** Runs of a made-up network: encoder of three blocks, middle block, decoder of three, each a ResBlock and attention. */
final class Networks {
    private Networks() {}

    static final List<Unit> UNITS = units();

    private static List<Unit> units() {
        List<Unit> units = new ArrayList<>();
        for (String name : List.of(
                "input_blocks.0",
                "input_blocks.1",
                "input_blocks.2",
                "middle_block",
                "output_blocks.0",
                "output_blocks.1",
                "output_blocks.2")) {
            int block = units.size();
            units.add(new Unit(name, Kind.BLOCK, -1, false));
            units.add(new Unit(name + ".0", Kind.RESNET, block, true));
            units.add(new Unit(name + ".1", Kind.TRANSFORMER, block, true));
            units.add(new Unit(name + ".1.transformer_blocks.0", Kind.TRANSFORMER_BLOCK, block + 2, true));
            units.add(new Unit(name + ".1.transformer_blocks.0.attn2", Kind.CROSS_ATTENTION, block + 3, true));
        }
        units.add(new Unit("out", Kind.CONVOLUTION, -1, false));
        return List.copyOf(units);
    }

    static int place(String name) {
        return UNITS.stream().map(Unit::name).toList().indexOf(name);
    }

    static Run run(int calls, boolean guided) {
        return new Run(
                IntStream.range(0, calls)
                        .mapToObj(i -> new Call(i, i, 999 - i, false))
                        .toList(),
                List.of(UNITS),
                guided);
    }

    /** The actions of one unit, a letter a call: c, s(tore), r(euse), k (skip). */
    static String letters(List<StepPlan> plans, String unit) {
        StringBuilder letters = new StringBuilder();
        plans.forEach(plan ->
                letters.append("csrk".charAt(plan.actions().get(place(unit)).ordinal())));
        return letters.toString();
    }

    /** A letter a call: b(oth) or c(onditional). */
    static String branches(List<StepPlan> plans) {
        StringBuilder letters = new StringBuilder();
        plans.forEach(plan -> letters.append(plan.branches() == Branches.BOTH ? 'b' : 'c'));
        return letters.toString();
    }
}
