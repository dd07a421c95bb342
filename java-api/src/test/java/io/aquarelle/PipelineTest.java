package io.aquarelle;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.Progress.Phase;
import io.aquarelle.model.Convolution;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.ModelFormatException;
import io.aquarelle.model.NanoModel;
import io.aquarelle.sampling.NoiseSchedule;
import io.aquarelle.sampling.Samplers;
import io.aquarelle.sampling.SigmaSchedules;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PipelineTest {
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

    private static ImageRequest.Builder request(String prompt) {
        return ImageRequest.builder(prompt).size(64, 64).steps(3).seed(5);
    }

    private static byte[] draw(Pipeline on, ImageRequest request) {
        return on.generate(request).getFirst().rgb();
    }

    @Test
    void sameRequestGivesTheSamePictureAndOthersGiveOthers() {
        byte[] picture = draw(pipeline, request("a red apple").build());
        assertArrayEquals(picture, draw(pipeline, request("a red apple").build()));
        List<ImageRequest> others = List.of(
                request("a green apple").build(),
                request("a (red:1.4) apple").build(),
                request("a red apple").negativePrompt("blurry").build(),
                request("a red apple").seed(6).build(),
                request("a red apple").rng("cpu").build(),
                request("a red apple").guidance(3).build(),
                request("a red apple").guidance(1).build(),
                request("a red apple").steps(4).build(),
                request("a red apple").sampler("euler").build(),
                request("a red apple").schedule("karras").build(),
                request("a red apple").sigmas(List.of(14f, 4f, 1f)).build(),
                request("a red apple").eta(0.5f).build(),
                request("a red apple").clipSkip(2).build(),
                request("a red apple BREAK and a pear").build());
        for (ImageRequest other : others) {
            assertFalse(Arrays.equals(picture, draw(pipeline, other)), other.toString());
        }
    }

    @Test
    void pictureHasTheSizeAskedForAndVariesOverIt() {
        GeneratedImage image =
                pipeline.generate(request("x").size(72, 40).build()).getFirst();
        assertEquals(72, image.width());
        assertEquals(40, image.height());
        assertEquals(72 * 40 * 3, image.rgb().length);
        byte[] rgb = image.rgb();
        int colours = 0;
        for (int i = 1; i < rgb.length; i++) {
            colours += rgb[i] != rgb[i - 1] ? 1 : 0;
        }
        assertTrue(colours > rgb.length / 2, colours + " changes");
    }

    @Test
    void batchIsTheSeedsOneByOne() {
        List<GeneratedImage> batch = pipeline.generate(request("x").batch(3).build());
        assertEquals(3, batch.size());
        for (int i = 0; i < 3; i++) {
            assertEquals(5 + i, batch.get(i).seed());
            assertArrayEquals(
                    draw(pipeline, request("x").seed(5 + i).build()),
                    batch.get(i).rgb());
        }
    }

    @Test
    void promptsOfUnequalLengthWork() {
        String longPrompt = "word ".repeat(100);
        byte[] picture = draw(pipeline, request(longPrompt).build());
        assertArrayEquals(picture, draw(pipeline, request(longPrompt).build()));
        draw(pipeline, request("").negativePrompt(longPrompt).build());
    }

    @Test
    void unetCallsAreCounted() {
        assertEquals(6, pipeline.generate(request("x").build()).getFirst().unetCalls());
        assertEquals(
                3,
                pipeline.generate(request("x").guidance(1).build()).getFirst().unetCalls());
        assertEquals(
                6,
                pipeline.generate(request("word ".repeat(100)).build())
                        .getFirst()
                        .unetCalls());
    }

    @Test
    void everyWayToConvolveDrawsTheSamePicture() throws IOException {
        byte[] expected = draw(pipeline, request("x").build());
        for (Convolution convolution : Convolution.values()) {
            try (Pipeline other = Pipeline.open(model, new EngineOptions(1, convolution))) {
                byte[] picture = draw(other, request("x").build());
                for (int i = 0; i < picture.length; i++) {
                    assertEquals(picture[i] & 0xff, expected[i] & 0xff, 1, convolution + ", byte " + i);
                }
            }
        }
    }

    @Test
    void everySamplerDrawsOnEverySchedule() {
        List<String> schedules = SigmaSchedules.names();
        for (String sampler : Samplers.names()) {
            // One schedule after the other: each meets each in SamplersTest.
            int next = Samplers.names().indexOf(sampler) % schedules.size();
            ImageRequest request = request("x")
                    .sampler(sampler)
                    .schedule(schedules.get(next))
                    .size(32, 32)
                    .steps(4)
                    .build();
            assertArrayEquals(draw(pipeline, request), draw(pipeline, request), sampler);
        }
    }

    @Test
    void theCfgPlusPlusSamplersEvaluateBothBranchesAlways() {
        ImageRequest.Builder request = request("x").sampler("euler_cfg_pp");
        assertEquals(
                6, pipeline.generate(request.guidance(1).build()).getFirst().unetCalls());
        byte[] plus = draw(pipeline, request.guidance(1).build());
        assertFalse(Arrays.equals(plus, draw(pipeline, request.sampler("euler").build())));
        // With the same text on both sides there is nothing to guide.
        ImageRequest.Builder same = request("x").negativePrompt("x").guidance(3).sampler("euler_cfg_pp");
        byte[] guided = draw(pipeline, same.build());
        byte[] euler = draw(pipeline, same.sampler("euler").build());
        for (int i = 0; i < euler.length; i++) {
            assertEquals(euler[i] & 0xff, guided[i] & 0xff, 1);
        }
    }

    @Test
    void ownSigmasOfAScheduleDrawWhatItDraws() {
        List<Float> karras = new ArrayList<>();
        for (float sigma : SigmaSchedules.KARRAS.sigmas(NoiseSchedule.stableDiffusion(), 3)) {
            karras.add(sigma);
        }
        assertArrayEquals(
                draw(pipeline, request("x").schedule("karras").build()),
                draw(pipeline, request("x").sigmas(karras).build()));
    }

    @Test
    void guidanceOneIsThePromptAlone() {
        byte[] alone = draw(pipeline, request("x").guidance(1).build());
        assertArrayEquals(
                alone,
                draw(pipeline, request("x").guidance(1).negativePrompt("y").build()));
    }

    @Test
    void twoPipelinesOnOneSetOfWeightsDrawTheSameSideBySide() {
        ImageRequest first = request("a red apple").build();
        ImageRequest second = request("a blue boat").seed(9).build();
        byte[] firstAlone = draw(pipeline, first);
        byte[] secondAlone = draw(pipeline, second);
        try (Pipeline other = pipeline.share()) {
            for (int i = 0; i < 3; i++) {
                var a = CompletableFuture.supplyAsync(() -> draw(pipeline, first));
                var b = CompletableFuture.supplyAsync(() -> draw(other, second));
                assertArrayEquals(firstAlone, a.join());
                assertArrayEquals(secondAlone, b.join());
            }
        }
    }

    @Test
    void twoThreadsOnOnePipelineWaitForEachOther() {
        ImageRequest request = request("a red apple").build();
        byte[] alone = draw(pipeline, request);
        List<CompletableFuture<byte[]>> all = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            all.add(CompletableFuture.supplyAsync(() -> draw(pipeline, request)));
        }
        all.forEach(one -> assertArrayEquals(alone, one.join()));
    }

    @Test
    void sharedPipelineOutlivesTheOneItCameFrom() throws IOException {
        Pipeline first = Pipeline.open(model, EngineOptions.ofThreads(1));
        Pipeline second = first.share();
        first.close();
        byte[] picture = draw(second, request("x").build());
        second.close();
        assertArrayEquals(draw(pipeline, request("x").build()), picture);
        assertThrows(IllegalStateException.class, second::share);
    }

    @Test
    void progressTellsEveryPhaseInOrder() {
        List<Progress> seen = new ArrayList<>();
        pipeline.generate(request("x").batch(2).build(), seen::add);
        List<Progress> expected = new ArrayList<>();
        for (int step = 0; step <= 2; step++) {
            expected.add(new Progress(Phase.TEXT, 0, step, 2));
        }
        for (int step = 0; step <= 3; step++) {
            expected.add(new Progress(Phase.DENOISE, 0, 2, step, 3));
        }
        for (int image = 0; image < 2; image++) {
            expected.add(new Progress(Phase.DECODE, image, 0, 1));
            expected.add(new Progress(Phase.DECODE, image, 1, 1));
        }
        assertEquals(expected, seen);
    }

    @Test
    void cancelEndsTheGenerationAndThePipelineWorksOn() {
        ImageRequest request = request("x").steps(500).build();
        ProgressListener cancelAtTwo = progress -> {
            if (progress.phase() == Phase.DENOISE && progress.step() == 2) {
                pipeline.cancel();
            }
        };
        assertThrows(GenerationCancelledException.class, () -> pipeline.generate(request, cancelAtTwo));
        byte[] picture = draw(pipeline, request("x").build());
        assertEquals(64 * 64 * 3, picture.length);
    }

    @Test
    void cancellingTheFutureStopsItsGeneration() throws InterruptedException {
        CountDownLatch started = new CountDownLatch(1);
        List<Progress> seen = new ArrayList<>();
        var future = pipeline.generateAsync(request("x").steps(1000).build(), progress -> {
            seen.add(progress);
            started.countDown();
        });
        started.await();
        future.cancel(true);
        assertThrows(CancellationException.class, future::join);
        draw(pipeline, request("x").build()); // waits for its turn: the cancelled one has ended
        assertTrue(seen.size() < 1000);
    }

    @Test
    void asyncGivesTheSamePictureOrTheFailure() {
        var image = pipeline.generateAsync(request("x").build(), ProgressListener.NONE)
                .join()
                .getFirst();
        assertArrayEquals(draw(pipeline, request("x").build()), image.rgb());
        var failure = assertThrows(
                CompletionException.class,
                () -> pipeline.generateAsync(request("x").clipSkip(99).build(), ProgressListener.NONE)
                        .join());
        assertInstanceOf(IllegalArgumentException.class, failure.getCause());
    }

    @Test
    void exceptionOfTheListenerReachesTheCaller() {
        ProgressListener broken = progress -> {
            throw new UnsupportedOperationException("broken");
        };
        assertThrows(
                UnsupportedOperationException.class,
                () -> pipeline.generate(request("x").build(), broken));
        draw(pipeline, request("x").build());
    }

    @Test
    void listenersMayDrawAndCancelButNotClose() {
        ProgressListener drawing = progress -> {
            if (progress.phase() == Phase.DENOISE && progress.step() == 1) {
                draw(pipeline, request("y").build());
                pipeline.cancel();
            }
        };
        assertThrows(
                GenerationCancelledException.class,
                () -> pipeline.generate(request("x").build(), drawing));
        var failure = assertThrows(
                IllegalStateException.class,
                () -> pipeline.generate(request("x").build(), progress -> pipeline.close()));
        assertTrue(failure.getMessage().contains("listener"), failure.getMessage());
        draw(pipeline, request("x").build());
    }

    @Test
    void closedPipelineSaysSo() throws IOException {
        Pipeline closed = Pipeline.open(model, EngineOptions.ofThreads(1));
        closed.close();
        closed.close();
        closed.cancel();
        var failure = assertThrows(
                IllegalStateException.class, () -> closed.generate(request("x").build()));
        assertTrue(failure.getMessage().contains("closed"), failure.getMessage());
    }

    @Test
    void closingDuringAGenerationEndsIt() throws IOException, InterruptedException {
        Pipeline victim = Pipeline.open(model, EngineOptions.ofThreads(1));
        CountDownLatch started = new CountDownLatch(1);
        var future = victim.generateAsync(request("x").steps(1000).build(), progress -> started.countDown());
        started.await();
        victim.close();
        var failure = assertThrows(CancellationException.class, future::join);
        assertInstanceOf(GenerationCancelledException.class, failure.getCause() == null ? failure : failure.getCause());
    }

    @Test
    void closingRefusesThoseThatWait() throws IOException, InterruptedException {
        Pipeline victim = Pipeline.open(model, EngineOptions.ofThreads(1));
        CountDownLatch started = new CountDownLatch(1);
        var first = victim.generateAsync(request("x").steps(1000).build(), progress -> started.countDown());
        started.await();
        var second = new CompletableFuture<List<GeneratedImage>>();
        Thread waiting = Thread.ofPlatform().start(() -> {
            try {
                second.complete(victim.generate(request("x").steps(1000).build()));
            } catch (RuntimeException e) {
                second.completeExceptionally(e);
            }
        });
        while (waiting.getState() != Thread.State.WAITING) {
            Thread.sleep(1);
        }
        victim.close();
        assertThrows(CancellationException.class, first::join);
        var failure = assertThrows(CompletionException.class, second::join).getCause();
        assertInstanceOf(IllegalStateException.class, failure);
        assertTrue(failure.getMessage().endsWith("is closed"), failure.getMessage());
    }

    @Test
    void modelsThatCannotDrawAreRefusedWithTheReason() throws IOException {
        Path noVae = folder.resolve("no-vae.safetensors");
        NanoModel.writeDrawable(noVae, name -> !name.startsWith("first_stage_model."));
        assertRefused(noVae, "there is no VAE here");

        Path noDecoder = folder.resolve("no-decoder.safetensors");
        NanoModel.writeDrawable(noDecoder, name -> !name.startsWith("first_stage_model.decoder"));
        assertRefused(noDecoder, "VAE without decoder");

        Path noUnet = folder.resolve("no-unet.safetensors");
        NanoModel.writeDrawable(noUnet, name -> !name.startsWith("model.diffusion_model."));
        assertRefused(noUnet, "use a whole Stable Diffusion checkpoint");

        Path noText = folder.resolve("no-text.safetensors");
        NanoModel.writeDrawable(noText, name -> !name.startsWith("cond_stage_model."));
        assertRefused(noText, "token_embedding.weight' is missing");

        Path misfit = folder.resolve("misfit.safetensors");
        NanoModel.writeMisfit(misfit);
        assertRefused(misfit, "parts of different models");

        Path narrow = folder.resolve("short.safetensors");
        NanoModel.writeShort(narrow);
        assertRefused(narrow, "chunks of 76 tokens");
    }

    private static void assertRefused(Path file, String reason) {
        var failure = assertThrows(ModelFormatException.class, () -> Pipeline.open(file, EngineOptions.ofThreads(1)));
        assertTrue(failure.getMessage().contains(reason), failure.getMessage());
        assertTrue(failure.getMessage().contains(file.toString()), failure.getMessage());
        assertFalse(failure.getMessage().contains("\n"));
    }

    @Test
    void absurdThreadCountsAreRefused() {
        for (int threads : new int[] {0, -1, 513, Integer.MAX_VALUE}) {
            assertThrows(IllegalArgumentException.class, () -> EngineOptions.ofThreads(threads));
        }
    }
}
