package io.aquarelle.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.sampling.Denoiser;
import io.aquarelle.sampling.NoiseSchedule;
import io.aquarelle.sampling.Prediction;
import io.aquarelle.sampling.RandomSources;
import io.aquarelle.sampling.Samplers;
import io.aquarelle.sampling.SigmaSchedules;
import io.aquarelle.sampling.StepListener;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.CancellationException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The networks through Java against what an independent PyTorch implementation computed with the same weights. */
class GoldenTest {
    private static final double FLOAT32_ORDER = 1e-4;

    /** BF16 keeps 8 bits of the 11 that the golden weights have; measured errors reach 1.03e-2. */
    private static final double BF16_ROUNDING = 2e-2;

    @TempDir
    Path folder;

    private Engine engine;
    private Checkpoint golden;

    @BeforeEach
    void open() throws IOException {
        engine = Engine.create(EngineOptions.ofThreads(2));
        golden = Checkpoint.open(NanoModel.golden("sd1-nano-golden"));
    }

    @AfterEach
    void close() {
        golden.close();
        engine.close();
    }

    /** The networks of one file, closed together. */
    private record Nano(Checkpoint checkpoint, TextEncoder text, UNet unet, Autoencoder vae) implements AutoCloseable {
        static Nano open(Engine engine, Path file) throws IOException {
            Checkpoint checkpoint = Checkpoint.open(file);
            ModelSpec spec = ModelSpec.of(checkpoint);
            assertEquals(ModelFamily.SD1, spec.family());
            try (Weights weights = Weights.of(checkpoint)) {
                return new Nano(
                        checkpoint,
                        TextEncoder.create(engine, weights, ModelSpec.CLIP_PREFIX, spec.textHeads()),
                        UNet.create(engine, weights, ModelSpec.UNET_PREFIX, spec.heads()),
                        Autoencoder.create(engine, weights, ModelSpec.VAE_PREFIX));
            }
        }

        @Override
        public void close() {
            text.close();
            unet.close();
            vae.close();
            checkpoint.close();
        }
    }

    private Nano open(DataType type) throws IOException {
        Path file = folder.resolve(type + ".safetensors");
        NanoModel.convert(type, file);
        return Nano.open(engine, file);
    }

    private void assertClose(String expected, float[] actual, DataType type) {
        assertClose(NanoModel.floats(golden, expected), actual, type == DataType.BF16 ? BF16_ROUNDING : FLOAT32_ORDER);
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
    @EnumSource(names = {"F32", "F16", "BF16"})
    void textEmbeddingsAreTheGoldenOnes(DataType type) throws IOException {
        try (Nano nano = open(type)) {
            for (String branch : new String[] {"cond", "uncond"}) {
                int[][] ids = {NanoModel.ids(golden, "ids." + branch)};
                assertClose("text." + branch, nano.text().encode(ids, 0, null), type);
            }
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "F16", "BF16"})
    void unetOutputsAreTheGoldenOnes(DataType type) throws IOException {
        try (Nano nano = open(type)) {
            float[] context = NanoModel.floats(golden, "text.cond");
            for (int t : new int[] {999, 500, 1}) {
                float[] output = nano.unet()
                        .evaluate(NanoModel.floats(golden, "unet.x"), new float[] {t}, context, 16, 16, 77, null);
                assertClose("unet.eps.t" + t, output, type);
            }
            float[] tall = nano.unet()
                    .evaluate(NanoModel.floats(golden, "unet.x.h24w8"), new float[] {321}, context, 24, 8, 77, null);
            assertClose("unet.eps.h24w8.t321", tall, type);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "F16", "BF16"})
    void autoencoderGivesTheGoldenImageAndMoments(DataType type) throws IOException {
        try (Nano nano = open(type)) {
            float[] latent = NanoModel.floats(golden, "vae.z");
            for (int i = 0; i < latent.length; i++) {
                latent[i] /= 0.18215f;
            }
            assertClose("vae.image", nano.vae().decode(latent, 1, 8, 8, null), type);

            float[] moments = nano.vae().encode(NanoModel.floats(golden, "vae.enc.image"), 1, 8, 8, null);
            assertClose("vae.enc.mean", Arrays.copyOf(moments, 256), type);
            assertClose("vae.enc.logvar", Arrays.copyOfRange(moments, 256, 512), type);
        }
    }

    @Test
    void sixEulerStepsWithGuidanceEndAtTheGoldenLatent() throws IOException {
        try (Nano nano = open(DataType.F16)) {
            NoiseSchedule schedule = NoiseSchedule.stableDiffusion();
            float[] sigmas = SigmaSchedules.DISCRETE.sigmas(schedule, 6);
            assertArrayEquals(NanoModel.floats(golden, "sample.sigmas"), sigmas, 2e-5f);
            float[] cond = NanoModel.floats(golden, "text.cond");
            float[] uncond = NanoModel.floats(golden, "text.uncond");
            Denoiser denoiser = (x, sigma) -> {
                float[] input = x.clone();
                for (int i = 0; i < input.length; i++) {
                    input[i] *= Prediction.EPS.inputScale(sigma);
                }
                float[] t = {schedule.timestep(sigma)};
                float[] with = nano.unet().evaluate(input, t, cond, 16, 16, 77, null);
                float[] without = nano.unet().evaluate(input, t, uncond, 16, 16, 77, null);
                for (int i = 0; i < with.length; i++) {
                    with[i] = without[i] + 7 * (with[i] - without[i]);
                }
                return Prediction.EPS.denoised(x, with, sigma);
            };
            float[] latent = NanoModel.floats(golden, "sample.noise");
            for (int i = 0; i < latent.length; i++) {
                latent[i] *= sigmas[0];
            }
            float[] result =
                    Samplers.EULER.sample(denoiser, latent, sigmas, RandomSources.philox(0), StepListener.NONE);
            assertClose(NanoModel.floats(golden, "sample.euler6.cfg7.latent"), result, FLOAT32_ORDER);
        }
    }

    /** The same values are the same model, whatever type they are stored in; so BF16 loses nothing but its rounding. */
    @ParameterizedTest
    @EnumSource(names = {"F16", "BF16"})
    void storedTypesOfEqualValuesGiveEqualOutputs(DataType type) throws IOException {
        float[] context = NanoModel.floats(golden, "text.cond");
        float[] latent = NanoModel.floats(golden, "unet.x");
        Path rounded = folder.resolve("rounded.safetensors");
        NanoModel.convertRounded(type, rounded);
        try (Nano stored = open(type);
                Nano wide = Nano.open(engine, rounded)) {
            assertArrayEquals(
                    wide.unet().evaluate(latent, new float[] {500}, context, 16, 16, 77, null),
                    stored.unet().evaluate(latent, new float[] {500}, context, 16, 16, 77, null));
        }
    }

    @Test
    void networksKeepTheirFileOpenAndRefuseCallsAfterClose() throws IOException {
        Nano nano = open(DataType.F16);
        nano.checkpoint().close(); // the networks have the file open themselves
        nano.checkpoint().close();
        float[] context = NanoModel.floats(golden, "text.cond");
        float[] latent = NanoModel.floats(golden, "unet.x");
        assertClose(
                "unet.eps.t500",
                nano.unet().evaluate(latent, new float[] {500}, context, 16, 16, 77, null),
                DataType.F16);
        nano.unet().close();
        nano.unet().close();
        var failure = assertThrows(
                IllegalStateException.class,
                () -> nano.unet().evaluate(latent, new float[] {500}, context, 16, 16, 77, null));
        assertEquals("the UNet is closed", failure.getMessage());
        nano.text().close();
        nano.vae().close();
    }

    @Test
    void profileNamesTheNodesOfTheLastCall() throws IOException {
        try (Nano nano = open(DataType.F16)) {
            assertThrows(IllegalArgumentException.class, nano.unet()::profile);
            nano.unet()
                    .evaluate(
                            NanoModel.floats(golden, "unet.x"),
                            new float[] {1},
                            NanoModel.floats(golden, "text.cond"),
                            16,
                            16,
                            77,
                            null);
            String profile = nano.unet().profile();
            assertTrue(profile.contains("attention 256 x 77, 8 heads of 4"), profile);
            assertTrue(profile.contains("in all"), profile);
        }
    }

    @Test
    void controlTellsHowFarACallIsAndStopsLaterOnes() throws IOException {
        try (Nano nano = open(DataType.F16)) {
            float[] latent = NanoModel.floats(golden, "unet.x");
            float[] context = NanoModel.floats(golden, "text.cond");
            CallControl control = new CallControl();
            assertEquals(0, control.progress());
            nano.unet().evaluate(latent, new float[] {1}, context, 16, 16, 77, control);
            assertEquals(1, control.progress());
            assertFalse(control.isCancelled());
            control.cancel();
            assertTrue(control.isCancelled());
            assertThrows(
                    CancellationException.class,
                    () -> nano.unet().evaluate(latent, new float[] {1}, context, 16, 16, 77, control));
        }
    }

    @Test
    void wrongLengthsAreRefusedWithNumbers() throws IOException {
        try (Nano nano = open(DataType.F16)) {
            var failure = assertThrows(
                    IllegalArgumentException.class,
                    () -> nano.unet().evaluate(new float[5], new float[] {1}, new float[77 * 64], 16, 16, 77, null));
            assertEquals("latents has 5 values, its shape needs 1024", failure.getMessage());
            assertThrows(IllegalArgumentException.class, () -> nano.vae().decode(new float[0], 1, 0, 0, null));
            assertThrows(IllegalArgumentException.class, () -> nano.text().encode(new int[0][], 0, null));
            for (int[][] ragged : new int[][][] {{{1, 2}, {3}}, {{1, 2}, {3}, {4, 5, 6}}}) {
                assertThrows(IllegalArgumentException.class, () -> nano.text().encode(ragged, 0, null));
            }
            assertThrows(
                    IllegalArgumentException.class,
                    () -> nano.vae().decode(new float[1], 1 << 30, 1 << 30, 1 << 30, null));
        }
    }
}
