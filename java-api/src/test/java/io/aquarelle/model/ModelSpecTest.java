package io.aquarelle.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.model.EditableModel.Tensor;
import io.aquarelle.sampling.Prediction;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ModelSpecTest {
    @TempDir
    Path folder;

    private final EditableModel model = new EditableModel();

    private void add(String name, long... shape) {
        int count = 1;
        for (long side : shape) {
            count *= (int) side;
        }
        var sides = Arrays.stream(shape).boxed().toList();
        model.tensors.put(name, new Tensor(sides, new float[count]));
    }

    private ModelSpec spec() throws IOException {
        return spec("model");
    }

    private ModelSpec spec(String name) throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(model.write(folder.resolve(name + ".safetensors")))) {
            return ModelSpec.of(checkpoint);
        }
    }

    /** The tensors of a UNet that tell what it is. */
    private void unet(long context) {
        add("model.diffusion_model.input_blocks.0.0.weight", 32, 4, 3, 3);
        add("model.diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_k.weight", 32, context);
    }

    @Test
    void metadataTellHowAModelIsToBeUsed() throws IOException {
        unet(768);
        assertEquals(0, spec().imageSize());
        assertEquals(0, spec().guidance());
        model.metadata.put("scale_factor", "0.42");
        model.metadata.put("image_size", "128");
        model.metadata.put("cfg_scale", "3.5");
        assertEquals(0.42f, spec().latentScale());
        assertEquals(128, spec().imageSize());
        assertEquals(3.5f, spec().guidance());
        for (String wrong : new String[] {
            "scale_factor 0", "scale_factor NaN", "cfg_scale -1", "cfg_scale 1e9", "image_size 100", "image_size 1.5"
        }) {
            String[] entry = wrong.split(" ");
            String right = model.metadata.put(entry[0], entry[1]);
            var failure = assertThrows(ModelFormatException.class, this::spec);
            assertTrue(failure.getMessage().contains(entry[0] + " '" + entry[1] + "'"), failure.getMessage());
            model.metadata.put(entry[0], right);
        }
    }

    @Test
    void unetAloneTellsItsFamilyByTheTextThatItTakes() throws IOException {
        unet(768);
        assertEquals(ModelFamily.SD1, spec().family());
        assertEquals(Heads.ofCount(8), spec().heads());
        assertEquals(0.18215f, spec().latentScale());
        unet(1024);
        assertEquals(ModelFamily.SD2, spec().family());
        assertEquals(Heads.ofWidth(64), spec().heads());
        add("model.diffusion_model.label_emb.0.0.weight", 32, 64);
        unet(2048);
        assertEquals(ModelFamily.SDXL, spec().family());
        assertEquals(0.13025f, spec().latentScale());
        unet(1280);
        assertEquals(ModelFamily.SDXL_REFINER, spec().family());
        assertTrue(spec().family().isXl());
    }

    @Test
    void predictionIsThatOfMetadataTensorsAndFamily() throws IOException {
        unet(768);
        assertEquals(Prediction.EPS, spec().prediction());
        add("v_pred", 1);
        assertEquals(Prediction.V, spec().prediction());
        model.metadata.put("modelspec.prediction_type", "epsilon");
        assertEquals(Prediction.EPS, spec().prediction());
        model.metadata.put("prediction_type", "v_prediction");
        assertEquals(Prediction.V, spec().prediction());
        model.metadata.put("prediction_type", "flow");
        var failure = assertThrows(ModelFormatException.class, this::spec);
        assertTrue(failure.getMessage().contains("'flow'"), failure.getMessage());
    }

    @Test
    void ofSd2OnlyTheOutputTellsThePrediction() throws IOException {
        unet(1024);
        assertNull(spec().prediction());
        assertEquals(Prediction.V, spec().withPrediction(Prediction.V).prediction());
        assertEquals(ModelFamily.SD2, spec().withPrediction(Prediction.V).family());
    }

    @Test
    void towersAreThoseOfTheFamily() throws IOException {
        unet(768);
        TextTower clip = spec().towers().getFirst();
        assertEquals("cond_stage_model.transformer.text_model.", clip.prefix());
        assertEquals(List.of(0, 0, 1, 2), skips(clip));

        unet(1024);
        TextTower open = spec().towers().getFirst();
        assertEquals("cond_stage_model.model.", open.prefix());
        assertEquals(List.of(1, 0, 1, 2), skips(open));
        assertEquals(0, open.padding());
        assertTrue(open.finalNorm());

        add("model.diffusion_model.label_emb.0.0.weight", 32, 64);
        unet(2048);
        List<TextTower> both = spec().towers();
        assertEquals(2, both.size());
        assertEquals(
                "conditioner.embedders.0.transformer.text_model.", both.get(0).prefix());
        assertEquals("conditioner.embedders.1.model.", both.get(1).prefix());
        assertEquals(List.of(1, 0, 1, 2), skips(both.get(0)));
        assertEquals(49407, both.get(0).padding());
        assertEquals(0, both.get(1).padding());
        assertEquals(List.of(false, true), both.stream().map(TextTower::pooled).toList());
        assertEquals(
                List.of(false, false), both.stream().map(TextTower::finalNorm).toList());
    }

    private static List<Integer> skips(TextTower tower) {
        return List.of(tower.skipLayers(0), tower.skipLayers(1), tower.skipLayers(2), tower.skipLayers(3));
    }

    /** Diffusers' folders of SD 2.x keep 23 layers of the tower's 24, as the last one is never used. */
    @Test
    void towerThatLacksItsLastLayerIsUsedToItsEnd() throws IOException {
        unet(1024);
        String tower = "cond_stage_model.transformer.text_model.";
        add(tower + "embeddings.token_embedding.weight", 2, 32);
        for (int layer = 0; layer < 23; layer++) {
            add(tower + "encoder.layers." + layer + ".layer_norm1.weight", 32);
        }
        assertEquals(tower, spec().towers().getFirst().prefix());
        assertEquals(Gelu.EXACT, spec().towers().getFirst().gelu());
        assertEquals(List.of(0, 0, 0, 1), skips(spec().towers().getFirst()));
        add(tower + "encoder.layers.23.layer_norm1.weight", 32);
        assertEquals(List.of(1, 0, 1, 2), skips(spec().towers().getFirst()));
    }

    @ParameterizedTest
    @CsvSource({
        "v1-5-pruned, NONE",
        "sd_turbo, TURBO",
        "dreamshaperXL_v2TurboDpmppSDE, TURBO",
        "sdxl_lightning_4step, LIGHTNING",
        "LCM_Dreamshaper_v7, LCM_LORA",
        "dreamshaper-8-lcm, LCM_LORA",
        "welcme, NONE"
    })
    void distillationIsReadFromTheName(String name, Distillation distillation) throws IOException {
        unet(768);
        assertEquals(distillation, spec(name).distillation());
    }

    @Test
    void distillationIsReadFromTensorsAndTitles() throws IOException {
        unet(768);
        model.metadata.put("modelspec.title", "SDXL Turbo 1.0");
        assertEquals(Distillation.TURBO, spec().distillation());
        add("model.diffusion_model.time_embed.cond_proj.weight", 32, 256);
        assertEquals(Distillation.LCM, spec().distillation());
    }

    @Test
    void sdxsHasNoMiddleAndLooksAtNoPictureInItsFinestLevel() throws IOException {
        add("model.diffusion_model.input_blocks.0.0.weight", 32, 4, 3, 3);
        String finest = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.";
        assertEquals(Distillation.SDXS, spec().distillation());
        add(finest + "attn1.to_k.weight", 32, 32); // BK-SDM-Tiny
        assertEquals(Distillation.NONE, spec().distillation());
        add(finest + "attn1.to_k.weight", 32, 1024);
        assertEquals(Distillation.SDXS, spec().distillation());
    }
}
