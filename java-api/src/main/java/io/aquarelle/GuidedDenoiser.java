package io.aquarelle;

import io.aquarelle.model.CallControl;
import io.aquarelle.model.FeatureCache;
import io.aquarelle.model.UNet;
import io.aquarelle.model.UNet.Condition;
import io.aquarelle.model.UNet.Evaluation;
import io.aquarelle.plan.Action;
import io.aquarelle.plan.Branches;
import io.aquarelle.plan.StepPlan;
import io.aquarelle.plan.Work;
import io.aquarelle.sampling.Denoiser;
import io.aquarelle.sampling.NoiseSchedule;
import io.aquarelle.sampling.Prediction;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;

/**
 * The UNet as samplers want it, with classifier-free guidance (Ho and Salimans, arXiv 2207.12598): {@code F = F_u + s
 * (F_c - F_u)} of the outputs with and without the prompt. Each call follows its plan; what calls store for later ones
 * is gone when this is closed.
 */
final class GuidedDenoiser implements Denoiser, AutoCloseable {
    private final UNet unet;
    private final Prediction prediction;
    private final NoiseSchedule schedule;
    private final Condition conditional;
    private final Condition unconditional;
    private final float guidance;
    private final float[] beside;
    private final int height;
    private final int width;
    private final CallControl control;
    private final Iterator<StepPlan> plans;
    private final List<FeatureCache> caches; // with the prompt, then without; empty if no plan stores
    private int calls;
    private Work work = Work.NONE;

    /**
     * Guides a UNet.
     *
     * @param beside what the UNet takes behind the latent's channels, [channels][height][width]; mostly nothing
     * @param height of the latent, as is {@code width}
     * @param plans of the calls to come, in their order
     */
    GuidedDenoiser(
            UNet unet,
            Prediction prediction,
            NoiseSchedule schedule,
            Condition conditional,
            Condition unconditional,
            float guidance,
            float[] beside,
            int height,
            int width,
            List<StepPlan> plans,
            CallControl control) {
        this.unet = unet;
        this.prediction = prediction;
        this.schedule = schedule;
        this.conditional = conditional;
        this.unconditional = unconditional;
        this.guidance = guidance;
        this.beside = beside;
        this.height = height;
        this.width = width;
        this.plans = plans.iterator();
        this.control = control;
        boolean stores =
                plans.stream().anyMatch(plan -> plan.actions().stream().anyMatch(action -> action == Action.STORE));
        caches = stores ? List.of(FeatureCache.of(unet), FeatureCache.of(unet)) : List.of();
    }

    /** Evaluations of the UNet so far, a guided step counting as two. */
    int calls() {
        return calls;
    }

    /** What these evaluations did. */
    Work work() {
        return work;
    }

    @Override
    public void close() {
        caches.forEach(FeatureCache::close);
    }

    @Override
    public float[] denoise(float[] x, float sigma) {
        StepPlan plan = next();
        float[] input = scaled(x, sigma);
        float timestep = schedule.timestep(sigma);
        float[] output = plan.branches() == Branches.CONDITIONAL
                ? evaluate(input, timestep, conditional, plan, branch(0))
                : both(input, timestep, plan).guided(guidance);
        return prediction.denoised(x, output, sigma);
    }

    @Override
    public Estimates estimates(float[] x, float sigma) {
        Outputs outputs = both(scaled(x, sigma), schedule.timestep(sigma), next());
        return new Estimates(
                prediction.denoised(x, outputs.guided(guidance), sigma),
                prediction.denoised(x, outputs.without, sigma));
    }

    private StepPlan next() {
        if (!plans.hasNext()) {
            throw new IllegalStateException("the sampler calls more often than planned");
        }
        return plans.next();
    }

    /** What the UNet takes: the latent to its scale, and what goes beside it. */
    private float[] scaled(float[] x, float sigma) {
        float[] input = Arrays.copyOf(x, x.length + beside.length);
        float scale = prediction.inputScale(sigma);
        for (int i = 0; i < x.length; i++) {
            input[i] *= scale;
        }
        System.arraycopy(beside, 0, input, x.length, beside.length);
        return input;
    }

    /** What the UNet makes of a latent with and without the prompt. */
    private record Outputs(float[] with, float[] without) {
        float[] guided(float guidance) {
            float[] guided = new float[with.length];
            for (int i = 0; i < with.length; i++) {
                guided[i] = without[i] + guidance * (with[i] - without[i]);
            }
            return guided;
        }
    }

    private Outputs both(float[] input, float timestep, StepPlan plan) {
        if (conditional.tokens() == unconditional.tokens()) {
            // Both in one batch: the weights are read once.
            float[] both = evaluate(twice(input), timestep, conditional.and(unconditional), plan, caches);
            int half = both.length / 2;
            return new Outputs(Arrays.copyOfRange(both, 0, half), Arrays.copyOfRange(both, half, both.length));
        }
        return new Outputs(
                evaluate(input, timestep, conditional, plan, branch(0)),
                evaluate(input, timestep, unconditional, plan, branch(1)));
    }

    private List<FeatureCache> branch(int index) {
        return caches.isEmpty() ? caches : List.of(caches.get(index));
    }

    /** {@code input} holds as many latents as the condition has texts. */
    private float[] evaluate(
            float[] input, float timestep, Condition condition, StepPlan plan, List<FeatureCache> caches) {
        float[] timesteps = new float[input.length / (unet.inChannels() * height * width)];
        Arrays.fill(timesteps, timestep);
        calls += timesteps.length;
        Evaluation evaluation =
                unet.evaluate(input, timesteps, condition, height, width, plan.actions(), caches, control);
        work = work.plus(evaluation.work());
        return evaluation.output();
    }

    private static float[] twice(float[] values) {
        float[] both = Arrays.copyOf(values, 2 * values.length);
        System.arraycopy(values, 0, both, values.length, values.length);
        return both;
    }
}
