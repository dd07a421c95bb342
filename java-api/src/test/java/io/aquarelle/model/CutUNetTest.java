package io.aquarelle.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.aquarelle.model.UNet.Condition;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** UNets that no version describes, against what an independent PyTorch implementation computed with them. */
class CutUNetTest {
    @TempDir
    Path folder;

    /** The output of a cut for the golden inputs of the model that it comes from. */
    private float[] evaluate(String cut, String model) throws IOException {
        Path file = EditableModel.cut(cut).write(folder.resolve(cut + ".safetensors"));
        try (Engine engine = Engine.create(EngineOptions.ofThreads(2));
                Checkpoint checkpoint = Checkpoint.open(file);
                Checkpoint golden = Checkpoint.open(NanoModel.golden(model + "-golden"));
                Checkpoint cuts = Checkpoint.open(NanoModel.golden("cuts-golden"));
                Weights weights = Weights.of(checkpoint);
                UNet unet = UNet.create(
                        engine,
                        weights,
                        ModelSpec.UNET_PREFIX,
                        ModelSpec.of(checkpoint).heads())) {
            float[] latent = NanoModel.floats(golden, "unet.x");
            float[] beside = optional(cuts, cut + ".beside");
            float[] input = Arrays.copyOf(latent, latent.length + beside.length);
            System.arraycopy(beside, 0, input, latent.length, beside.length);
            var condition = new Condition(
                    NanoModel.floats(golden, "text.cond"),
                    77,
                    optional(golden, "adm.cond"),
                    optional(cuts, cut + ".guidance"));
            assertEquals(optional(cuts, cut + ".guidance").length, unet.guidanceWidth());
            return unet.evaluate(input, new float[] {500}, condition, 16, 16, null);
        }
    }

    private static float[] optional(Checkpoint file, String name) {
        return file.tensors().containsKey(name) ? NanoModel.floats(file, name) : new float[0];
    }

    @ParameterizedTest
    @CsvSource({
        "bk-sdm-base, sd1-nano",
        "bk-sdm-small, sd1-nano",
        "bk-sdm-small-gaps, sd1-nano",
        "tiny, sd1-nano",
        "three-blocks, sd1-nano",
        "inpainting, sd1-nano",
        "pix2pix, sd1-nano",
        "lcm, sd1-nano",
        "ssd-1b, sdxl-nano",
        "sdxs, sdxl-nano"
    })
    void outputIsTheGoldenOne(String cut, String model) throws IOException {
        float[] output = evaluate(cut, model);
        try (Checkpoint cuts = Checkpoint.open(NanoModel.golden("cuts-golden"))) {
            float[] expected = NanoModel.floats(cuts, cut);
            float largest = 0;
            for (float value : expected) {
                largest = Math.max(largest, Math.abs(value));
            }
            assertArrayEquals(expected, output, 1e-4f * largest);
        }
    }

    @Test
    void gapsInTheNumbersOfBlocksChangeNothing() throws IOException {
        assertArrayEquals(evaluate("bk-sdm-small", "sd1-nano"), evaluate("bk-sdm-small-gaps", "sd1-nano"));
    }
}
