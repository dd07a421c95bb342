package io.aquarelle;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.ControlNet;
import io.aquarelle.model.EditableModel;
import io.aquarelle.model.Engine;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.ModelFormatException;
import io.aquarelle.model.ModelSpec;
import io.aquarelle.model.NanoControlNet;
import io.aquarelle.model.NanoModel;
import io.aquarelle.model.Residuals;
import io.aquarelle.model.UNet;
import io.aquarelle.model.UNet.Condition;
import io.aquarelle.model.Weights;
import io.aquarelle.plan.CallSelection;
import io.aquarelle.plan.FeatureInheritance;
import io.aquarelle.plan.SelectiveGuidance;
import io.aquarelle.plan.StepPolicy;
import io.aquarelle.plan.UnitSelection;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Control nets through Java. What they compute is tested against golden data here and in the native tests. */
class ControlTest {
    private static final int SIDE = 64;

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

    /** The picture of the golden files' formula. */
    private static Picture picture(int width, int height) {
        byte[] rgb = new byte[3 * width * height];
        for (int i = 0; i < rgb.length; i++) {
            int p = i / 3;
            rgb[i] = (byte) Math.round((i % 3 * 7 + p / width * 13 + p % width * 29) % 64 * 255 / 63.0);
        }
        return Picture.of(width, height, rgb);
    }

    private static ImageRequest.Builder request(Control... controls) {
        return ImageRequest.builder("a red apple")
                .size(SIDE, SIDE)
                .steps(6)
                .seed(5)
                .guidance(3)
                .sampler("euler")
                .controls(List.of(controls));
    }

    private static byte[] draw(ImageRequest.Builder request) {
        return pipeline.generate(request.build()).getFirst().rgb();
    }

    private static Control control(float strength, float start, float end) {
        return new Control(net, picture(SIDE, SIDE), null, strength, start, end);
    }

    @ParameterizedTest
    @CsvSource({"sd1-nano, false", "sd1-nano, true", "sdxl-nano, false", "sdxl-nano, true"})
    void outputsAreTheGoldenOnesUnderTheNamesOfCompVisAndDiffusers(String family, boolean diffusers)
            throws IOException {
        EditableModel tensors = NanoControlNet.of(family);
        Path file = (diffusers ? NanoControlNet.inDiffusersNames(tensors) : tensors)
                .write(folder.resolve(family + diffusers + ".safetensors"));
        try (Checkpoint model = Checkpoint.open(NanoModel.golden(family));
                Checkpoint golden = Checkpoint.open(NanoModel.golden(family + "-golden"));
                Checkpoint controlled = Checkpoint.open(NanoModel.golden(family + "-control"));
                Engine engine = Engine.create(EngineOptions.ofThreads(2));
                Weights weights = Weights.of(model);
                Checkpoint opened = Checkpoint.open(file);
                Weights controlWeights = Weights.of(opened);
                UNet unet = UNet.create(
                        engine,
                        weights,
                        ModelSpec.UNET_PREFIX,
                        ModelSpec.of(model).heads());
                ControlNet control = ControlNet.create(unet, controlWeights);
                Residuals residuals = Residuals.of(unet, 24, 8)) {
            float[] latent = NanoModel.floats(golden, "unet.x.h24w8");
            float[] label = unet.labelWidth() > 0 ? NanoModel.floats(golden, "adm.cond") : new float[0];
            Condition condition = new Condition(NanoModel.floats(golden, "text.cond"), 77, label, new float[0]);
            boolean[] all = new boolean[unet.residuals()];
            Arrays.fill(all, true);
            float[] t = {321};
            float[] hint = new float[3 * 192 * 64];
            for (int i = 0; i < hint.length; i++) {
                hint[i] = (i / (192 * 64) * 7 + i / 64 % 192 * 13 + i % 64 * 29) % 64 / 63f;
            }
            control.evaluate(latent, t, condition, hint, 24, 8, List.of(residuals), all, 0.7f, false, null);
            float[] actual = unet.evaluate(
                            latent, t, condition, 24, 8, List.of(), List.of(), List.of(residuals), List.of(), null)
                    .output();
            assertArrayEquals(NanoModel.floats(controlled, "golden.eps.cond.0.7"), actual, 1e-4f);
        }
    }

    @Test
    void strengthDecidesHowFarThePictureIsFollowed() {
        byte[] plain = draw(request());
        assertArrayEquals(plain, draw(request(control(0, 0, 1))));
        byte[] weak = draw(request(control(0.05f, 0, 1)));
        byte[] strong = draw(request(control(1, 0, 1)));
        assertTrue(difference(plain, weak) > 0);
        assertTrue(difference(plain, strong) > 2 * difference(plain, weak));
        assertFalse(Arrays.equals(
                strong, draw(request(new Control(net, picture(SIDE, SIDE), Canny.DEFAULT, 1, 0, 1)))));
    }

    private static double difference(byte[] a, byte[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += Math.abs((a[i] & 0xff) - (b[i] & 0xff));
        }
        return sum / a.length;
    }

    @Test
    void takesPartInTheStepsAskedForOnly() {
        Control late = control(1, 0.5f, 1);
        assertEquals(
                List.of(false, false, false, true, true, true),
                IntStream.range(0, 6).mapToObj(i -> late.covers(i, 6)).toList());
        assertFalse(control(1, 0, 0.5f).covers(3, 6));
        assertFalse(control(1, 0.1f, 0.1f).covers(0, 1));
        // Where it ends before the first step is over, nothing changes.
        assertArrayEquals(draw(request()), draw(request(control(1, 0, 0.1f))));
        byte[] whole = draw(request(control(1, 0, 1)));
        byte[] early = draw(request(control(1, 0, 0.5f)));
        assertFalse(Arrays.equals(whole, early));
        assertFalse(Arrays.equals(draw(request(late)), early));
    }

    @Test
    void twoHalvesAreOneWhole() {
        byte[] whole = draw(request(control(1, 0, 1)));
        byte[] halves = draw(request(control(0.5f, 0, 1), control(0.5f, 0, 1)));
        assertArrayEquals(whole, halves);
        // One after the other, too.
        assertArrayEquals(whole, draw(request(control(1, 0, 0.5f), control(1, 0.5f, 1))));
    }

    @Test
    void eachPictureOfABatchAndEachRequestStartsAnew() {
        var batch = pipeline.generate(request(control(1, 0, 1)).batch(2).build());
        byte[] second = draw(request(control(1, 0, 1)).seed(6));
        assertArrayEquals(draw(request(control(1, 0, 1))), batch.getFirst().rgb());
        assertArrayEquals(second, batch.getLast().rgb());
    }

    @Test
    void plansGoWithControlNets() {
        byte[] full = draw(request(control(1, 0, 1)));
        for (StepPolicy plan : List.of(
                new SelectiveGuidance(CallSelection.lastPercent(0)),
                new FeatureInheritance(UnitSelection.encoder(), CallSelection.every(1)))) {
            assertArrayEquals(full, draw(request(control(1, 0, 1)).plan(plan)));
        }
        StepPolicy encoder = new FeatureInheritance(UnitSelection.encoder(), CallSelection.listed("0"));
        byte[] kept = draw(request(control(1, 0, 1)).plan(encoder));
        assertFalse(Arrays.equals(kept, draw(request().plan(encoder))));
        assertFalse(Arrays.equals(kept, draw(request(control(1, 0, 0.2f)).plan(encoder))));
        StepPolicy both = encoder.then(new SelectiveGuidance(CallSelection.lastPercent(50)));
        assertFalse(Arrays.equals(kept, draw(request(control(1, 0, 1)).plan(both))));
    }

    @Test
    void explainedCallsCountWhatControlNetsCompute() {
        StepPolicy encoder = new FeatureInheritance(UnitSelection.encoder(), CallSelection.listed("0"));
        List<PlannedCall> calls = pipeline.explain(
                request(control(1, 0, 1)).guidance(1).plan(encoder).build());
        double whole = calls.get(0).work().multiplyAdds();
        double decoder = calls.get(1).work().multiplyAdds();
        // The UNet's encoder, the embedding of time, which the decoder needs too, and a 1 x 1 convolution a residual:
        // three of 32 channels at 8 x 8, one of 32 and three of 64 at 4 x 4.
        double time = 32 * 128 + 128 * 128;
        double convolutions = 3 * 32 * 32 * 64 + 32 * 32 * 16 + 3 * 64 * 64 * 16;
        double net = whole - decoder + time + convolutions;
        assertEquals(net, calls.get(0).controlMultiplyAdds(), 1);
        assertEquals(1, calls.get(0).share(), 1e-9);
        // What was added to reused outputs is part of them.
        assertEquals(0, calls.get(1).controlMultiplyAdds());
        assertEquals(decoder / (whole + net), calls.get(1).share(), 1e-9);

        List<PlannedCall> half = pipeline.explain(
                request(control(1, 0, 0.5f), control(0.5f, 0, 0.5f)).guidance(1).build());
        assertEquals(2 * net, half.get(2).controlMultiplyAdds(), 1);
        assertEquals(0, half.get(3).controlMultiplyAdds());
        assertEquals(1, half.get(3).share(), 1e-9);
        List<PlannedCall> guided = pipeline.explain(request(control(1, 0, 1)).build());
        assertTrue(guided.getFirst().controlMultiplyAdds() > 1.8 * net);
        assertEquals(0, pipeline.explain(request().build()).getFirst().controlMultiplyAdds());
    }

    @Test
    void promptsOfOtherLengthsAndInpaintingWork() {
        String longPrompt = "a red apple on a table ".repeat(20);
        byte[] mixed = draw(request(control(1, 0, 1)).negativePrompt(longPrompt));
        assertFalse(Arrays.equals(mixed, draw(request().negativePrompt(longPrompt))));
        byte[] from = draw(request(control(1, 0, 1)).image(picture(SIDE, SIDE)).strength(0.5f));
        assertFalse(
                Arrays.equals(from, draw(request().image(picture(SIDE, SIDE)).strength(0.5f))));
    }

    @Test
    void theSameFileIsOpenedOnceAndServesItsOwnPipelineOnly() throws IOException {
        assertSame(net, pipeline.controlNet(folder.resolve("control.safetensors")));
        try (Pipeline other = pipeline.share()) {
            var failure = assertThrows(
                    IllegalArgumentException.class,
                    () -> other.generate(request(control(1, 0, 1)).build()));
            assertTrue(failure.getMessage().contains("another pipeline"), failure.getMessage());
        }
        Pipeline closed = pipeline.share();
        closed.close();
        assertThrows(IllegalStateException.class, () -> closed.controlNet(folder.resolve("control.safetensors")));
    }

    @Test
    void wrongFilesAreRefusedWithTheTensorNamed() throws IOException {
        EditableModel lacking = NanoControlNet.of("sd1-nano");
        lacking.tensors.remove("control_model.zero_convs.2.0.weight");
        assertRefused(lacking, "control_model.zero_convs.2.0.weight");
        assertRefused(NanoControlNet.of("sdxl-nano"), "control_model.label_emb.0.0.weight");
        EditableModel union = NanoControlNet.of("sd1-nano");
        union.tensors.put("control_model.task_embedding", union.tensors.get("control_model.input_blocks.0.0.bias"));
        assertRefused(union, "task_embedding");
        assertRefused(EditableModel.of("sd1-nano"), "input_hint_block.0.weight");
    }

    private static void assertRefused(EditableModel tensors, String name) throws IOException {
        Path file = tensors.write(folder.resolve("wrong.safetensors"));
        var failure = assertThrows(ModelFormatException.class, () -> pipeline.controlNet(file));
        assertTrue(failure.getMessage().startsWith(file.toString()), failure.getMessage());
        assertTrue(failure.getMessage().contains(name), failure.getMessage());
        assertEquals(1, failure.getMessage().lines().count());
    }

    @Test
    void numbersOutOfRangeAreRefused() {
        Picture picture = picture(8, 8);
        assertThrows(IllegalArgumentException.class, () -> new Control(net, picture, null, -1, 0, 1));
        assertThrows(IllegalArgumentException.class, () -> new Control(net, picture, null, Float.NaN, 0, 1));
        assertThrows(IllegalArgumentException.class, () -> new Control(net, picture, null, 1, 0.6f, 0.5f));
        assertThrows(IllegalArgumentException.class, () -> new Control(net, picture, null, 1, 0, 1.5f));
        assertThrows(IllegalArgumentException.class, () -> new Canny(-0.1f, 0.1f, false));
        assertThrows(IllegalArgumentException.class, () -> new Canny(0.1f, Float.NaN, false));
    }
}
