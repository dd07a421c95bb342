package io.aquarelle;

import io.aquarelle.model.UNet;
import io.aquarelle.plan.Action;
import io.aquarelle.plan.Adaptation;
import io.aquarelle.plan.Branches;
import io.aquarelle.plan.ExpertLayers;
import io.aquarelle.plan.Run;
import io.aquarelle.plan.StepPlan;
import io.aquarelle.plan.StepPolicy;
import io.aquarelle.plan.TemporalExperts;
import io.aquarelle.plan.Unit;
import io.aquarelle.plan.Work;
import io.aquarelle.sampling.Sampler;
import io.aquarelle.sampling.SamplerOptions;
import io.aquarelle.sampling.Samplers;
import io.aquarelle.sampling.SigmaSchedules;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;

/**
 * A pass' way from noise to a latent, as far as it is known before anything is computed.
 *
 * @param request in the size of the pass
 * @param sigmas noise levels, the last of them 0
 * @param mixture what is guided
 * @param run the calls of the UNet
 */
record Course(Model model, ImageRequest request, Sampler sampler, float[] sigmas, Mixture mixture, Run run) {
    /** A second pass runs as many of these parts of its steps as A1111's does. */
    private static final float MOST_STRENGTH = 0.999f;

    /** The passes of a request: one, or two that differ in size. */
    static List<Course> of(ImageRequest request, Model model) {
        float[] sigmas = StartPicture.sigmas(
                allSigmas(request, request.steps(), model), request.image() == null ? 1 : request.strength());
        Course first = of(request, sigmas, model);
        Hires hires = request.hires();
        if (hires == null) {
            return List.of(first);
        }
        ImageRequest larger =
                request.toBuilder().size(hires.width(), hires.height()).build();
        return List.of(first, of(larger, secondSigmas(request, hires, model), model));
    }

    private static Course of(ImageRequest request, float[] sigmas, Model model) {
        Sampler sampler = Samplers.byName(request.sampler(), new SamplerOptions(request.eta(), model.noiseSchedule()));
        Mixture mixture = Mixture.of(request, model);
        var calls = CallRecorder.calls(sampler, sigmas, model.noiseSchedule());
        List<List<Unit>> units = model.unets().stream().map(UNet::units).toList();
        Run run = new Run(calls, units, mixture != Mixture.PROMPT);
        return new Course(model, request, sampler, sigmas, mixture, run);
    }

    private static float[] allSigmas(ImageRequest request, int steps, Model model) {
        if (!request.sigmas().isEmpty()) {
            return SigmaSchedules.custom(request.sigmas());
        }
        // It has levels for each of the two.
        boolean xl = model.spec().family().isXl() && request.schedule().equals("ays");
        return SigmaSchedules.byName(xl ? "ays_sdxl" : request.schedule()).sigmas(model.noiseSchedule(), steps);
    }

    /** The last levels of a schedule that is long enough for all steps to lie in it, as A1111's second pass. */
    private static float[] secondSigmas(ImageRequest request, Hires hires, Model model) {
        if (hires.strength() == 0) {
            return new float[] {0};
        }
        int steps = hires.steps() > 0 ? hires.steps() : request.steps();
        int all = Math.max((int) (steps / Math.min(hires.strength(), MOST_STRENGTH)), steps);
        float[] sigmas = allSigmas(request.toBuilder().sigmas(List.of()).build(), Math.min(all, 1000), model);
        return Arrays.copyOfRange(sigmas, Math.max(sigmas.length - 1 - steps, 0), sigmas.length);
    }

    int steps() {
        return sigmas.length - 1;
    }

    /** The size of the latent. */
    int height() {
        return request.height() / model.networks().vae().factor();
    }

    int width() {
        return request.width() / model.networks().vae().factor();
    }

    /** What decides while a picture is drawn. */
    Adaptation adaptation() {
        return request.plan().adaptation(run);
    }

    /** What each call of the UNet computes. */
    List<StepPlan> plans() {
        return run.plan(request.plan());
    }

    /** The same with the work that it comes to. */
    List<PlannedCall> explain() {
        model.adapters().use(request.adapters());
        List<StepPlan> plans = plans();
        List<StepPlan> full = run.plan(StepPolicy.FULL);
        Map<StepPlan, Work> known = new HashMap<>();
        Function<StepPlan, Work> estimate = this::estimate;
        ControlEstimate nets = new ControlEstimate(this);
        Adaptation adaptation = adaptation();
        List<PlannedCall> explained = new ArrayList<>();
        for (int i = 0; i < plans.size(); i++) {
            StepPlan plan = plans.get(i);
            StepPlan fewest = adaptation.least(i, plan);
            int step = run.calls().get(i).step();
            Work work = known.computeIfAbsent(plan, estimate);
            double whole = known.computeIfAbsent(full.get(i), estimate).multiplyAdds() + nets.of(full.get(i), step);
            double least = known.computeIfAbsent(fewest, estimate).multiplyAdds() + nets.of(fewest, step);
            double controls = nets.of(plan, step);
            nets.compute(plan, step);
            explained.add(new PlannedCall(
                    run.calls().get(i), plan, work, controls, (work.multiplyAdds() + controls) / whole, least / whole));
        }
        return explained;
    }

    private Work estimate(StepPlan plan) {
        UNet unet = model.unets().get(plan.unet());
        return batches(plan).stream()
                .map(it -> unet.estimate(it.branches().size(), height(), width(), it.tokens(), plan.actions()))
                .reduce(Work.NONE, Work::plus);
    }

    /** Branches of one call of the UNet, whose texts have one length. */
    record Batch(List<Integer> branches, int tokens) {}

    /** The batches of a plan's branches. */
    List<Batch> batches(StepPlan plan) {
        int tokens = tokens(request.prompt());
        int negativeTokens = tokens(request.negativePrompt());
        int count = plan.branches() == Branches.CONDITIONAL ? 1 : Math.max(mixture.branches(), 2);
        List<Integer> all = IntStream.range(0, count).boxed().toList();
        if (count == 1 || tokens == negativeTokens) {
            return List.of(new Batch(all, tokens));
        }
        return List.of(new Batch(all.subList(0, 1), tokens), new Batch(all.subList(1, count), negativeTokens));
    }

    private int tokens(String prompt) {
        return TextEmbedding.length(prompt, new PromptWords(request.words()));
    }

    /** Masks that leave out a share of a guided call's multiply-adds. */
    TemporalExperts randomExperts(int experts, double share, long seed) {
        UNet unet = model.networks().unet();
        List<Unit> units = unet.units();
        int tokens = tokens(request.prompt());
        ToDoubleFunction<StepPlan> multiplyAdds = plan ->
                unet.estimate(2, height(), width(), tokens, plan.actions()).multiplyAdds();
        StepPlan full = StepPlan.full(Branches.BOTH, units.size());
        double whole = multiplyAdds.applyAsDouble(full);
        double[] costs = new double[units.size()];
        for (int layer : ExpertLayers.of().among(units)) {
            costs[layer] = whole - multiplyAdds.applyAsDouble(full.with(List.of(layer), Action.SKIP, units));
        }
        return ExpertLayers.random(units, costs, whole, experts, share, seed);
    }
}
