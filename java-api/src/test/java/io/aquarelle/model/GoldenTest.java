package io.aquarelle.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.model.UNet.Condition;
import io.aquarelle.sampling.Denoiser;
import io.aquarelle.sampling.NoiseSchedule;
import io.aquarelle.sampling.Prediction;
import io.aquarelle.sampling.RandomSources;
import io.aquarelle.sampling.Samplers;
import io.aquarelle.sampling.SigmaSchedules;
import io.aquarelle.sampling.StepListener;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The networks through Java against what an independent PyTorch implementation computed with the same weights. */
class GoldenTest {
    private static final double FLOAT32_ORDER = 1e-4;

    /** BF16 keeps 8 bits of the 11 that the golden weights have; measured errors reach 1.03e-2. */
    private static final double BF16_ROUNDING = 2e-2;

    @TempDir
    Path folder;

    private Engine engine;

    @BeforeEach
    void open() throws IOException {
        engine = Engine.create(EngineOptions.ofThreads(2));
    }

    @AfterEach
    void close() {
        engine.close();
    }

    /** The networks of one file, and what they must give, closed together. */
    private record Nano(
            Checkpoint checkpoint,
            Checkpoint golden,
            ModelSpec spec,
            List<TextEncoder> text,
            UNet unet,
            Autoencoder vae,
            DataType type)
            implements AutoCloseable {
        static Nano open(Engine engine, String model, DataType type, Path file) throws IOException {
            Checkpoint checkpoint = Checkpoint.open(file);
            ModelSpec spec = ModelSpec.of(checkpoint);
            List<TextEncoder> text = new ArrayList<>();
            try (Weights weights = Weights.of(checkpoint)) {
                for (TextTower tower : spec.towers()) {
                    text.add(TextEncoder.create(engine, weights, tower));
                }
                return new Nano(
                        checkpoint,
                        Checkpoint.open(NanoModel.golden(model + "-golden")),
                        spec,
                        text,
                        UNet.create(engine, weights, ModelSpec.UNET_PREFIX, spec.heads()),
                        Autoencoder.create(engine, weights, ModelSpec.VAE_PREFIX),
                        type);
            }
        }

        float[] floats(String name) {
            return NanoModel.floats(golden, name);
        }

        /** A branch's text embedding, and its label where the UNet takes one. */
        Condition condition(String branch) {
            float[] label = unet.labelWidth() > 0 ? floats("adm." + branch) : new float[0];
            return new Condition(floats("text." + branch), 77, label, new float[0]);
        }

        float[] evaluate(String latent, int height, int width, float timestep) {
            return unet.evaluate(floats(latent), new float[] {timestep}, condition("cond"), height, width, null);
        }

        void assertClose(String expected, float[] actual) {
            GoldenTest.assertClose(floats(expected), actual, type == DataType.BF16 ? BF16_ROUNDING : FLOAT32_ORDER);
        }

        @Override
        public void close() {
            text.forEach(TextEncoder::close);
            unet.close();
            vae.close();
            golden.close();
            checkpoint.close();
        }
    }

    private Nano open(String model, DataType type) throws IOException {
        Path file = folder.resolve(model + type + ".safetensors");
        NanoModel.convert(model, type, file);
        return Nano.open(engine, model, type, file);
    }

    private Nano open(DataType type) throws IOException {
        return open("sd1-nano", type);
    }

    /** The three families in each type. */
    static List<Arguments> models() {
        return Stream.of("sd1-nano", "sd2-nano", "sdxl-nano")
                .flatMap(model ->
                        Stream.of(DataType.F32, DataType.F16, DataType.BF16).map(type -> Arguments.of(model, type)))
                .toList();
    }

    private static void assertClose(float[] expected, float[] actual, double limit) {
        assertEquals(expected.length, actual.length);
        double largest = 0;
        double error = 0;
        for (int i = 0; i < expected.length; i++) {
            largest = Math.max(largest, Math.abs(expected[i]));
            error = Math.max(error, Math.abs(expected[i] - actual[i]));
        }
        // Negated, so that a NaN fails.
        assertTrue(error <= limit * largest, "off by " + error / largest + " of the largest value");
    }

    @ParameterizedTest
    @MethodSource("models")
    void textEmbeddingsAreTheGoldenOnes(String model, DataType type) throws IOException {
        try (Nano nano = open(model, type)) {
            for (String branch : new String[] {"cond", "uncond"}) {
                int[][] ids = {NanoModel.ids(nano.golden(), "ids." + branch)};
                int width = nano.unet().contextWidth();
                float[] hidden = new float[77 * width];
                int start = 0;
                for (TextEncoder encoder : nano.text()) {
                    var encoding = encoder.encode(ids, encoder.tower().skipLayers(0), null);
                    for (int token = 0; token < 77; token++) {
                        System.arraycopy(
                                encoding.hidden(),
                                token * encoder.width(),
                                hidden,
                                token * width + start,
                                encoder.width());
                    }
                    start += encoder.width();
                    if (encoder.tower().pooled()) {
                        nano.assertClose("pooled." + branch, encoding.pooled());
                    } else {
                        assertEquals(0, encoding.pooled().length);
                    }
                }
                assertEquals(width, start);
                nano.assertClose("text." + branch, hidden);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("models")
    void unetOutputsAreTheGoldenOnes(String model, DataType type) throws IOException {
        try (Nano nano = open(model, type)) {
            for (int t : new int[] {999, 500, 1}) {
                nano.assertClose("unet.eps.t" + t, nano.evaluate("unet.x", 16, 16, t));
            }
            nano.assertClose("unet.eps.h24w8.t321", nano.evaluate("unet.x.h24w8", 24, 8, 321));
        }
    }

    @ParameterizedTest
    @MethodSource("models")
    void autoencoderGivesTheGoldenImageAndMoments(String model, DataType type) throws IOException {
        try (Nano nano = open(model, type)) {
            float[] latent = nano.floats("vae.z");
            for (int i = 0; i < latent.length; i++) {
                latent[i] /= nano.spec().latentScale();
            }
            nano.assertClose("vae.image", nano.vae().decode(latent, 1, 8, 8, null));

            float[] moments = nano.vae().encode(nano.floats("vae.enc.image"), 1, 8, 8, null);
            nano.assertClose("vae.enc.mean", Arrays.copyOf(moments, 256));
            nano.assertClose("vae.enc.logvar", Arrays.copyOfRange(moments, 256, 512));
        }
    }

    @Test
    void bandsGiveThePictureOfTheWholeWithinTheirMemory() throws IOException {
        try (Nano nano = open("sdxl-nano", DataType.F16)) {
            Autoencoder vae = nano.vae();
            float[] latent = new float[4 * 16 * 13];
            for (int i = 0; i < latent.length; i++) {
                latent[i] = (float) Math.sin(i * i);
            }
            float[] whole = vae.decode(latent, 1, 16, 13, null);
            float[] moments = vae.encode(whole, 1, 16, 13, null);
            for (boolean encode : new boolean[] {false, true}) {
                long most = vae.memory(encode, 1, 16, 13, Long.MAX_VALUE);
                long least = vae.memory(encode, 1, 16, 13, 1);
                assertTrue(least < most, least + " of " + most);
                float[] expected = encode ? moments : whole;
                for (long allowed : new long[] {least, (least + most) / 2, most}) {
                    float[] actual = encode
                            ? vae.encode(whole, 1, 16, 13, allowed, null)
                            : vae.decode(latent, 1, 16, 13, allowed, null);
                    double sum = 0;
                    double signal = 0;
                    for (int i = 0; i < actual.length; i++) {
                        sum += Math.pow(actual[i] - expected[i], 2);
                        signal += Math.pow(expected[i], 2);
                    }
                    assertTrue(sum <= 1e-5 * signal, allowed + " bytes: " + sum / signal);
                }
            }
            long least = vae.memory(false, 1, 16, 13, 1);
            assertThrows(InsufficientMemoryException.class, () -> vae.decode(latent, 1, 16, 13, least - 1, null));
            assertThrows(IllegalArgumentException.class, () -> vae.decode(latent, 1, 16, 13, -1, null));
            assertThrows(IllegalArgumentException.class, () -> vae.memory(false, 1, 0, 13, 0));
        }
    }

    @ParameterizedTest
    @CsvSource({"sd1-nano, EPS", "sd2-nano, V", "sdxl-nano, EPS"})
    void sixEulerStepsWithGuidanceEndAtTheGoldenLatent(String model, Prediction prediction) throws IOException {
        try (Nano nano = open(model, DataType.F16)) {
            NoiseSchedule schedule = NoiseSchedule.stableDiffusion();
            float[] sigmas = SigmaSchedules.DISCRETE.sigmas(schedule, 6);
            assertArrayEquals(nano.floats("sample.sigmas"), sigmas, 2e-5f);
            Condition cond = nano.condition("cond");
            Condition uncond = nano.condition("uncond");
            Denoiser denoiser = (x, sigma) -> {
                float[] input = x.clone();
                for (int i = 0; i < input.length; i++) {
                    input[i] *= prediction.inputScale(sigma);
                }
                float[] t = {schedule.timestep(sigma)};
                float[] with = nano.unet().evaluate(input, t, cond, 16, 16, null);
                float[] without = nano.unet().evaluate(input, t, uncond, 16, 16, null);
                for (int i = 0; i < with.length; i++) {
                    with[i] = without[i] + 7 * (with[i] - without[i]);
                }
                return prediction.denoised(x, with, sigma);
            };
            float[] latent = nano.floats("sample.noise");
            for (int i = 0; i < latent.length; i++) {
                latent[i] *= sigmas[0];
            }
            nano.assertClose(
                    "sample.euler6.cfg7.latent",
                    Samplers.EULER.sample(denoiser, latent, sigmas, RandomSources.philox(0), StepListener.NONE));
        }
    }

    @ParameterizedTest
    @CsvSource({"sd1-nano, SD1, 0, 0", "sd2-nano, SD2, 0, 0", "sdxl-nano, SDXL, 256, 0"})
    void familyIsRecognised(String model, ModelFamily family, int label, int guidance) throws IOException {
        try (Nano nano = open(model, DataType.F16)) {
            assertEquals(family, nano.spec().family());
            assertEquals(label, nano.unet().labelWidth());
            assertEquals(guidance, nano.unet().guidanceWidth());
        }
    }

    @Test
    void labelsOfABatchAreItsImagesOwn() throws IOException {
        try (Nano nano = open("sdxl-nano", DataType.F16)) {
            float[] latent = nano.floats("unet.x");
            float[] twice = Arrays.copyOf(latent, 2 * latent.length);
            System.arraycopy(latent, 0, twice, latent.length, latent.length);
            Condition cond = nano.condition("cond");
            Condition other =
                    new Condition(cond.context(), 77, nano.condition("uncond").label(), new float[0]);
            float[] both = nano.unet()
                    .evaluate(twice, new float[] {500, 500}, Condition.joined(List.of(cond, other)), 16, 16, null);
            nano.assertClose("unet.eps.t500", Arrays.copyOf(both, latent.length));
            float[] alone = nano.unet().evaluate(latent, new float[] {500}, other, 16, 16, null);
            assertClose(alone, Arrays.copyOfRange(both, latent.length, both.length), 1e-6);
            assertThrows(
                    IllegalArgumentException.class,
                    () -> nano.unet()
                            .evaluate(latent, new float[] {1}, Condition.ofText(cond.context(), 77), 16, 16, null));
        }
    }

    /** The same values are the same model, whatever type they are stored in; so BF16 loses nothing but its rounding. */
    @ParameterizedTest
    @EnumSource(names = {"F16", "BF16"})
    void storedTypesOfEqualValuesGiveEqualOutputs(DataType type) throws IOException {
        Path rounded = folder.resolve("rounded.safetensors");
        NanoModel.convertRounded(type, rounded);
        try (Nano stored = open(type);
                Nano wide = Nano.open(engine, "sd1-nano", type, rounded)) {
            assertArrayEquals(wide.evaluate("unet.x", 16, 16, 500), stored.evaluate("unet.x", 16, 16, 500));
        }
    }

    @Test
    void networksKeepTheirFileOpenAndRefuseCallsAfterClose() throws IOException {
        Nano nano = open(DataType.F16);
        nano.checkpoint().close(); // the networks have the file open themselves
        nano.checkpoint().close();
        nano.assertClose("unet.eps.t500", nano.evaluate("unet.x", 16, 16, 500));
        nano.unet().close();
        nano.unet().close();
        var failure = assertThrows(IllegalStateException.class, () -> nano.evaluate("unet.x", 16, 16, 500));
        assertEquals("the UNet is closed", failure.getMessage());
        nano.close();
    }

    @Test
    void profileNamesTheNodesOfTheLastCall() throws IOException {
        try (Nano nano = open(DataType.F16)) {
            assertThrows(IllegalArgumentException.class, nano.unet()::profile);
            nano.evaluate("unet.x", 16, 16, 1);
            String profile = nano.unet().profile();
            assertTrue(profile.contains("attention 256 x 77, 8 heads of 4"), profile);
            assertTrue(profile.contains("in all"), profile);
        }
    }

    @Test
    void controlTellsHowFarACallIsAndStopsLaterOnes() throws IOException {
        try (Nano nano = open(DataType.F16)) {
            float[] latent = nano.floats("unet.x");
            Condition condition = nano.condition("cond");
            CallControl control = new CallControl();
            assertEquals(0, control.progress());
            nano.unet().evaluate(latent, new float[] {1}, condition, 16, 16, control);
            assertEquals(1, control.progress());
            assertFalse(control.isCancelled());
            control.cancel();
            assertTrue(control.isCancelled());
            assertThrows(
                    CancellationException.class,
                    () -> nano.unet().evaluate(latent, new float[] {1}, condition, 16, 16, control));
        }
    }

    @Test
    void wrongLengthsAreRefusedWithNumbers() throws IOException {
        try (Nano nano = open(DataType.F16)) {
            var failure = assertThrows(
                    IllegalArgumentException.class,
                    () -> nano.unet().evaluate(new float[5], new float[] {1}, nano.condition("cond"), 16, 16, null));
            assertEquals("latents has 5 values, its shape needs 1024", failure.getMessage());
            assertThrows(IllegalArgumentException.class, () -> nano.vae().decode(new float[0], 1, 0, 0, null));
            assertThrows(
                    IllegalArgumentException.class, () -> nano.text().getFirst().encode(new int[0][], 0, null));
            for (int[][] ragged : new int[][][] {{{1, 2}, {3}}, {{1, 2}, {3}, {4, 5, 6}}}) {
                assertThrows(
                        IllegalArgumentException.class,
                        () -> nano.text().getFirst().encode(ragged, 0, null));
            }
            assertThrows(
                    IllegalArgumentException.class,
                    () -> nano.vae().decode(new float[1], 1 << 30, 1 << 30, 1 << 30, null));
        }
    }
}
