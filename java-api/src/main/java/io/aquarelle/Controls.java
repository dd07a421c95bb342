package io.aquarelle;

import io.aquarelle.model.CallControl;
import io.aquarelle.model.Residuals;
import io.aquarelle.model.UNet;
import io.aquarelle.model.UNet.Condition;
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
 * The control nets of a run: what they add to each branch's calls of the UNet. Here the pictures of a batch are branches
 * too, each with a number of its own.
 *
 * <p>A residual belongs to the block that it is added behind. Where a plan reuses the block, the residual of the call
 * that computed it is reused too, and where nothing reads it, it is not computed: a plan that saves the UNet's encoder
 * saves that of the control nets.
 */
final class Controls implements AutoCloseable {
    private final UNet unet;
    private final List<Control> controls;
    private final List<float[]> pictures = new ArrayList<>();
    private final int height; // of the latent
    private final int width;
    private final int[] blocks; // the unit before each residual
    private final Map<StepPlan, boolean[]> read = new HashMap<>();
    private final List<Branch> branches = new ArrayList<>();

    /** What was added to the last calls of a branch. */
    private static final class Branch {
        final Residuals residuals;
        final boolean[] held;
        List<Control> of = List.of();

        Branch(UNet unet, int height, int width) {
            residuals = Residuals.of(unet, height, width);
            held = new boolean[unet.residuals()];
        }
    }

    /**
     * For one request.
     *
     * @param factor pixels per latent cell and side
     * @throws IllegalArgumentException if a net is not for this UNet
     */
    Controls(UNet unet, List<Control> controls, int height, int width, int factor) {
        this.unet = unet;
        this.controls = controls;
        this.height = height;
        this.width = width;
        for (Control control : controls) {
            if (control.net().unet() != unet) {
                throw new IllegalArgumentException(
                        "a control net was opened by another pipeline; open it with this one");
            }
            if (control.net().factor() != factor || control.net().pictureChannels() != 3) {
                throw new IllegalArgumentException("a control net takes pictures of "
                        + control.net().pictureChannels() + " channels and "
                        + control.net().factor()
                        + " pixels a cell; the model has 3 and " + factor);
            }
            pictures.add(control.planes(width * factor, height * factor));
        }
        List<Unit> units = unet.units();
        blocks = IntStream.range(0, units.size())
                .filter(i -> units.get(i).kind() == Unit.Kind.BLOCK)
                .filter(i -> !units.get(i).name().startsWith("output_blocks."))
                .toArray();
    }

    /** Forgets what it holds: another picture begins. */
    void restart() {
        branches.forEach(branch -> Arrays.fill(branch.held, false));
    }

    /**
     * What is added to some branches in one call.
     *
     * @param latents [branches][channels][height][width], as the UNet gets them
     * @param steps of the run, of which the call belongs to {@code step}
     * @param numbers of the branches
     * @return one a branch, or none if no net takes part in this step
     */
    List<Residuals> residuals(
            float[] latents,
            float[] timesteps,
            Condition condition,
            StepPlan plan,
            int step,
            int steps,
            List<Integer> numbers,
            CallControl control) {
        List<Control> active =
                controls.stream().filter(it -> it.covers(step, steps)).toList();
        if (active.isEmpty()) {
            return List.of();
        }
        boolean[] wanted = wanted(plan, condition.tokens(), numbers, active);
        List<Residuals> to =
                numbers.stream().map(number -> branch(number).residuals).toList();
        for (int i = 0; i < active.size(); i++) {
            Control one = active.get(i);
            one.net()
                    .evaluate(
                            narrowed(latents, timesteps.length, one.net().inChannels()),
                            timesteps,
                            condition,
                            pictures.get(controls.indexOf(one)),
                            height,
                            width,
                            to,
                            wanted,
                            one.strength(),
                            i > 0,
                            control);
        }
        for (int number : numbers) {
            for (int r = 0; r < wanted.length; r++) {
                branch(number).held[r] |= wanted[r];
            }
        }
        return to;
    }

    /** Those that the call reads, but for what a branch holds of reused blocks. */
    private boolean[] wanted(StepPlan plan, int tokens, List<Integer> numbers, List<Control> active) {
        boolean[] wanted = read.computeIfAbsent(plan, it -> unet.residualsRead(height, width, tokens, it.actions()))
                .clone();
        for (int number : numbers) {
            if (!branch(number).of.equals(active)) {
                branch(number).of = active;
                Arrays.fill(branch(number).held, false);
            }
        }
        for (int r = 0; r < wanted.length; r++) {
            int residual = r;
            boolean reused = plan.actions().get(blocks[r]) == Action.REUSE
                    && numbers.stream().allMatch(number -> branch(number).held[residual]);
            wanted[r] &= !reused;
        }
        return wanted;
    }

    private Branch branch(int number) {
        while (branches.size() <= number) {
            branches.add(new Branch(unet, height, width));
        }
        return branches.get(number);
    }

    /** The first channels of each latent: what else a UNet takes is not for control nets. */
    private float[] narrowed(float[] latents, int images, int channels) {
        int length = channels * height * width;
        float[] narrow = new float[images * length];
        for (int i = 0; i < images; i++) {
            System.arraycopy(latents, i * (latents.length / images), narrow, i * length, length);
        }
        return narrow;
    }

    @Override
    public void close() {
        branches.forEach(branch -> branch.residuals.close());
    }
}
