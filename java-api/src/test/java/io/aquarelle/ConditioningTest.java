package io.aquarelle;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.NanoModel;
import java.io.IOException;
import org.junit.jupiter.api.Test;

class ConditioningTest {
    @Test
    void labelIsTheGoldenOne() throws IOException {
        try (Checkpoint golden = Checkpoint.open(NanoModel.golden("sdxl-nano-golden"))) {
            for (String branch : new String[] {"cond", "uncond"}) {
                float[] pooled = NanoModel.floats(golden, "pooled." + branch);
                float[] numbers = PictureSizes.of(128, 128).numbers();
                assertArrayEquals(
                        NanoModel.floats(golden, "adm." + branch), Conditioning.label(pooled, numbers, 256), 2e-6f);
            }
        }
    }

    @Test
    void sizesStandInTheOrderOfTraining() {
        var sizes = new PictureSizes(1, 2, 3, 4, 5, 6);
        assertArrayEquals(new float[] {2, 1, 4, 3, 6, 5}, sizes.numbers());
        assertArrayEquals(new float[] {2, 1, 4, 3, 2.5f}, sizes.numbers(2.5f));
        assertEquals(new PictureSizes(64, 48, 0, 0, 64, 48), PictureSizes.of(64, 48));
        assertThrows(IllegalArgumentException.class, () -> new PictureSizes(1, 1, -1, 0, 1, 1));
        assertThrows(IllegalArgumentException.class, () -> new PictureSizes(1 << 17, 1, 0, 0, 1, 1));
    }

    /** Written out again from diffusers' get_guidance_scale_embedding with w = 7. */
    @Test
    void guidanceEmbeddingIsThatOfLatentConsistencyModels() {
        float[] embedding = Conditioning.guidance(8, 256);
        for (int i = 0; i < 128; i++) {
            double angle = 7000 * Math.pow(10000, -i / 127.0);
            assertEquals(Math.sin(angle), embedding[i], 1e-6);
            assertEquals(Math.cos(angle), embedding[128 + i], 1e-6);
        }
        assertEquals(0, Conditioning.guidance(8, 0).length);
    }
}
