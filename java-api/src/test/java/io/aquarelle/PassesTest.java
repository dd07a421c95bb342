package io.aquarelle;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.Hires.Method;
import io.aquarelle.model.CallControl;
import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.EditableModel;
import io.aquarelle.model.EditableModel.Tensor;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.NanoModel;
import io.aquarelle.model.UNet;
import io.aquarelle.model.UNet.Condition;
import io.aquarelle.plan.CallSelection;
import io.aquarelle.plan.SelectiveGuidance;
import io.aquarelle.sampling.Denoiser;
import io.aquarelle.sampling.NoiseSchedule;
import io.aquarelle.sampling.Prediction;
import io.aquarelle.sampling.RandomSources;
import io.aquarelle.sampling.Samplers;
import io.aquarelle.sampling.SigmaSchedules;
import io.aquarelle.sampling.StepListener;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Second passes, variations, and models that edit pictures, against the same written out with networks and samplers. */
class PassesTest {
    private static final String FIRST = "model.diffusion_model.input_blocks.0.0.weight";
    private static final int SIDE = 64;
    private static final float SCALE = 0.18215f;

    @TempDir
    static Path folder;

    private static Pipeline pipeline;
    private static Pipeline editor;
    private static Model model; // opened by the same files, for what the pipelines hide
    private static Model editing;

    @BeforeAll
    static void open() throws IOException {
        Path plain = EditableModel.of("sd1-nano").withVocabulary().write(folder.resolve("nano.safetensors"));
        EditableModel edit = EditableModel.of("sd1-nano").withVocabulary();
        edit.tensors.put(FIRST, widened(edit.tensors.get(FIRST)));
        Path wide = edit.write(folder.resolve("edit.safetensors"));
        EngineOptions options = EngineOptions.ofThreads(1);
        pipeline = Pipeline.open(plain, options);
        editor = Pipeline.open(wide, options);
        model = Model.open(Checkpoint.open(plain), options, null);
        editing = Model.open(Checkpoint.open(wide), options, null);
    }

    /** [32][4][3][3] to [32][8][3][3], random where it was nothing. */
    private static Tensor widened(Tensor kernel) {
        SplittableRandom random = new SplittableRandom(4);
        float[] wide = new float[2 * kernel.values().length];
        for (int i = 0; i < wide.length; i++) {
            boolean old = i % 72 < 36;
            wide[i] = old ? kernel.values()[i / 72 * 36 + i % 72] : (float) random.nextGaussian() * 0.2f;
        }
        return new Tensor(List.of(32L, 8L, 3L, 3L), wide);
    }

    @AfterAll
    static void close() {
        pipeline.close();
        editor.close();
        model.close();
        editing.close();
    }

    private static Picture rings(int width, int height) {
        byte[] rgb = new byte[3 * width * height];
        for (int i = 0; i < rgb.length; i++) {
            int p = i / 3;
            double distance = Math.hypot(p % width - width / 2.0, p / (double) width - height / 2.0);
            rgb[i] = (byte) (127 + 100 * Math.sin(distance / 5 + i % 3));
        }
        return Picture.of(width, height, rgb);
    }

    private static ImageRequest.Builder request() {
        return ImageRequest.builder("a red apple")
                .size(SIDE, SIDE)
                .steps(4)
                .seed(5)
                .guidance(1)
                .sampler("euler");
    }

    private static byte[] draw(Pipeline on, ImageRequest.Builder request) {
        return on.generate(request.build()).getFirst().rgb();
    }

    private static Condition condition(Model of, String prompt) {
        TextEmbedding text =
                TextEmbedding.of(prompt, of.networks().text(), new PromptWords(List.of()), 0, new CallControl());
        return Condition.ofText(text.hidden(), text.tokens());
    }

    private static float[] unet(Model of, float[] x, float[] beside, float sigma, Condition condition, int side) {
        float[] input = Arrays.copyOf(x, x.length + beside.length);
        for (int i = 0; i < x.length; i++) {
            input[i] *= Prediction.EPS.inputScale(sigma);
        }
        System.arraycopy(beside, 0, input, x.length, beside.length);
        UNet unet = of.networks().unet();
        float[] t = {NoiseSchedule.stableDiffusion().timestep(sigma)};
        return unet.evaluate(input, t, condition, side, side, null);
    }

    private static byte[] decoded(Model of, float[] latent, int side) {
        float[] unscaled = latent.clone();
        for (int i = 0; i < unscaled.length; i++) {
            unscaled[i] /= SCALE;
        }
        int factor = of.networks().vae().factor();
        return Picture.of(side * factor, side * factor, of.networks().vae().decode(unscaled, 1, side, side, null))
                .rgb();
    }

    private static float[] sigmas(int steps) {
        return SigmaSchedules.DISCRETE.sigmas(NoiseSchedule.stableDiffusion(), steps);
    }

    private static float[] noised(float[] latent, float sigma) {
        float[] noise = RandomSources.philox(5).normal(latent.length);
        for (int i = 0; i < noise.length; i++) {
            noise[i] = latent[i] + sigma * noise[i];
        }
        return noise;
    }

    private static int side(Model of) {
        return SIDE / of.networks().vae().factor();
    }

    private static float[] sampled(float[] latent, float[] sigmas, int side) {
        Condition condition = condition(model, "a red apple");
        Denoiser denoiser =
                (x, sigma) -> Prediction.EPS.denoised(x, unet(model, x, new float[0], sigma, condition, side), sigma);
        return Samplers.EULER.sample(
                denoiser, noised(latent, sigmas[0]), sigmas, RandomSources.philox(5), StepListener.NONE);
    }

    @ParameterizedTest
    @EnumSource(Method.class)
    void secondPassDrawsOnFromTheEnlargedFirst(Method upscaler) {
        int side = side(model);
        float[] first = sampled(new float[4 * side * side], sigmas(4), side);
        float[] large;
        if (upscaler == Method.LANCZOS) {
            Picture picture =
                    Picture.of(SIDE, SIDE, decoded(model, first, side)).fitted(96, 96);
            float[] moments = model.networks().vae().encode(picture.planes(), 1, side * 3 / 2, side * 3 / 2, null);
            large = new StartPicture(moments, SCALE, null).latent(RandomSources.philox(5), moments.length / 2);
        } else {
            large = upscaler.enlarged(first, side, side, side * 3 / 2, side * 3 / 2);
        }
        // 3 steps at strength 0.4 are the last 3 of 7.
        float[] sigmas = Arrays.copyOfRange(sigmas(7), 4, 8);
        byte[] expected = decoded(model, sampled(large, sigmas, side * 3 / 2), side * 3 / 2);
        GeneratedImage image = pipeline.generate(
                        request().hires(new Hires(96, 96, upscaler, 3, 0.4f)).build())
                .getFirst();
        assertEquals(96, image.width());
        assertArrayEquals(expected, image.rgb());
        assertEquals(7, image.unetCalls());
        assertTrue(image.infotext().contains("Hires upscaler: " + upscaler.title()), image.infotext());
        assertTrue(
                image.infotext().contains("Size: 64x64") && image.infotext().contains("Hires resize: 96x96"),
                image.infotext());
    }

    @Test
    void anUpscalerEnlargesThePixelsBeforeTheSecondPass() throws IOException {
        int side = side(model);
        float[] first = sampled(new float[4 * side * side], sigmas(4), side);
        try (Upscaler upscaler = Upscaler.open(NanoModel.golden("upscaler-nano-x4"), EngineOptions.ofThreads(1))) {
            Picture large = upscaler.upscale(Picture.of(SIDE, SIDE, decoded(model, first, side)));
            float[] moments =
                    model.networks().vae().encode(large.fitted(96, 96).planes(), 1, side * 3 / 2, side * 3 / 2, null);
            float[] start = new StartPicture(moments, SCALE, null).latent(RandomSources.philox(5), moments.length / 2);
            float[] sigmas = Arrays.copyOfRange(sigmas(7), 4, 8);
            byte[] expected = decoded(model, sampled(start, sigmas, side * 3 / 2), side * 3 / 2);
            Hires hires = new Hires(96, 96, Method.LANCZOS, upscaler, 3, 0.4f);
            List<Progress> told = new ArrayList<>();
            GeneratedImage image =
                    pipeline.generate(request().hires(hires).build(), told::add).getFirst();
            assertArrayEquals(expected, image.rgb());
            assertTrue(image.infotext().contains("Hires upscaler: upscaler-nano-x4"), image.infotext());
            assertTrue(told.contains(new Progress(Progress.Phase.UPSCALE, 0, 1, 1)), told.toString());
            // 256 pixels are less than asked for: enlarged twice.
            assertEquals(
                    2, upscales(request().hires(Hires.of(264, 64, upscaler)).build()));
            assertThrows(IllegalArgumentException.class, () -> new Hires(96, 96, Method.LATENT, upscaler, 0, 0.5f));
        }
    }

    private static long upscales(ImageRequest request) {
        List<Progress> told = new ArrayList<>();
        pipeline.generate(request, told::add);
        return told.stream()
                .filter(it -> it.phase() == Progress.Phase.UPSCALE && it.step() == 0)
                .count();
    }

    @Test
    void withoutStrengthTheFirstPassIsOnlyEnlarged() {
        byte[] plain = draw(pipeline, request());
        for (Method upscaler : Method.values()) {
            if (!upscaler.needsPixels()) {
                assertArrayEquals(plain, draw(pipeline, request().hires(new Hires(SIDE, SIDE, upscaler, 0, 0))));
            }
        }
        // At full strength as many steps as asked for, or as the first pass has.
        assertEquals(8, calls(new Hires(SIDE, SIDE, Method.LATENT, 0, 1)));
        assertEquals(8, calls(new Hires(SIDE, SIDE, Method.LATENT, 4, 0.5f)));
        assertEquals(5, calls(new Hires(SIDE, SIDE, Method.LATENT, 1, 0.01f)));
    }

    private static int calls(Hires hires) {
        ImageRequest request = request().hires(hires).build();
        assertEquals(pipeline.plan(request).size(), pipeline.explain(request).size());
        return pipeline.plan(request).size();
    }

    @Test
    void plansMasksAndBatchesGoWithASecondPass() {
        Hires hires = new Hires(96, 80, Method.LATENT, 0, 0.5f);
        var guided = request().guidance(3).hires(hires);
        int calls = pipeline.generate(guided.build()).getFirst().unetCalls();
        var half = guided.plan(new SelectiveGuidance(CallSelection.lastPercent(50)));
        assertEquals(calls - 4, pipeline.generate(half.build()).getFirst().unetCalls());

        byte[] light = new byte[3 * 96 * 80];
        for (int i = 0; i < light.length; i++) {
            light[i] = (byte) (i / 3 % 96 >= 48 ? 255 : 0);
        }
        Picture start = rings(96, 80);
        byte[] masked = draw(
                pipeline,
                request()
                        .size(96, 80)
                        .image(start)
                        .mask(Picture.of(96, 80, light))
                        .strength(0.8f)
                        .hires(hires));
        for (int i = 0; i < masked.length; i++) {
            if (i / 3 % 96 < 48) {
                assertEquals(start.rgb()[i], masked[i]);
            }
        }
        var batch = pipeline.generate(request().hires(hires).batch(2).build());
        assertArrayEquals(
                draw(pipeline, request().hires(hires).seed(6)), batch.getLast().rgb());
    }

    @Test
    void planesAreResizedAndNoiseIsTurnedAsByPyTorch() throws IOException {
        try (var in = new BufferedReader(
                new InputStreamReader(PassesTest.class.getResourceAsStream("passes.txt"), StandardCharsets.UTF_8))) {
            List<String[]> rows = new ArrayList<>();
            in.lines().forEach(line -> rows.add(line.split(" ")));
            float[] input = values(rows.getFirst());
            int compared = 0;
            for (String[] row : rows) {
                int height = Integer.parseInt(row[1]);
                int width = Integer.parseInt(row[2]);
                if (Arrays.stream(Interpolation.values())
                        .anyMatch(it -> it.name().equals(row[0]))) {
                    float[] actual = Interpolation.valueOf(row[0]).resized(input, 3, 4, height, width);
                    assertArrayEquals(values(row), actual, 2e-6f, row[0] + height);
                    compared++;
                } else if (row[0].startsWith("slerp")) {
                    float[] a = values(rows.get(13));
                    float[] b = values(rows.get(14));
                    Variation variation = new Variation(1, Float.parseFloat(row[0].substring(5)));
                    assertArrayEquals(values(row), variation.noise(n -> a, n -> b, 2, 5, 3), 2e-6f, row[0]);
                    compared++;
                }
            }
            assertEquals(15, compared);
        }
    }

    private static float[] values(String[] row) {
        float[] values = new float[row.length - 3];
        for (int i = 0; i < values.length; i++) {
            values[i] = Float.parseFloat(row[i + 3]);
        }
        return values;
    }

    @Test
    void variationsGoFromOneSeedToAnother() {
        byte[] own = draw(pipeline, request());
        byte[] other = draw(pipeline, request().seed(9));
        assertArrayEquals(own, draw(pipeline, request().variation(new Variation(9, 0))));
        assertArrayEquals(other, draw(pipeline, request().variation(new Variation(9, 1))));
        assertArrayEquals(own, draw(pipeline, request().variation(new Variation(5, 0.4f))));
        byte[] near = draw(pipeline, request().variation(new Variation(9, 0.1f)));
        assertTrue(difference(own, near) > 0);
        assertTrue(difference(own, near) < difference(own, other) / 2);
        // Pictures of a batch vary the same seed.
        var batch = pipeline.generate(
                request().variation(new Variation(9, 0.1f)).batch(2).build());
        assertArrayEquals(near, batch.getFirst().rgb());
        assertArrayEquals(
                draw(pipeline, request().variation(new Variation(10, 0.1f))),
                batch.getLast().rgb());
        assertEquals(5, batch.getLast().seed());
        assertTrue(batch.getLast().infotext().contains("Variation seed: 10, Variation seed strength: 0.1"));
        ImageRequest second =
                request().variation(new Variation(9, 0.1f)).batch(2).build().only(1);
        assertArrayEquals(
                batch.getLast().png(), pipeline.generate(second).getFirst().png());
    }

    private static double difference(byte[] a, byte[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += Math.abs((a[i] & 0xff) - (b[i] & 0xff));
        }
        return sum / a.length;
    }

    /** Of one step from noise alone: what the VAE decodes is the estimate of that step. */
    private static byte[] edited(float textScale, float imageScale) {
        int side = side(editing);
        float[] moments = editing.networks().vae().encode(rings(SIDE, SIDE).planes(), 1, side, side, null);
        float[] image = Arrays.copyOf(moments, moments.length / 2);
        float[] nothing = new float[image.length];
        float sigma = sigmas(1)[0];
        float[] x = noised(new float[image.length], sigma);
        // At full strength the start is the picture's latent with noise that hides it.
        float[] start = new StartPicture(moments, SCALE, null).latent(RandomSources.philox(5), image.length);
        for (int i = 0; i < x.length; i++) {
            x[i] += start[i];
        }
        Condition prompt = condition(editing, "a red apple");
        Condition negative = condition(editing, "blurry");
        float[] both = unet(editing, x, image, sigma, prompt, side);
        float[] picture = unet(editing, x, image, sigma, negative, side);
        float[] neither = unet(editing, x, nothing, sigma, negative, side);
        float[] mixed = new float[x.length];
        for (int i = 0; i < x.length; i++) {
            mixed[i] = neither[i] + imageScale * (picture[i] - neither[i]) + textScale * (both[i] - picture[i]);
        }
        return decoded(editing, Prediction.EPS.denoised(x, mixed, sigma), side);
    }

    private static ImageRequest.Builder edit() {
        return request()
                .negativePrompt("blurry")
                .image(rings(SIDE, SIDE))
                .strength(1)
                .steps(1);
    }

    @Test
    void editingModelsMixThreeBranches() {
        GeneratedImage image =
                editor.generate(edit().guidance(6).imageGuidance(1.7f).build()).getFirst();
        assertTrue(difference(edited(6, 1.7f), image.rgb()) < 0.02);
        assertTrue(difference(edited(6, 1.2f), image.rgb()) > 0.5);
        assertEquals(3, image.unetCalls());
        // Branches that a scale of 1 takes out of the sum are not computed.
        GeneratedImage two =
                editor.generate(edit().guidance(6).imageGuidance(1).build()).getFirst();
        assertTrue(difference(edited(6, 1), two.rgb()) < 0.02);
        assertEquals(2, two.unetCalls());
        GeneratedImage one =
                editor.generate(edit().guidance(1).imageGuidance(1).build()).getFirst();
        assertTrue(difference(edited(1, 1), one.rgb()) < 0.02);
        assertEquals(1, one.unetCalls());
        GeneratedImage noText =
                editor.generate(edit().guidance(1).imageGuidance(1.7f).build()).getFirst();
        assertTrue(difference(edited(1, 1.7f), noText.rgb()) < 0.02);
    }

    @Test
    void editingModelsWorkWithoutAPictureAndStartFromNoise() {
        assertEquals(1, editor.request("x").build().strength());
        assertEquals(0.75f, pipeline.request("x").build().strength());
        GeneratedImage plain = editor.generate(request().guidance(3).build()).getFirst();
        assertEquals(8, plain.unetCalls());
        byte[] longPrompt = draw(editor, edit().guidance(3).negativePrompt("blurry ".repeat(90)));
        assertFalse(Arrays.equals(longPrompt, draw(editor, edit().guidance(3))));
        assertEquals(4, editor.explain(edit().steps(4).guidance(3).build()).size());
    }

    @Test
    void whatCannotBeDrawnIsRefused() {
        assertThrows(IllegalArgumentException.class, () -> Hires.of(65, 64));
        assertThrows(IllegalArgumentException.class, () -> new Hires(64, 64, Method.LATENT, -1, 0.5f));
        assertThrows(IllegalArgumentException.class, () -> new Hires(64, 64, Method.LATENT, 1, 1.5f));
        assertThrows(IllegalArgumentException.class, () -> new Variation(1, Float.NaN));
        assertThrows(
                IllegalArgumentException.class,
                () -> request().imageGuidance(Float.NaN).build());
        var failure = assertThrows(IllegalArgumentException.class, () -> Method.byName("best"));
        assertTrue(failure.getMessage().contains("Latent (bicubic)"), failure.getMessage());
        assertEquals(Method.LATENT_NEAREST_EXACT, Method.byName("latent nearest exact"));
    }
}
