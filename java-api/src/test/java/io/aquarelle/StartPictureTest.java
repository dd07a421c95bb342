package io.aquarelle;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

import io.aquarelle.sampling.Denoiser;
import io.aquarelle.sampling.NoiseSource;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class StartPictureTest {
    private static final NoiseSource ONES = count -> {
        float[] ones = new float[count];
        Arrays.fill(ones, 1);
        return ones;
    };

    private static float[] levels(int steps) {
        float[] sigmas = new float[steps + 1];
        for (int i = 0; i < steps; i++) {
            sigmas[i] = steps - i;
        }
        return sigmas;
    }

    // t_enc + 1 of A1111's setup_img2img_steps, and of stable-diffusion.cpp below strength 1.
    @ParameterizedTest
    @CsvSource({
        "20, 0.75, 16",
        "20, 1, 20",
        "20, 0.999, 20",
        "20, 0.5, 11",
        "20, 0.04, 1",
        "4, 0.3, 2",
        "1, 0.9, 1",
        "3, 0, 0",
        "1, 1, 1",
        "1000, 0.001, 2",
        "7, 0.9, 7"
    })
    void strengthLeavesTheLastSteps(int steps, float strength, int left) {
        float[] all = levels(steps);
        float[] sigmas = StartPicture.sigmas(all, strength);
        assertEquals(left, sigmas.length - 1);
        assertEquals(all[steps - left], sigmas[0]);
        assertEquals(0, sigmas[left]);
    }

    @Test
    void latentIsDrawnFromItsDistributionAndScaled() {
        float[] moments = {1, -2, 3, 0, (float) Math.log(4), -99}; // three means, three log variances
        StartPicture start = new StartPicture(moments, 0.5f, null);
        assertArrayEquals(new float[] {1, 0, 1.5f}, start.latent(ONES, 3), 1e-6f);
        assertArrayEquals(new float[3], StartPicture.NONE.latent(ONES, 3));
    }

    @Test
    void noiseIsAddedToTheLatent() {
        float[] latent = {1, 2, 3, 4};
        float[] noise = {1, -1, 1, -1};
        StartPicture whole = new StartPicture(new float[8], 1, null);
        assertArrayEquals(new float[] {11, -8, 13, -6}, whole.noised(latent, noise, 10, 1));
        StartPicture half = new StartPicture(new float[8], 1, new float[] {1, 0});
        assertArrayEquals(new float[] {11, -8, 13, -6}, half.noised(latent, noise, 10, 0.99f));
        assertArrayEquals(
                new float[] {10, -8, 10, -6}, half.noised(latent, noise, 10, 1), "noise alone under the mask");
    }

    @Test
    void estimatesAreThePictureWhereItStays() {
        float[] latent = {1, 2, 3, 4};
        Denoiser nines = (x, sigma) -> new float[] {9, 9, 9, 9};
        StartPicture half = new StartPicture(new float[8], 1, new float[] {1, 0});
        float[] expected = {9, 2, 9, 4};
        assertArrayEquals(expected, half.keeping(latent, nines).denoise(latent, 1));
        assertArrayEquals(
                expected, half.keeping(latent, nines).estimates(latent, 1).guided());
        assertArrayEquals(
                expected, half.keeping(latent, nines).estimates(latent, 1).unconditional());
        assertSame(nines, StartPicture.NONE.keeping(latent, nines));
    }

    @Test
    void aCellIsDrawnAnewIfAnyOfItsPixelsIsLight() {
        byte[] rgb = new byte[3 * 24 * 16];
        Arrays.fill(rgb, (byte) 127);
        Arrays.fill(rgb, 3 * (8 * 24 + 15), 3 * (8 * 24 + 16), (byte) 128); // the last pixel of cell (1, 1)
        assertArrayEquals(new float[] {0, 0, 0, 0, 1, 0}, StartPicture.cells(Picture.of(24, 16, rgb), 8));
    }
}
