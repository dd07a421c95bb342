package io.aquarelle;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.model.Distillation;
import io.aquarelle.model.EditableModel;
import io.aquarelle.model.EditableModel.Tensor;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.ModelFamily;
import io.aquarelle.model.ModelFormatException;
import io.aquarelle.sampling.Prediction;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Pipelines of every family, on small models. */
class FamiliesTest {
    private static final String UNET = "model.diffusion_model.";

    @TempDir
    Path folder;

    private Pipeline open(EditableModel model) throws IOException {
        return open(model, "model", null);
    }

    private Pipeline open(EditableModel model, String name, Prediction prediction) throws IOException {
        Path file = model.withVocabulary().write(folder.resolve(name + ".safetensors"));
        return Pipeline.open(file, EngineOptions.ofThreads(1), prediction);
    }

    private static byte[] draw(Pipeline pipeline, ImageRequest.Builder request) {
        return pipeline.generate(request.build()).getFirst().rgb();
    }

    private static ImageRequest.Builder small(Pipeline pipeline) {
        return pipeline.request("a red apple").size(64, 64).steps(2).seed(5);
    }

    private static void assertDiffer(byte[] a, byte[] b) {
        assertFalse(Arrays.equals(a, b));
    }

    @Test
    void predictionOfSd2IsReadProbedOrGiven() throws IOException {
        try (Pipeline eps = open(EditableModel.of("sd2-nano"))) {
            assertEquals(ModelFamily.SD2, eps.spec().family());
            assertEquals(Prediction.EPS, eps.spec().prediction());
            byte[] picture = draw(eps, small(eps));
            try (Pipeline v = open(EditableModel.of("sd2-nano"), "given", Prediction.V)) {
                assertEquals(Prediction.V, v.spec().prediction());
                assertDiffer(picture, draw(v, small(v)));
                try (Pipeline shared = v.share()) {
                    assertArrayEquals(draw(v, small(v)), draw(shared, small(shared)));
                }
            }
            EditableModel told = EditableModel.of("sd2-nano");
            told.metadata.put("modelspec.prediction_type", "v");
            try (Pipeline v = open(told, "told", null)) {
                assertEquals(Prediction.V, v.spec().prediction());
                assertEquals(768, v.request("x").build().width());
            }
        }
        // The output's mean far below the input's: what a network of velocities gives of a constant latent.
        EditableModel low = EditableModel.of("sd2-nano");
        low.tensors.put(UNET + "out.2.bias", new Tensor(List.of(4L), new float[] {-2, -2, -2, -2}));
        try (Pipeline v = open(low, "low", null)) {
            assertEquals(Prediction.V, v.spec().prediction());
        }
    }

    @Test
    void aTensorMarksModelsWithoutSignalAtTheLastTimestep() throws IOException {
        EditableModel marked = EditableModel.of("sdxl-nano");
        marked.tensors.put("ztsnr", new Tensor(List.of(1L), new float[] {1}));
        List<Float> levels = List.of(14.6146f, 0f); // the last timestep of all others
        try (Pipeline plain = open(EditableModel.of("sdxl-nano"));
                Pipeline zero = open(marked, "marked", null)) {
            assertEquals(999, timestep(plain, levels), 0.1);
            assertTrue(timestep(zero, levels) < 990);
            assertEquals(999, timestep(zero, List.of(4519f, 0f)), 0.1);
            assertDiffer(draw(plain, small(plain)), draw(zero, small(zero)));
        }
    }

    /** Of the first call. */
    private static double timestep(Pipeline pipeline, List<Float> levels) {
        ImageRequest request = small(pipeline).sigmas(levels).build();
        return pipeline.explain(request).getFirst().call().timestep();
    }

    @Test
    void modelsOnContinuousNoiseLevelsAreRefused() throws IOException {
        for (String mark : List.of("edm_vpred.sigma_max", "edm_mean")) {
            EditableModel cosXl = EditableModel.of("sdxl-nano");
            cosXl.tensors.put(mark, new Tensor(List.of(1L), new float[] {120}));
            var e = assertThrows(ModelFormatException.class, () -> open(cosXl, "cosxl", Prediction.V));
            assertTrue(e.getMessage().contains("EDM"), e.getMessage());
        }
    }

    @Test
    void emptyNegativePromptOfSdxlIsNoTextAtAll() throws IOException {
        try (Pipeline xl = open(EditableModel.of("sdxl-nano"));
                Pipeline sd2 = open(EditableModel.of("sd2-nano"), "sd2", null)) {
            assertEquals(ModelFamily.SDXL, xl.spec().family());
            // The tokens of a space are those of nothing.
            assertDiffer(draw(xl, small(xl)), draw(xl, small(xl).negativePrompt(" ")));
            assertArrayEquals(draw(sd2, small(sd2)), draw(sd2, small(sd2).negativePrompt(" ")));
        }
    }

    @Test
    void sdxlIsToldThePicturesSizes() throws IOException {
        try (Pipeline xl = open(EditableModel.of("sdxl-nano"));
                Pipeline sd2 = open(EditableModel.of("sd2-nano"), "sd2", null)) {
            byte[] picture = draw(xl, small(xl));
            assertArrayEquals(picture, draw(xl, small(xl).sizes(PictureSizes.of(64, 64))));
            assertDiffer(picture, draw(xl, small(xl).sizes(PictureSizes.of(1024, 1024))));
            assertDiffer(picture, draw(xl, small(xl).sizes(new PictureSizes(64, 64, 0, 9, 64, 64))));
            assertArrayEquals(draw(sd2, small(sd2)), draw(sd2, small(sd2).sizes(PictureSizes.of(1024, 1024))));
        }
    }

    @Test
    void longPromptsAndWeightsWorkOnTwoTowers() throws IOException {
        try (Pipeline xl = open(EditableModel.of("sdxl-nano"))) {
            byte[] picture = draw(xl, small(xl));
            assertDiffer(
                    picture,
                    draw(
                            xl,
                            xl.request("a (red:1.4) apple")
                                    .size(64, 64)
                                    .steps(2)
                                    .seed(5)));
            draw(xl, small(xl).negativePrompt("word ".repeat(100)));
            assertDiffer(picture, draw(xl, small(xl).clipSkip(1)));
            assertArrayEquals(picture, draw(xl, small(xl).clipSkip(2)));
        }
    }

    /** The base model with the second tower alone, as narrow as that, and one number less. */
    private static EditableModel refiner() throws IOException {
        EditableModel model = EditableModel.of("sdxl-nano");
        EditableModel refiner = new EditableModel();
        refiner.metadata.putAll(model.metadata);
        model.tensors.forEach((name, tensor) -> {
            if (name.startsWith("conditioner.embedders.1.")) {
                refiner.tensors.put(name.replace("embedders.1", "embedders.0"), tensor);
            } else if (name.matches(".*attn2\\.to_[kv]\\.weight")) {
                refiner.tensors.put(name, tensor.narrowed(64));
            } else if (name.equals(UNET + "label_emb.0.0.weight")) {
                refiner.tensors.put(name, tensor.narrowed(64 + 5 * 32));
            } else if (!name.startsWith("conditioner.")) {
                refiner.tensors.put(name, tensor);
            }
        });
        return refiner;
    }

    @Test
    void refinerTakesOneTowerAndAScore() throws IOException {
        try (Pipeline pipeline = open(refiner())) {
            assertEquals(ModelFamily.SDXL_REFINER, pipeline.spec().family());
            assertEquals(1, pipeline.spec().towers().size());
            byte[] picture = draw(pipeline, small(pipeline));
            assertDiffer(picture, draw(pipeline, small(pipeline).sizes(PictureSizes.of(512, 512))));
        }
    }

    @ParameterizedTest
    @CsvSource({"9", "8"})
    void modelsWithAPictureBesideTheLatentDrawWithoutOne(int channels) throws IOException {
        EditableModel model = EditableModel.of("sd1-nano");
        String input = UNET + "input_blocks.0.0.weight";
        float[] plain = model.tensors.get(input).values();
        float[] wide = new float[32 * channels * 9];
        for (int i = 0; i < wide.length; i++) {
            wide[i] = plain[i % plain.length];
        }
        model.tensors.put(input, new Tensor(List.of(32L, (long) channels, 3L, 3L), wide));
        try (Pipeline pipeline = open(model)) {
            byte[] picture = draw(pipeline, small(pipeline));
            assertArrayEquals(picture, draw(pipeline, small(pipeline)));
            assertDiffer(picture, new byte[picture.length]);
        }
    }

    @Test
    void otherNumbersOfInputChannelsAreRefused() throws IOException {
        EditableModel model = EditableModel.of("sd1-nano");
        float[] values = new float[32 * 5 * 9];
        model.tensors.put(UNET + "input_blocks.0.0.weight", new Tensor(List.of(32L, 5L, 3L, 3L), values));
        var failure = assertThrows(ModelFormatException.class, () -> open(model));
        assertTrue(failure.getMessage().contains("5 input"), failure.getMessage());
    }

    @Test
    void consistencyModelTakesGuidanceAsAnInput() throws IOException {
        EditableModel model = EditableModel.of("sd1-nano");
        model.tensors.put(
                UNET + "time_embed.cond_proj.weight",
                model.tensors.get(UNET + "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"));
        try (Pipeline pipeline = open(model)) {
            assertEquals(Distillation.LCM, pipeline.spec().distillation());
            ImageRequest defaults = pipeline.request("x").build();
            assertEquals(4, defaults.steps());
            assertEquals(8, defaults.guidance());
            GeneratedImage image = pipeline.generate(small(pipeline).build()).getFirst();
            assertEquals(2, image.unetCalls());
            assertDiffer(image.rgb(), draw(pipeline, small(pipeline).guidance(2)));
        }
    }

    @ParameterizedTest
    @CsvSource({
        "sd1-nano, model, 512, 20, 7",
        "sd2-nano, sd_turbo, 512, 1, 1",
        "sdxl-nano, model, 1024, 20, 7",
        "sdxl-nano, sd_xl_turbo_1.0_fp16, 512, 1, 1",
        "sdxl-nano, sdxl_lightning_4step, 1024, 4, 1",
        "sd1-nano, dreamshaper-lcm, 512, 4, 1"
    })
    void requestsStartFromWhatSuitsTheModel(String model, String name, int side, int steps, float guidance)
            throws IOException {
        try (Pipeline pipeline = open(EditableModel.of(model), name, null)) {
            ImageRequest request = pipeline.request("a prompt").build();
            assertEquals("a prompt", request.prompt());
            assertEquals(side, request.width());
            assertEquals(side, request.height());
            assertEquals(steps, request.steps());
            assertEquals(guidance, request.guidance());
        }
    }

    /** SDXL's own VAE leaves the range of F16, 65504, which made black pictures elsewhere. */
    @Test
    void activationsBeyondF16MakeNoBlackPicture() throws IOException {
        EditableModel model = EditableModel.of("sdxl-nano");
        String input = "first_stage_model.decoder.conv_in.weight";
        Tensor kernel = model.tensors.get(input);
        float[] large = kernel.values().clone();
        for (int i = 0; i < large.length; i++) {
            large[i] = Math.clamp(large[i] * 1e5f, -60000, 60000);
        }
        model.tensors.put(input, new Tensor(kernel.shape(), large));
        try (Pipeline pipeline = open(model)) {
            // A first activation of the decoder: the middle tap alone of a latent of ones is far beyond the range.
            float sum = 0;
            for (int i = 0; i < 4 * 9; i++) {
                sum += Math.abs(large[i]);
            }
            assertTrue(sum > 4 * 65504, "sum " + sum);
            byte[] picture = draw(pipeline, small(pipeline));
            long colours = 0;
            for (byte value : picture) {
                colours += value & 0xff;
            }
            double mean = colours / (double) picture.length;
            assertTrue(mean > 32 && mean < 224, "mean " + mean);
        }
    }

    @Test
    void networksOfDifferentModelsAreRefused() throws IOException {
        EditableModel model = EditableModel.of("sdxl-nano");
        Tensor label = model.tensors.get(UNET + "label_emb.0.0.weight");
        model.tensors.put(UNET + "label_emb.0.0.weight", label.narrowed(200));
        var failure = assertThrows(ModelFormatException.class, () -> open(model));
        assertTrue(failure.getMessage().contains("label of width 200"), failure.getMessage());

        EditableModel towerless = EditableModel.of("sdxl-nano");
        Map<String, Tensor> tensors = towerless.tensors;
        tensors.keySet().removeIf(name -> name.startsWith("conditioner.embedders.0."));
        assertThrows(ModelFormatException.class, () -> open(towerless));
    }
}
