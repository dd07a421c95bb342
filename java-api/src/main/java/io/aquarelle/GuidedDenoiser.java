package io.aquarelle;

import io.aquarelle.model.AttentionAdapter.Term;
import io.aquarelle.model.CallControl;
import io.aquarelle.model.FeatureCache;
import io.aquarelle.model.Residuals;
import io.aquarelle.model.UNet;
import io.aquarelle.model.UNet.Condition;
import io.aquarelle.model.UNet.Evaluation;
import io.aquarelle.plan.Action;
import io.aquarelle.plan.Adaptation;
import io.aquarelle.plan.Branches;
import io.aquarelle.plan.StepPlan;
import io.aquarelle.plan.Work;
import io.aquarelle.sampling.Denoiser;
import io.aquarelle.sampling.Latents;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * The UNet as samplers want it, with guidance between branches. It takes the latents of a batch one behind another. Each
 * call follows its plan; what calls store for later ones is gone when this is closed.
 */
final class GuidedDenoiser implements Denoiser, AutoCloseable {
    private final Model model;
    private final List<UNet> unets;
    private final Course course;
    private final int pictures;
    private final List<StepPlan> plans;
    private final Guidance guidance;
    private final Controls controls;
    private final List<AddedAttention> added;
    private final CallControl control;
    private final Adaptation adaptation;
    private final boolean stores;
    private UNet unet; // of the last call
    private List<FeatureCache> caches = List.of(); // of this UNet, each branch and picture; empty if no plan stores
    private int next;
    private int calls;
    private Work work = Work.NONE;

    /**
     * Guides a UNet down a course.
     *
     * @param pictures of the batch
     * @param controls of the same course
     * @param added with a context for each branch
     */
    GuidedDenoiser(
            Model model,
            Course course,
            int pictures,
            Guidance guidance,
            Controls controls,
            List<AddedAttention> added,
            CallControl control) {
        this.model = model;
        unets = model.unets();
        unet = unets.getFirst();
        this.course = course;
        this.pictures = pictures;
        plans = course.plans();
        adaptation = course.adaptation();
        this.guidance = guidance;
        this.controls = controls;
        this.added = added;
        this.control = control;
        controls.restart();
        stores = plans.stream().anyMatch(plan -> plan.actions().stream().anyMatch(action -> action == Action.STORE));
    }

    /** Evaluations of the UNet so far for each picture, a guided step counting as two. */
    int calls() {
        return calls;
    }

    /** What these evaluations did for each picture. */
    Work work() {
        return work;
    }

    @Override
    public void close() {
        dropCaches();
        if (unets.size() > 1) {
            unet.unload();
        }
    }

    private void dropCaches() {
        caches.forEach(FeatureCache::close);
        caches = List.of();
    }

    @Override
    public float[] denoise(float[] x, float sigma) {
        float[] input = input(x, sigma, guidance.branches().subList(0, 1));
        StepPlan plan = plan(input);
        boolean alone = plan.branches() == Branches.CONDITIONAL;
        List<float[]> outputs =
                outputs(x, sigma, plan, alone ? 1 : guidance.branches().size());
        float[] output = alone ? outputs.getFirst() : guidance.guided(outputs);
        adaptation.observe(next++, plan, input, output);
        return denoised(x, output, sigma);
    }

    @Override
    public Estimates estimates(float[] x, float sigma) {
        float[] input = input(x, sigma, guidance.branches().subList(0, 1));
        StepPlan plan = plan(input);
        List<float[]> outputs = outputs(x, sigma, plan, guidance.branches().size());
        float[] output = guidance.guided(outputs);
        adaptation.observe(next++, plan, input, output);
        return new Estimates(denoised(x, output, sigma), denoised(x, outputs.getLast(), sigma));
    }

    private float[] denoised(float[] x, float[] output, float sigma) {
        return model.spec().prediction().denoised(x, output, sigma);
    }

    /** The plan of the next call. */
    private StepPlan plan(float[] input) {
        if (next == plans.size()) {
            throw new IllegalStateException("the sampler calls more often than planned");
        }
        StepPlan plan = adaptation.choose(next, plans.get(next), input);
        UNet planned = unets.get(plan.unet());
        if (planned != unet) {
            dropCaches(); // one UNet is needed at a time, and what it stored is of no use to another
            unet.unload();
            unet = planned;
        }
        if (stores && caches.isEmpty()) {
            caches = Stream.generate(() -> FeatureCache.of(unet))
                    .limit((long) guidance.branches().size() * pictures)
                    .toList();
        }
        return plan;
    }

    /** What the UNet makes of the latents in each of the first branches. */
    private List<float[]> outputs(float[] x, float sigma, StepPlan plan, int count) {
        List<Guidance.Branch> all = guidance.branches().subList(0, count);
        List<float[]> outputs = new ArrayList<>();
        for (int first = 0; first < count; ) {
            // Texts of one length in one batch: the weights are read once.
            int tokens = all.get(first).condition().tokens();
            int end = first + 1;
            while (end < count && all.get(end).condition().tokens() == tokens) {
                end++;
            }
            outputs.addAll(evaluate(x, sigma, plan, first, all.subList(first, end)));
            first = end;
        }
        return outputs;
    }

    /** What the UNet takes of each branch and picture: the latent to its scale, and what goes beside it. */
    private float[] input(float[] x, float sigma, List<Guidance.Branch> branches) {
        int latent = x.length / pictures;
        int length = latent + branches.getFirst().beside().length;
        float[] input = new float[branches.size() * pictures * length];
        float scale = model.spec().prediction().inputScale(sigma);
        int to = 0;
        for (Guidance.Branch branch : branches) {
            for (int picture = 0; picture < pictures; picture++) {
                for (int k = 0; k < latent; k++) {
                    input[to + k] = x[picture * latent + k] * scale;
                }
                System.arraycopy(branch.beside(), 0, input, to + latent, length - latent);
                to += length;
            }
        }
        return input;
    }

    /** One call for branches that follow each other. */
    private List<float[]> evaluate(float[] x, float sigma, StepPlan plan, int first, List<Guidance.Branch> branches) {
        int images = branches.size() * pictures;
        float[] input = input(x, sigma, branches);
        Condition condition = Condition.joined(branches.stream()
                .flatMap(branch -> Collections.nCopies(pictures, branch.condition()).stream())
                .toList());
        float[] timesteps = new float[images];
        Arrays.fill(timesteps, model.noiseSchedule().timestep(sigma));
        int from = first * pictures;
        List<Integer> numbers = IntStream.range(from, from + images).boxed().toList();
        int step = course.run().calls().get(next).step();
        List<Residuals> residuals =
                controls.residuals(input, timesteps, condition, plan, step, course.steps(), numbers, control);
        List<FeatureCache> stored = caches.isEmpty() ? caches : caches.subList(from, from + images);
        List<Term> terms = added.stream()
                .filter(it -> it.during().covers(step, course.steps()))
                .map(it -> it.term(first, branches.size(), pictures))
                .toList();
        Evaluation evaluation = unet.evaluate(
                input,
                timesteps,
                condition,
                course.height(),
                course.width(),
                plan.actions(),
                stored,
                residuals,
                terms,
                control);
        calls += branches.size();
        work = work.plus(evaluation.work().ofEach(pictures));
        return Latents.split(evaluation.output(), branches.size());
    }
}
