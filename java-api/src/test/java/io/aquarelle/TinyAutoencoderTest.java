package io.aquarelle;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.model.Autoencoder;
import io.aquarelle.model.CallControl;
import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.EditableModel;
import io.aquarelle.model.EditableModel.Tensor;
import io.aquarelle.model.Engine;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.ModelFiles;
import io.aquarelle.model.ModelFormatException;
import io.aquarelle.model.ModelSpec;
import io.aquarelle.model.NanoModel;
import io.aquarelle.model.UNet.Condition;
import io.aquarelle.model.Weights;
import io.aquarelle.sampling.NoiseSchedule;
import io.aquarelle.sampling.Prediction;
import io.aquarelle.sampling.RandomSources;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Tiny autoencoders in place of the VAE: against PyTorch, and in drawings against the same written out. */
class TinyAutoencoderTest {
    private static final int SIDE = 64;
    private static final int CELLS = SIDE / 8;
    private static final float SIGMA = 5;
    private static final float SCALE = 0.18215f;

    @TempDir
    static Path folder;

    private static Path nano;
    private static Path tiny;
    private static Model model; // with the tiny one, for what pipelines hide

    @BeforeAll
    static void open() throws IOException {
        nano = EditableModel.of("sd1-nano").withVocabulary().write(folder.resolve("nano.safetensors"));
        tiny = NanoModel.golden("taesd-nano");
        model = Model.open(withVae(tiny), EngineOptions.ofThreads(1), null);
    }

    @AfterAll
    static void close() {
        model.close();
    }

    private static Checkpoint withVae(Path file) throws IOException {
        return Checkpoint.open(ModelFiles.of(nano).withVae(file));
    }

    /** What is decoded and encoded by the tensors of a file in place of a model's VAE, where it has that half. */
    private static void verify(Path file, boolean encodes, boolean decodes) throws IOException {
        try (Checkpoint checkpoint = withVae(file);
                Checkpoint golden = Checkpoint.open(NanoModel.golden("taesd-nano-golden"));
                Engine engine = Engine.create(EngineOptions.ofThreads(2));
                Weights weights = Weights.of(checkpoint);
                Autoencoder vae = Autoencoder.create(engine, weights, ModelSpec.VAE_PREFIX)) {
            assertTrue(vae.scaled());
            assertEquals(encodes, vae.hasEncoder());
            assertEquals(decodes, vae.hasDecoder());
            if (decodes) {
                float[] image = vae.decode(NanoModel.floats(golden, "z"), 1, 5, 3, null);
                assertArrayEquals(NanoModel.floats(golden, "image"), image, 1e-4f);
            }
            if (encodes) {
                float[] moments = vae.encode(NanoModel.floats(golden, "x"), 1, 5, 3, null);
                float[] mean = Arrays.copyOf(moments, moments.length / 2);
                assertArrayEquals(NanoModel.floats(golden, "latent"), mean, 1e-4f);
            }
        }
    }

    /** The golden file's tensors under other names. */
    private static Path renamed(String name, UnaryOperator<String> naming) throws IOException {
        EditableModel renamed = EditableModel.empty();
        EditableModel.of(name)
                .tensors
                .forEach((old, tensor) ->
                        renamed.tensors.put(naming.apply(old.replace("first_stage_model.", "")), tensor));
        return renamed.write(folder.resolve("renamed.safetensors"));
    }

    @Test
    void filesOfAllLayoutsComputeWhatPyTorchDoes() throws IOException {
        verify(tiny, true, true);
        verify(NanoModel.golden("taesd-nano-decoder"), false, true);
        verify(NanoModel.golden("taesd-nano-encoder"), true, false);
        verify(renamed("taesd-nano-decoder", name -> "decoder." + name), false, true);
        verify(renamed("taesd-nano-decoder", name -> "taesd_decoder." + name), false, true);
        verify(renamed("taesd-nano-encoder", name -> "vae.encoder." + name), true, false);
    }

    @Test
    void aWholeVaeIsUsedWhereThereIsOne() throws IOException {
        EditableModel both = EditableModel.of("sd1-nano");
        EditableModel.of("taesd-nano")
                .tensors
                .forEach((name, tensor) -> both.tensors.put(name.replace("first_stage_model.", "tae."), tensor));
        try (Checkpoint checkpoint = Checkpoint.open(both.write(folder.resolve("both.safetensors")));
                Engine engine = Engine.create(EngineOptions.ofThreads(1));
                Weights weights = Weights.of(checkpoint);
                Autoencoder vae = Autoencoder.create(engine, weights, ModelSpec.VAE_PREFIX)) {
            assertFalse(vae.scaled());
        }
    }

    @Test
    void aFileWithoutVaeIsNamed() {
        Path file = NanoModel.golden("sd1-nano-control");
        var failure = assertThrows(ModelFormatException.class, () -> withVae(file));
        assertEquals(file + " has no VAE; name a file with one", failure.getMessage());
    }

    private static Pipeline pipeline(Path vae) throws IOException {
        return Pipeline.open(withVae(vae), EngineOptions.ofThreads(1), null);
    }

    /** One step of Euler from one level is the estimate. */
    private static ImageRequest.Builder request() {
        return ImageRequest.builder("a red apple")
                .size(SIDE, SIDE)
                .sigmas(List.of(SIGMA))
                .seed(5)
                .guidance(1)
                .imageGuidance(1)
                .sampler("euler");
    }

    private static float[] noise() {
        float[] noise = RandomSources.philox(5).normal(4 * CELLS * CELLS);
        for (int i = 0; i < noise.length; i++) {
            noise[i] *= SIGMA;
        }
        return noise;
    }

    private static float[] estimate(Model of, float[] x, float[] beside) {
        float[] input = Arrays.copyOf(x, x.length + beside.length);
        for (int i = 0; i < x.length; i++) {
            input[i] /= (float) Math.sqrt(1 + SIGMA * SIGMA);
        }
        System.arraycopy(beside, 0, input, x.length, beside.length);
        float[] timestep = {NoiseSchedule.stableDiffusion().timestep(SIGMA)};
        TextEmbedding text =
                TextEmbedding.of("a red apple", of.networks().text(), new PromptWords(List.of()), 0, new CallControl());
        Condition condition = Condition.ofText(text.hidden(), text.tokens());
        float[] output = of.networks().unet().evaluate(input, timestep, condition, CELLS, CELLS, null);
        return Prediction.EPS.denoised(x, output, SIGMA);
    }

    /** Decoded as it is: the latents of a tiny autoencoder are those of the UNet. */
    private static void assertDecodes(float[] latent, GeneratedImage drawn) {
        float[] planes = model.networks().vae().decode(latent, 1, CELLS, CELLS, null);
        byte[] expected = Picture.of(SIDE, SIDE, planes).rgb();
        for (int i = 0; i < expected.length; i++) {
            assertEquals(expected[i] & 0xff, drawn.rgb()[i] & 0xff, 1, "value " + i);
        }
    }

    @Test
    void latentsAreDecodedAsTheUNetGivesThem() throws IOException {
        try (Pipeline pipeline = pipeline(tiny);
                Pipeline second = pipeline.share()) {
            GeneratedImage image = pipeline.generate(request().build()).getFirst();
            assertDecodes(estimate(model, noise(), new float[0]), image);
            assertArrayEquals(
                    image.rgb(), second.generate(request().build()).getFirst().rgb());
        }
    }

    private static Picture picture() {
        byte[] rgb = new byte[3 * SIDE * SIDE];
        for (int i = 0; i < rgb.length; i++) {
            rgb[i] = (byte) (127 + 100 * Math.sin(i / 300.0 + i % 3));
        }
        return Picture.of(SIDE, SIDE, rgb);
    }

    private static float[] encoded() {
        float[] moments = model.networks().vae().encode(picture().planes(), 1, CELLS, CELLS, null);
        return Arrays.copyOf(moments, moments.length / 2);
    }

    @Test
    void picturesAreEncodedToWhatTheUNetTakes() throws IOException {
        float[] start = noise();
        for (int i = 0; i < start.length; i++) {
            start[i] += encoded()[i];
        }
        try (Pipeline pipeline = pipeline(tiny)) {
            var drawn = request().image(picture()).strength(1).build();
            assertDecodes(
                    estimate(model, start, new float[0]),
                    pipeline.generate(drawn).getFirst());
        }
    }

    /** Models that edit get the latent of a picture as a VAE has it, unscaled. */
    @Test
    void modelsThatEditGetTheVaesScale() throws IOException {
        EditableModel edit = EditableModel.of("sd1-nano").withVocabulary();
        String first = "model.diffusion_model.input_blocks.0.0.weight";
        float[] kernel = edit.tensors.get(first).values();
        float[] wide = new float[2 * kernel.length];
        for (int i = 0; i < wide.length; i++) {
            wide[i] = i % 72 < 36 ? kernel[i / 72 * 36 + i % 72] : (float) Math.sin(i) * 0.1f;
        }
        edit.tensors.put(first, new Tensor(List.of(32L, 8L, 3L, 3L), wide));
        ModelFiles files =
                ModelFiles.of(edit.write(folder.resolve("edit.safetensors"))).withVae(tiny);
        float[] start = noise();
        float[] beside = encoded();
        for (int i = 0; i < start.length; i++) {
            start[i] += beside[i];
            beside[i] /= SCALE;
        }
        try (Pipeline pipeline = Pipeline.open(Checkpoint.open(files), EngineOptions.ofThreads(1), null);
                Model editing = Model.open(Checkpoint.open(files), EngineOptions.ofThreads(1), null)) {
            var drawn = request().image(picture()).strength(1).build();
            assertDecodes(
                    estimate(editing, start, beside), pipeline.generate(drawn).getFirst());
        }
    }

    @Test
    void whatADecoderAloneCannotDoIsSaid() throws IOException {
        try (Pipeline pipeline = pipeline(NanoModel.golden("taesd-nano-decoder"))) {
            var request = request().image(picture()).build();
            var failure = assertThrows(IllegalArgumentException.class, () -> pipeline.generate(request));
            assertTrue(failure.getMessage().contains("VAE without encoder"), failure.getMessage());
        }
        var failure = assertThrows(
                ModelFormatException.class,
                () -> pipeline(NanoModel.golden("taesd-nano-encoder")).close());
        assertTrue(failure.getMessage().contains("VAE without decoder"), failure.getMessage());
    }

    @Test
    void tooLittleMemoryIsRefusedBeforeDrawing() throws IOException {
        try (Pipeline pipeline = pipeline(tiny)) {
            var request = request().maxMemory(1000).build();
            var failure = assertThrows(IllegalArgumentException.class, () -> pipeline.generate(request));
            assertTrue(failure.getMessage().contains("decoding 64x64 pixels takes at least"), failure.getMessage());
        }
    }
}
