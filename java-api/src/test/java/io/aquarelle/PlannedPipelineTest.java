package io.aquarelle;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.Progress.Phase;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.NanoModel;
import io.aquarelle.plan.AdaptiveInheritance;
import io.aquarelle.plan.Branches;
import io.aquarelle.plan.CallSelection;
import io.aquarelle.plan.FeatureInheritance;
import io.aquarelle.plan.SelectiveGuidance;
import io.aquarelle.plan.StepPolicy;
import io.aquarelle.plan.UnitSelection;
import io.aquarelle.plan.UnitSkipping;
import io.aquarelle.plan.Work;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PlannedPipelineTest {
    private static final StepPolicy ENCODER = new FeatureInheritance(UnitSelection.encoder(), CallSelection.every(3));
    private static final StepPolicy LAYER =
            new FeatureInheritance(UnitSelection.decoderLayer(0), CallSelection.every(2));
    private static final StepPolicy CROSS =
            new FeatureInheritance(UnitSelection.named("cross"), CallSelection.listed("0-1"));
    private static final StepPolicy LAST_HALF = new SelectiveGuidance(CallSelection.lastPercent(50));

    @TempDir
    static Path folder;

    private static Path model;
    private static Pipeline pipeline;

    @BeforeAll
    static void open() throws IOException {
        model = folder.resolve("nano.safetensors");
        NanoModel.writeDrawable(model);
        pipeline = Pipeline.open(model, EngineOptions.ofThreads(2));
    }

    @AfterAll
    static void close() {
        pipeline.close();
    }

    private static ImageRequest.Builder request(StepPolicy plan) {
        return ImageRequest.builder("a red apple").size(64, 64).steps(6).seed(5).plan(plan);
    }

    private static GeneratedImage draw(Pipeline on, ImageRequest request) {
        return on.generate(request).getFirst();
    }

    private static byte[] draw(StepPolicy plan) {
        return draw(pipeline, request(plan).build()).rgb();
    }

    @Test
    void plansThatLeaveNothingOutChangeNoByte() {
        GeneratedImage full = draw(pipeline, request(StepPolicy.FULL).build());
        for (StepPolicy plan : List.of(
                new SelectiveGuidance(CallSelection.lastPercent(0)),
                new FeatureInheritance(UnitSelection.encoder(), CallSelection.every(1)),
                new FeatureInheritance(UnitSelection.named("cross"), CallSelection.ALL),
                new UnitSkipping(UnitSelection.named("cross"), CallSelection.NONE))) {
            GeneratedImage image = draw(pipeline, request(plan).build());
            assertArrayEquals(full.rgb(), image.rgb());
            assertEquals(full.work(), image.work());
        }
    }

    @Test
    void eachPlanDrawsAnotherPicture() {
        List<byte[]> pictures = List.of(
                draw(StepPolicy.FULL),
                draw(ENCODER),
                draw(LAYER),
                draw(CROSS),
                draw(LAST_HALF),
                draw(LAST_HALF.then(ENCODER)),
                draw(new UnitSkipping(UnitSelection.named("middle_block"), CallSelection.ALL)));
        for (int i = 0; i < pictures.size(); i++) {
            for (int j = 0; j < i; j++) {
                assertFalse(Arrays.equals(pictures.get(i), pictures.get(j)), i + " and " + j);
            }
        }
    }

    @Test
    void leavingTheNegativePromptOutEverywhereIsGuidanceOne() {
        for (String sampler : List.of("euler", "dpm++2m", "heun")) {
            ImageRequest all = request(new SelectiveGuidance(CallSelection.ALL))
                    .sampler(sampler)
                    .build();
            ImageRequest one =
                    request(StepPolicy.FULL).sampler(sampler).guidance(1).build();
            assertArrayEquals(draw(pipeline, one).rgb(), draw(pipeline, all).rgb());
        }
    }

    @Test
    void unetCallsAreThoseOfThePlan() {
        assertEquals(2 * 3 + 3, draw(pipeline, request(LAST_HALF).build()).unetCalls());
        assertEquals(
                2 * 2 + 3, draw(pipeline, request(LAST_HALF).steps(5).build()).unetCalls(), "2.5 is rounded to even");
        // Heun calls twice a step but in the last one: 11 calls, of which round(5.5) = 6 are guided.
        assertEquals(
                2 * 6 + 5,
                draw(pipeline, request(LAST_HALF).sampler("heun").build()).unetCalls());
    }

    private static Work counts(Work work) {
        return new Work(work.run(), work.reused(), work.skipped(), 0);
    }

    @Test
    void workIsThatOfThePlan() {
        // 12 ResBlocks, 11 transformers of 4 units that work, the first convolution, two samplers, out.
        long units = 12 + 11 * 4 + 1 + 2 + 1;
        assertEquals(
                new Work(6 * units, 0, 0, 0),
                counts(draw(pipeline, request(StepPolicy.FULL).build()).work()));
        Work work = draw(pipeline, request(CROSS).build()).work();
        assertEquals(4 * 11, work.reused(), "11 cross-attentions in 4 of 6 calls");
        assertEquals(6 * units - 4 * 11, work.run());
        assertEquals(0, work.skipped());

        work = draw(pipeline, request(LAYER).build()).work();
        assertEquals(3 * (units + 1 + 5 + 1), work.run(), "first convolution, last block, out in 3 calls");
        assertEquals(3 * 5, work.reused());
        assertEquals(6 * units, work.run() + work.reused() + work.skipped());

        work = draw(
                        pipeline,
                        request(new UnitSkipping(UnitSelection.named("middle_block"), CallSelection.listed("1-2")))
                                .build())
                .work();
        assertEquals(2 * 6, work.skipped(), "two ResBlocks and a transformer of 4");
        assertEquals(0, work.reused());
    }

    @Test
    void explanationIsWhatHappens() {
        String longPrompt = "word ".repeat(100);
        for (StepPolicy plan : List.of(StepPolicy.FULL, ENCODER, LAYER, CROSS, LAST_HALF.then(ENCODER))) {
            for (ImageRequest request : List.of(
                    request(plan).build(),
                    request(plan).negativePrompt(longPrompt).build(),
                    request(plan).sampler("heun").steps(4).build())) {
                List<PlannedCall> calls = pipeline.explain(request);
                Work sum = calls.stream().map(PlannedCall::work).reduce(Work.NONE, Work::plus);
                GeneratedImage image = draw(pipeline, request);
                assertEquals(image.work(), sum);
                assertEquals(
                        image.unetCalls(),
                        calls.stream()
                                .mapToInt(call -> call.plan().branches() == Branches.BOTH ? 2 : 1)
                                .sum());
            }
        }
        List<PlannedCall> calls = pipeline.explain(request(LAST_HALF).build());
        assertEquals(1, calls.getFirst().share());
        // More than half: guided calls compute once what does not depend on the text.
        assertEquals(0.5, calls.getLast().share(), 0.05);
        assertTrue(calls.getLast().share() >= 0.5);
        assertEquals(999, calls.getFirst().call().timestep(), 0.01);
    }

    @Test
    void nothingLeaksFromOneGenerationIntoAnother() throws IOException {
        Map<StepPolicy, byte[]> fresh = new LinkedHashMap<>();
        for (StepPolicy plan : List.of(ENCODER, LAYER, CROSS, LAST_HALF.then(LAYER))) {
            try (Pipeline own = Pipeline.open(model, EngineOptions.ofThreads(2))) {
                fresh.put(plan, draw(own, request(plan).build()).rgb());
            }
        }
        for (int i = 0; i < 2; i++) {
            fresh.forEach((plan, picture) -> {
                draw(pipeline, request(plan).seed(77).size(40, 72).build());
                draw(pipeline, request(plan).seed(78).build());
                ProgressListener cancel = progress -> {
                    if (progress.phase() == Phase.DENOISE && progress.step() == 2) {
                        pipeline.cancel();
                    }
                };
                assertThrows(
                        GenerationCancelledException.class,
                        () -> pipeline.generate(request(plan).seed(79).build(), cancel));
                assertArrayEquals(picture, draw(plan));
            });
        }
    }

    @Test
    void picturesOfABatchAndOfListenersKeepApart() {
        byte[] alone = draw(ENCODER);
        List<GeneratedImage> batch =
                pipeline.generate(request(ENCODER).seed(4).batch(3).build());
        assertArrayEquals(alone, batch.get(1).rgb());
        // A listener draws in the middle of it, at another size.
        ProgressListener drawing = progress -> {
            if (progress.phase() == Phase.DENOISE && progress.step() == 1) {
                draw(pipeline, request(LAYER).seed(1).size(32, 32).build());
                draw(pipeline, request(ENCODER).seed(2).build());
            }
        };
        assertArrayEquals(
                alone,
                pipeline.generate(request(ENCODER).build(), drawing).getFirst().rgb());
    }

    @Test
    void adaptivePlansAreThoseThatTheyDecideFor() {
        for (UnitSelection units : List.of(UnitSelection.encoder(), UnitSelection.decoderLayer(0))) {
            GeneratedImage full = draw(pipeline, request(StepPolicy.FULL).build());
            GeneratedImage never = draw(
                    pipeline, request(new AdaptiveInheritance(units, 1e-9, 3)).build());
            assertArrayEquals(full.rgb(), never.rgb());
            assertEquals(counts(full.work()), counts(never.work()));
            // Whatever changes: two calls, two that reuse, one, and so on.
            StepPolicy always = new AdaptiveInheritance(units, 1e9, 2);
            StepPolicy listed = new FeatureInheritance(units, CallSelection.listed("0-1,4"));
            for (String sampler : List.of("euler", "dpm++2m", "euler_cfg_pp")) {
                GeneratedImage expected =
                        draw(pipeline, request(listed).sampler(sampler).build());
                GeneratedImage image =
                        draw(pipeline, request(always).sampler(sampler).build());
                assertArrayEquals(expected.rgb(), image.rgb());
                assertEquals(counts(expected.work()), counts(image.work()));
            }
            var calls = pipeline.explain(request(always).build());
            assertEquals(1, calls.get(3).share(), 1e-9);
            assertEquals(
                    pipeline.explain(request(listed).build()).get(3).share(),
                    calls.get(3).leastShare());
        }
        StepPolicy some = new AdaptiveInheritance(UnitSelection.encoder(), 0.2, 3);
        GeneratedImage one = draw(pipeline, request(some).build());
        draw(pipeline, request(some).seed(8).build());
        assertArrayEquals(one.rgb(), draw(pipeline, request(some).build()).rgb());
    }

    @Test
    void promptsOfUnequalLengthFollowPlans() {
        String longPrompt = "word ".repeat(100);
        ImageRequest request = request(ENCODER).negativePrompt(longPrompt).build();
        byte[] picture = draw(pipeline, request).rgb();
        assertArrayEquals(picture, draw(pipeline, request).rgb());
        assertFalse(Arrays.equals(picture, draw(ENCODER)));
    }

    @Test
    void plansThatDoNotSuitAreRefusedBeforeAnythingIsDrawn() {
        record Case(String words, ImageRequest request) {}
        for (Case each : List.of(
                new Case(
                        "no call has a negative prompt",
                        request(LAST_HALF).guidance(1).build()),
                new Case(
                        "it must be 0 to 4",
                        request(new FeatureInheritance(UnitSelection.decoderLayer(5), CallSelection.every(2)))
                                .build()),
                new Case(
                        "this sampler needs the negative prompt",
                        request(LAST_HALF).sampler("euler_cfg_pp").build()),
                new Case("has two plans", request(ENCODER.then(ENCODER)).build()))) {
            ProgressListener never = progress -> {
                throw new AssertionError(progress);
            };
            var failure = assertThrows(
                    IllegalArgumentException.class, () -> pipeline.generate(each.request(), never), each.words());
            assertTrue(failure.getMessage().contains(each.words()), failure.getMessage());
            assertThrows(IllegalArgumentException.class, () -> pipeline.explain(each.request()));
        }
    }
}
