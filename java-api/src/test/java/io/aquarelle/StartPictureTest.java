package io.aquarelle;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.aquarelle.sampling.Denoiser;
import io.aquarelle.sampling.NoiseSource;
import io.aquarelle.sampling.Samplers;
import io.aquarelle.sampling.StepListener;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
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

    /** The denoiser wants nines; what stays comes down to the picture beside them, with less noise each step. */
    @Test
    void theRunKeepsThePictureWhereItStays() {
        float[] latent = {1, 2, 3, 4};
        StartPicture half = new StartPicture(new float[8], 1, new float[] {1, 0});
        float[] sigmas = {10, 1, 0.1f, 0};
        for (String name : List.of("euler", "euler_cfg_pp", "dpm++2m", "lms")) {
            List<float[]> seen = new ArrayList<>();
            Denoiser nines = (x, sigma) -> {
                seen.add(x.clone());
                return new float[] {9, 9, 9, 9};
            };
            float[] start = {11, 12, 13, 14};
            float[] end = half.sample(Samplers.byName(name), nines, latent, start, sigmas, ONES, StepListener.NONE);
            assertArrayEquals(new float[] {9, 2, 9, 4}, end, 1e-4f, name);
            assertEquals(3, seen.get(1)[1], 1e-4f, name);
            assertEquals(2.1f, seen.get(2)[1], 1e-4f, name);
            assertEquals(4.1f, seen.get(2)[3], 1e-4f, name);
            assertArrayEquals(new float[] {11, 12, 13, 14}, start);
        }
    }

    @Test
    void withoutAMaskTheRunIsTheSamplers() {
        Denoiser nines = (x, sigma) -> new float[] {9, 9};
        float[] start = {11, -12};
        float[] sigmas = {10, 1, 0.1f, 0};
        assertArrayEquals(
                Samplers.EULER.sample(nines, start, sigmas, ONES, StepListener.NONE),
                StartPicture.NONE.sample(Samplers.EULER, nines, start, start, sigmas, ONES, StepListener.NONE));
    }

    @Test
    void aCellIsDrawnAnewIfAnyOfItsPixelsIsLight() {
        byte[] rgb = new byte[3 * 24 * 16];
        Arrays.fill(rgb, (byte) 127);
        Arrays.fill(rgb, 3 * (8 * 24 + 15), 3 * (8 * 24 + 16), (byte) 128); // the last pixel of cell (1, 1)
        assertArrayEquals(new float[] {0, 0, 0, 0, 1, 0}, StartPicture.cells(Picture.of(24, 16, rgb), 8));
    }
}
