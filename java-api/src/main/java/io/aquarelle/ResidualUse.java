package io.aquarelle;

import io.aquarelle.model.UNet;
import io.aquarelle.plan.Action;
import io.aquarelle.plan.StepPlan;
import io.aquarelle.plan.Unit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * Which residuals of control nets the calls of a run need.
 *
 * <p>A residual belongs to the block that it is added behind. Where a plan reuses the block, the residual of the call
 * that computed it is reused too, and where nothing reads it, it is not computed: a plan that saves the UNet's encoder
 * saves that of the control nets.
 */
final class ResidualUse {
    /** What was computed for the last calls of a branch, and by which nets. */
    private static final class Branch {
        final boolean[] held;
        List<Control> of = List.of();

        Branch(int residuals) {
            held = new boolean[residuals];
        }
    }

    private final UNet unet;
    private final int height; // of the latent
    private final int width;
    private final int[] blocks; // the unit before each residual
    private final Map<StepPlan, boolean[]> read = new HashMap<>();
    private final List<Branch> branches = new ArrayList<>();

    ResidualUse(UNet unet, int height, int width) {
        this.unet = unet;
        this.height = height;
        this.width = width;
        List<Unit> units = unet.units();
        blocks = IntStream.range(0, units.size())
                .filter(i -> units.get(i).kind() == Unit.Kind.BLOCK)
                .filter(i -> !units.get(i).name().startsWith("output_blocks."))
                .toArray();
    }

    /** Forgets what is held: another picture begins. */
    void restart() {
        branches.clear();
    }

    /**
     * Those that a call of some branches reads, but for what they hold of reused blocks.
     *
     * @param active the nets that take part in the step
     */
    boolean[] wanted(StepPlan plan, int tokens, List<Integer> numbers, List<Control> active) {
        boolean[] wanted = read.computeIfAbsent(plan, it -> unet.residualsRead(height, width, tokens, it.actions()))
                .clone();
        for (int r = 0; r < wanted.length; r++) {
            int residual = r;
            boolean reused = plan.actions().get(blocks[r]) == Action.REUSE
                    && numbers.stream()
                            .map(this::branch)
                            .allMatch(branch -> branch.of.equals(active) && branch.held[residual]);
            wanted[r] &= !reused;
        }
        return wanted;
    }

    /** Takes note that they were computed. */
    void hold(boolean[] wanted, List<Integer> numbers, List<Control> active) {
        for (int number : numbers) {
            Branch branch = branch(number);
            if (!branch.of.equals(active)) {
                branch.of = active;
                Arrays.fill(branch.held, false);
            }
            for (int r = 0; r < wanted.length; r++) {
                branch.held[r] |= wanted[r];
            }
        }
    }

    private Branch branch(int number) {
        while (branches.size() <= number) {
            branches.add(new Branch(unet.residuals()));
        }
        return branches.get(number);
    }
}
