package io.aquarelle;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.model.CallControl;
import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.Engine;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.ModelFormatException;
import io.aquarelle.model.ModelSpec;
import io.aquarelle.model.NanoModel;
import io.aquarelle.model.UNet;
import io.aquarelle.model.UNet.Condition;
import io.aquarelle.model.Weights;
import io.aquarelle.plan.Branches;
import io.aquarelle.plan.Call;
import io.aquarelle.plan.CallSelection;
import io.aquarelle.plan.FeatureInheritance;
import io.aquarelle.plan.Run;
import io.aquarelle.plan.SelectiveGuidance;
import io.aquarelle.plan.StepPlan;
import io.aquarelle.plan.StepPolicy;
import io.aquarelle.plan.UNetSwitching;
import io.aquarelle.plan.UNetSwitching.Stretch;
import io.aquarelle.plan.UnitSelection;
import io.aquarelle.plan.Work;
import io.aquarelle.sampling.NoiseSchedule;
import io.aquarelle.sampling.Prediction;
import io.aquarelle.sampling.Samplers;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SwitchedPipelineTest {
    @TempDir
    static Path folder;

    private static Path full;
    private static Path small;
    private static Pipeline pipeline; // the full model, the small one, and the full one again

    @BeforeAll
    static void open() throws IOException {
        full = folder.resolve("full.safetensors");
        small = folder.resolve("small.safetensors");
        NanoModel.writeDrawable(full);
        NanoModel.writeDrawable(small, name -> !name.contains(".middle_block."));
        pipeline = Pipeline.open(full, EngineOptions.ofThreads(1));
        assertEquals(1, pipeline.addUNet(small));
        assertEquals(2, pipeline.addUNet(full));
    }

    @AfterAll
    static void close() {
        pipeline.close();
    }

    private static StepPolicy on(int unet, int from, int to) {
        return new UNetSwitching(List.of(new Stretch(unet, from, to)));
    }

    private static ImageRequest request(StepPolicy plan) {
        return ImageRequest.builder("a red apple")
                .size(64, 32)
                .steps(6)
                .seed(5)
                .sampler("dpm++2m")
                .plan(plan)
                .build();
    }

    private static GeneratedImage draw(Pipeline on, StepPolicy plan) {
        return on.generate(request(plan)).getFirst();
    }

    @Test
    void allStepsOnOneUNetAreThoseOfItsModel() throws IOException {
        GeneratedImage plain = draw(pipeline, StepPolicy.FULL);
        assertArrayEquals(plain.rgb(), draw(pipeline, on(1, 6, 8)).rgb(), "no step at all");
        assertArrayEquals(plain.rgb(), draw(pipeline, on(2, 0, 6)).rgb());
        assertArrayEquals(plain.rgb(), draw(pipeline, on(2, 2, 4)).rgb(), "the same weights in between");
        try (Pipeline alone = Pipeline.open(small, EngineOptions.ofThreads(1))) {
            GeneratedImage image = draw(pipeline, on(1, 0, Integer.MAX_VALUE));
            assertArrayEquals(draw(alone, StepPolicy.FULL).rgb(), image.rgb());
            assertEquals(draw(alone, StepPolicy.FULL).work(), image.work());
            assertFalse(Arrays.equals(plain.rgb(), image.rgb()));
        }
    }

    @Test
    void eachUNetCountsItsUnits() {
        Work own = draw(pipeline, StepPolicy.FULL).work();
        Work other = draw(pipeline, on(1, 0, 6)).work();
        GeneratedImage image = draw(pipeline, on(1, 0, 2));
        assertEquals(2 * other.run() / 6 + 4 * own.run() / 6, image.work().run());
        assertEquals(12, image.unetCalls());
        List<PlannedCall> calls = pipeline.explain(request(on(1, 0, 2)));
        assertEquals(image.work(), calls.stream().map(PlannedCall::work).reduce(Work.NONE, Work::plus));
        assertTrue(calls.getFirst().share() < 1);
        assertEquals(1, calls.getLast().share());
    }

    @Test
    void storedFeaturesAreDroppedAtASwitch() {
        StepPolicy plan =
                on(1, 2, 4).then(new FeatureInheritance(UnitSelection.named("cross"), CallSelection.listed("0")));
        List<StepPlan> plans = pipeline.plan(request(plan));
        assertEquals(
                List.of(0, 0, 1, 1, 0, 0), plans.stream().map(StepPlan::unet).toList());
        GeneratedImage image = draw(pipeline, plan);
        // 11 cross-attentions in the full model, 10 without the middle; every second call reuses them.
        assertEquals(11 + 10 + 11, image.work().reused());
        assertArrayEquals(image.rgb(), draw(pipeline, plan).rgb());
        var late = assertThrows(
                IllegalArgumentException.class,
                () -> pipeline.plan(request(
                        new FeatureInheritance(UnitSelection.encoder(), CallSelection.every(2)).then(on(1, 0, 2)))));
        assertTrue(late.getMessage().contains("choose UNets before"), late.getMessage());
    }

    @Test
    void anotherPipelineOnTheSameWeightsSwitchesToo() {
        byte[] picture = draw(pipeline, on(1, 0, 3)).rgb();
        try (Pipeline second = pipeline.share()) {
            assertArrayEquals(picture, draw(second, on(1, 0, 3)).rgb());
        }
        assertArrayEquals(picture, draw(pipeline, on(1, 0, 3)).rgb());
    }

    @Test
    void whatCannotTakeTurnsIsRefused() throws IOException {
        for (Path other : List.of(NanoModel.golden("sdxl-nano"), NanoModel.golden("sd1-nano-golden"))) {
            var failure = assertThrows(ModelFormatException.class, () -> pipeline.addUNet(other));
            assertTrue(failure.getMessage().startsWith(other.toString()), failure.getMessage());
        }
        try (Pipeline v = Pipeline.open(full, EngineOptions.ofThreads(1), Prediction.V)) {
            var failure = assertThrows(ModelFormatException.class, () -> v.addUNet(small));
            assertTrue(failure.getMessage().contains("predicts EPS; the model's predicts V"), failure.getMessage());
        }
        for (StepPolicy plan : List.of(on(3, 0, 2), on(3, 5, 9))) {
            var failure = assertThrows(IllegalArgumentException.class, () -> draw(pipeline, plan));
            assertTrue(failure.getMessage().contains("is for UNet 3; the pipeline has 3"), failure.getMessage());
        }
        assertThrows(
                IllegalArgumentException.class,
                () -> new UNetSwitching(List.of(new Stretch(1, 0, 3), new Stretch(2, 2, 5))));
        assertThrows(IllegalArgumentException.class, () -> new Stretch(1, 3, 3));
    }

    /** Two UNets and what they are asked, without a pipeline. */
    private static final class Networks implements AutoCloseable {
        final Checkpoint[] files = {Checkpoint.open(full), Checkpoint.open(small)};
        final Engine engine = Engine.create(EngineOptions.ofThreads(1));
        final UNet[] unets = new UNet[2];
        final Condition prompt = condition(1);
        final Condition negative = condition(2);
        final NoiseSchedule schedule = NoiseSchedule.stableDiffusion();

        Networks() throws IOException {
            for (int i = 0; i < 2; i++) {
                try (Weights weights = Weights.of(files[i])) {
                    unets[i] = UNet.create(
                            engine,
                            weights,
                            ModelSpec.UNET_PREFIX,
                            ModelSpec.of(files[i]).heads());
                }
            }
        }

        static Condition condition(long seed) {
            SplittableRandom random = new SplittableRandom(seed);
            float[] text = new float[77 * 64];
            for (int i = 0; i < text.length; i++) {
                text[i] = (float) random.nextGaussian();
            }
            return Condition.ofText(text, 77);
        }

        /** x - sigma (u + s (c - u)) of one UNet, or x - sigma c. */
        double[] denoised(double[] x, double sigma, int unet, boolean guided, double scale) {
            float[] input = new float[x.length];
            for (int i = 0; i < x.length; i++) {
                input[i] = (float) (x[i] / Math.sqrt(sigma * sigma + 1));
            }
            float[] timestep = {schedule.timestep((float) sigma)};
            float[] with = unets[unet].evaluate(input, timestep, prompt, 8, 8, null);
            float[] without = guided ? unets[unet].evaluate(input, timestep, negative, 8, 8, null) : with;
            double[] result = new double[x.length];
            for (int i = 0; i < x.length; i++) {
                result[i] = x[i] - sigma * (without[i] + scale * (with[i] - without[i]));
            }
            return result;
        }

        @Override
        public void close() {
            for (int i = 0; i < 2; i++) {
                unets[i].close();
                files[i].close();
            }
            engine.close();
        }
    }

    /** Which UNet a step of the oracle takes, and whether it is guided. */
    private record Step(int unet, boolean guided) {}

    /**
     * DPM-Solver++ 2M (Lu et al., arXiv 2211.01095) written out: with l = -log(sigma), h = l' - l and r = h_before / h,
     * x' = sigma'/sigma x - (e^-h - 1) ((1 + 1/2r) D - 1/2r D_before).
     */
    private static double[] multistep(Networks networks, double[] noise, float[] sigmas, List<Step> steps) {
        double[] x = noise.clone();
        double[] before = null;
        for (int n = 0; n < steps.size(); n++) {
            double[] d = networks.denoised(
                    x, sigmas[n], steps.get(n).unet(), steps.get(n).guided(), 7);
            if (sigmas[n + 1] == 0) {
                return d;
            }
            double h = Math.log(sigmas[n] / (double) sigmas[n + 1]);
            for (int i = 0; i < x.length; i++) {
                double mixed = d[i];
                if (before != null) {
                    double r = Math.log(sigmas[n - 1] / (double) sigmas[n]) / h;
                    mixed = (1 + 1 / (2 * r)) * d[i] - 1 / (2 * r) * before[i];
                }
                x[i] = sigmas[n + 1] / (double) sigmas[n] * x[i] - Math.expm1(-h) * mixed;
            }
            before = d;
        }
        return x;
    }

    @Test
    void multistepSamplersKeepTheirHistoryAcrossSwitches() throws IOException {
        List<float[]> whole = List.of(); // what the full run estimates in each step
        float[] sigmas = {10, 6, 3, 1.5f, 0.7f, 0.3f, 0};
        SplittableRandom random = new SplittableRandom(9);
        double[] noise = random.doubles(4 * 8 * 8, -10, 10).toArray();
        float[] start = new float[noise.length];
        for (int i = 0; i < noise.length; i++) {
            start[i] = (float) noise[i];
            noise[i] = start[i];
        }
        try (Networks networks = new Networks();
                Model model = Model.open(Checkpoint.open(full), EngineOptions.ofThreads(1), Prediction.EPS);
                Controls none = new Controls(model.networks().unet(), List.of(), 8, 8, 8)) {
            model.addUNet(Checkpoint.open(small));
            var branches = List.of(
                    new Guidance.Branch(networks.prompt, new float[0]),
                    new Guidance.Branch(networks.negative, new float[0]));
            List<Call> calls = CallRecorder.calls(Samplers.byName("dpm++2m"), sigmas, networks.schedule);
            Run run = new Run(calls, List.of(networks.unets[0].units(), networks.unets[1].units()), true);
            for (StepPolicy policy : List.of(
                    StepPolicy.FULL,
                    on(1, 0, 3),
                    on(1, 2, 4),
                    new SelectiveGuidance(CallSelection.lastPercent(50)),
                    on(1, 1, 2).then(new SelectiveGuidance(CallSelection.listed("2,4-"))))) {
                List<Step> steps = run.plan(policy).stream()
                        .map(plan -> new Step(plan.unet(), plan.branches() == Branches.BOTH))
                        .toList();
                double[] expected = multistep(networks, noise, sigmas, steps);
                ImageRequest request = ImageRequest.builder("")
                        .size(64, 64)
                        .sampler("dpm++2m")
                        .plan(policy)
                        .build();
                Course course =
                        new Course(model, request, Samplers.byName("dpm++2m"), sigmas, Mixture.of(request, model), run);
                try (var denoiser = new GuidedDenoiser(
                        model, course, 1, new Guidance(branches, 7, 1), none, List.of(), new CallControl())) {
                    List<float[]> estimates = new ArrayList<>();
                    float[] latent = course.sampler()
                            .sample(
                                    denoiser,
                                    start.clone(),
                                    sigmas,
                                    float[]::new,
                                    (step, denoised) -> estimates.add(denoised.clone()));
                    whole = policy == StepPolicy.FULL ? estimates : whole;
                    int first = 0; // step that a plan changes
                    while (first < steps.size() && steps.get(first).equals(new Step(0, true))) {
                        assertArrayEquals(whole.get(first), estimates.get(first), "before the plan's first change");
                        first++;
                    }
                    assertTrue(first == steps.size() || !Arrays.equals(whole.get(first), estimates.get(first)));
                    double largest =
                            Arrays.stream(expected).map(Math::abs).max().orElseThrow();
                    for (int i = 0; i < latent.length; i++) {
                        assertEquals(expected[i], latent[i], 1e-4 * largest);
                    }
                }
            }
        }
    }
}
