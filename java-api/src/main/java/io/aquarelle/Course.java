package io.aquarelle;

import io.aquarelle.model.TextEncoder;
import io.aquarelle.model.UNet;
import io.aquarelle.plan.Branches;
import io.aquarelle.plan.Run;
import io.aquarelle.plan.StepPlan;
import io.aquarelle.plan.StepPolicy;
import io.aquarelle.plan.Work;
import io.aquarelle.sampling.Sampler;
import io.aquarelle.sampling.SamplerOptions;
import io.aquarelle.sampling.Samplers;
import io.aquarelle.sampling.SigmaSchedules;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/**
 * A request's way from noise to a latent, as far as it is known before anything is computed.
 *
 * @param sigmas noise levels, the last of them 0
 * @param guidance the scale between the branches; 1 needs one of them only
 * @param run the calls of the UNet
 */
record Course(Model model, ImageRequest request, Sampler sampler, float[] sigmas, float guidance, Run run) {
    static Course of(ImageRequest request, Model model) {
        requireClipSkip(request, model);
        Sampler sampler = Samplers.byName(request.sampler(), new SamplerOptions(request.eta(), model.noiseSchedule()));
        float[] sigmas =
                StartPicture.sigmas(allSigmas(request, model), request.image() == null ? 1 : request.strength());
        UNet unet = model.networks().unet();
        // Consistency models know the scale of themselves.
        float guidance = unet.guidanceWidth() > 0 ? 1 : request.guidance();
        var calls = CallRecorder.calls(sampler, sigmas, model.noiseSchedule());
        return new Course(model, request, sampler, sigmas, guidance, new Run(calls, unet.units(), guidance != 1));
    }

    private static float[] allSigmas(ImageRequest request, Model model) {
        if (!request.sigmas().isEmpty()) {
            return SigmaSchedules.custom(request.sigmas());
        }
        // It has levels for each of the two.
        boolean xl = model.spec().family().isXl() && request.schedule().equals("ays");
        return SigmaSchedules.byName(xl ? "ays_sdxl" : request.schedule())
                .sigmas(model.noiseSchedule(), request.steps());
    }

    private static void requireClipSkip(ImageRequest request, Model model) {
        int layers = model.networks().text().stream()
                .mapToInt(TextEncoder::layers)
                .min()
                .orElseThrow();
        if (request.clipSkip() > layers) {
            throw new IllegalArgumentException(
                    "clip skip is " + request.clipSkip() + "; the text encoder has " + layers + " layers");
        }
    }

    int steps() {
        return sigmas.length - 1;
    }

    /** What each call of the UNet computes. */
    List<StepPlan> plans() {
        return run.plan(request.plan());
    }

    /** The same with the work that it comes to. */
    List<PlannedCall> explain() {
        UNet unet = model.networks().unet();
        List<StepPlan> plans = plans();
        List<StepPlan> full = run.plan(StepPolicy.FULL);
        int height = request.height() / model.networks().vae().factor();
        int width = request.width() / model.networks().vae().factor();
        int tokens = TextEmbedding.length(request.prompt());
        int negativeTokens = TextEmbedding.length(request.negativePrompt());
        Map<StepPlan, Work> known = new HashMap<>();
        Function<StepPlan, Work> estimate = plan -> {
            if (plan.branches() == Branches.BOTH && tokens == negativeTokens) {
                return unet.estimate(2, height, width, tokens, plan.actions());
            }
            Work conditional = unet.estimate(1, height, width, tokens, plan.actions());
            return plan.branches() == Branches.CONDITIONAL
                    ? conditional
                    : conditional.plus(unet.estimate(1, height, width, negativeTokens, plan.actions()));
        };
        List<PlannedCall> explained = new ArrayList<>();
        for (int i = 0; i < plans.size(); i++) {
            Work work = known.computeIfAbsent(plans.get(i), estimate);
            double whole = known.computeIfAbsent(full.get(i), estimate).multiplyAdds();
            explained.add(new PlannedCall(run.calls().get(i), plans.get(i), work, work.multiplyAdds() / whole));
        }
        return explained;
    }
}
