package io.aquarelle;

import io.aquarelle.model.CallControl;
import io.aquarelle.model.Residuals;
import io.aquarelle.model.UNet;
import io.aquarelle.model.UNet.Condition;
import io.aquarelle.plan.StepPlan;
import java.util.ArrayList;
import java.util.List;

/**
 * The control nets of a run: what they add to each branch's calls of the UNet. Here the pictures of a batch are branches
 * too, each with a number of its own.
 */
final class Controls implements AutoCloseable {
    private final UNet unet;
    private final List<Control> controls;
    private final List<float[]> pictures = new ArrayList<>();
    private final int height; // of the latent
    private final int width;
    private final ResidualUse use;
    private final List<Residuals> branches = new ArrayList<>(); // what was added to the last calls of each

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
        use = new ResidualUse(unet, height, width);
    }

    /** Forgets what it holds: another picture begins. */
    void restart() {
        use.restart();
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
        boolean[] wanted = use.wanted(plan, condition.tokens(), numbers, active);
        List<Residuals> to = numbers.stream().map(this::residuals).toList();
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
        use.hold(wanted, numbers, active);
        return to;
    }

    private Residuals residuals(int branch) {
        while (branches.size() <= branch) {
            branches.add(Residuals.of(unet, height, width));
        }
        return branches.get(branch);
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
        branches.forEach(Residuals::close);
    }
}
