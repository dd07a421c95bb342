package io.aquarelle;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.Progress.Phase;
import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.ControlNet;
import io.aquarelle.model.EditableModel;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.NanoControlNet;
import io.aquarelle.plan.CallSelection;
import io.aquarelle.plan.PlanSyntax;
import io.aquarelle.plan.SelectiveGuidance;
import io.aquarelle.sampling.Samplers;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Pictures that are drawn together are those that are drawn one by one, to the bit. */
class BatchTest {
    private static final int PICTURES = 3;

    @TempDir
    static Path folder;

    private static Pipeline pipeline;
    private static ControlNet net;

    @BeforeAll
    static void open() throws IOException {
        Path model = EditableModel.of("sd1-nano").withVocabulary().write(folder.resolve("nano.safetensors"));
        pipeline = Pipeline.open(model, EngineOptions.ofThreads(1));
        net = pipeline.controlNet(NanoControlNet.of("sd1-nano").write(folder.resolve("control.safetensors")));
    }

    @AfterAll
    static void close() {
        pipeline.close();
    }

    private static ImageRequest.Builder request() {
        return ImageRequest.builder("a red apple")
                .size(64, 48)
                .steps(4)
                .seed(5)
                .guidance(3)
                .batch(PICTURES);
    }

    private static Picture picture() {
        byte[] rgb = new byte[3 * 64 * 48];
        for (int i = 0; i < rgb.length; i++) {
            rgb[i] = (byte) (i * 37 % 256);
        }
        return Picture.of(64, 48, rgb);
    }

    private static Picture halfWhite() {
        byte[] rgb = new byte[3 * 64 * 48];
        Arrays.fill(rgb, 0, rgb.length / 2, (byte) 255);
        return Picture.of(64, 48, rgb);
    }

    static Stream<String> samplers() {
        return Samplers.names().stream();
    }

    @ParameterizedTest
    @MethodSource("samplers")
    void everySamplerDrawsTheSame(String sampler) {
        assertTogether(request().sampler(sampler).build(), PICTURES);
    }

    /** What a request may have beside the prompt. */
    private static final Map<String, UnaryOperator<ImageRequest.Builder>> FEATURES = Map.ofEntries(
            Map.entry("no guidance", it -> it.guidance(1)),
            Map.entry("prompts of unequal length", it -> it.negativePrompt("word ".repeat(100))),
            Map.entry("variations", it -> it.variation(new Variation(9, 0.3f))),
            Map.entry("a picture", it -> it.image(picture()).strength(0.6f)),
            Map.entry("a picture that stays", it -> it.image(picture()).strength(0)),
            Map.entry("a mask", it -> it.image(picture()).mask(halfWhite()).strength(1)),
            Map.entry("a control net", it -> it.controls(List.of(new Control(net, picture(), null, 1, 0, 0.7f)))),
            Map.entry("stored features", it -> it.plan(PlanSyntax.inheritance("layer:0/2"))),
            Map.entry("calls without guidance", it -> it.plan(new SelectiveGuidance(CallSelection.lastPercent(50)))),
            Map.entry(
                    "stored features of a control net",
                    it -> it.controls(List.of(new Control(net, picture(), null, 1, 0, 1)))
                            .plan(PlanSyntax.inheritance("block/2"))),
            Map.entry("a second pass", it -> it.hires(Hires.of(96, 64))),
            Map.entry("a second pass over pixels", it -> it.hires(new Hires(96, 64, Hires.Method.LANCZOS, 0, 0.7f))));

    static Stream<String> features() {
        return FEATURES.keySet().stream().sorted();
    }

    @ParameterizedTest
    @MethodSource("features")
    void everyFeatureDrawsTheSame(String feature) {
        assertTogether(FEATURES.get(feature).apply(request()).build(), PICTURES);
    }

    @Test
    void whatIsDecidedWhileDrawingIsDecidedForEachPicture() {
        assertTogether(request().plan(PlanSyntax.inheritance("block~0.1")).build(), 1);
    }

    @Test
    void picturesOfOtherPromptsDoNotStayBehind() {
        assertTogether(request().prompt("one").build(), PICTURES);
        assertTogether(request().prompt("two").batch(2).build(), 2);
    }

    /** Draws a request, and its pictures one by one; the UNet is to take as many at a time. */
    private static void assertTogether(ImageRequest request, int together) {
        List<Integer> sizes = new ArrayList<>();
        List<GeneratedImage> images = pipeline.generate(request, progress -> {
            if (progress.phase() == Phase.DENOISE) {
                sizes.add(progress.images());
            }
        });
        assertTrue(sizes.stream().allMatch(size -> size == together), sizes.toString());
        assertEquals(request.batch(), images.size());
        for (int i = 0; i < images.size(); i++) {
            GeneratedImage alone = pipeline.generate(request.only(i)).getFirst();
            GeneratedImage image = images.get(i);
            assertArrayEquals(alone.rgb(), image.rgb(), "picture " + i);
            assertEquals(alone.seed(), image.seed());
            assertEquals(alone.infotext(), image.infotext());
            assertEquals(alone.unetCalls(), image.unetCalls());
            assertEquals(alone.work().run(), image.work().run());
            assertEquals(alone.work().reused(), image.work().reused());
            assertEquals(alone.work().skipped(), image.work().skipped());
        }
    }

    @Test
    void batchesAreNoLargerThanOnePictureOf512() {
        assertEquals(
                List.of(new Batch(0, 16), new Batch(16, 4)), batches(request().size(128, 128), 20));
        assertEquals(List.of(new Batch(0, 3)), batches(request().size(128, 128), 3));
        assertEquals(
                List.of(new Batch(0, 4), new Batch(4, 1)), batches(request().size(256, 256), 5));
        assertEquals(
                List.of(new Batch(0, 1), new Batch(1, 1)), batches(request().size(512, 512), 2));
        assertEquals(
                List.of(new Batch(0, 1), new Batch(1, 1)), batches(request().size(1024, 1024), 2));
        var twice = request().size(128, 128).hires(Hires.of(256, 256));
        assertEquals(List.of(new Batch(0, 4), new Batch(4, 1)), batches(twice, 5));
    }

    private static List<Batch> batches(ImageRequest.Builder request, int pictures) {
        try (Model model = open(folder.resolve("nano.safetensors"))) {
            return Batch.of(pictures, Course.of(request.build(), model));
        }
    }

    private static Model open(Path file) {
        try {
            return Model.open(Checkpoint.open(file), EngineOptions.ofThreads(1), null);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void eachPictureIsHandedOverOnceItIsThere() {
        List<Object> heard = new ArrayList<>();
        var listener = new ProgressListener() {
            @Override
            public void progress(Progress progress) {
                if (progress.phase() == Phase.DECODE) {
                    heard.add(progress);
                }
            }

            @Override
            public void finished(int index, GeneratedImage image) {
                heard.add(index + " of seed " + image.seed());
            }
        };
        pipeline.draw(request().batch(2).build(), listener);
        assertEquals(
                List.of(
                        new Progress(Phase.DECODE, 0, 0, 1),
                        new Progress(Phase.DECODE, 0, 1, 1),
                        "0 of seed 5",
                        new Progress(Phase.DECODE, 1, 0, 1),
                        new Progress(Phase.DECODE, 1, 1, 1),
                        "1 of seed 6"),
                heard);
    }

    @Test
    void aListenerThatFailsEndsTheBatch() {
        var listener = new ProgressListener() {
            @Override
            public void progress(Progress progress) {}

            @Override
            public void finished(int index, GeneratedImage image) {
                throw new IllegalStateException("picture " + index);
            }
        };
        Exception failure = assertThrows(
                IllegalStateException.class, () -> pipeline.draw(request().build(), listener));
        assertEquals("picture 0", failure.getMessage());
    }
}
