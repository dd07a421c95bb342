package io.aquarelle.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

class PromptWeightingTest {
    private static float[] randomHidden(int size, long seed) {
        Random random = new Random(seed);
        float[] hidden = new float[size];
        for (int i = 0; i < size; i++) {
            hidden[i] = (float) random.nextGaussian(0.1, 1);
        }
        return hidden;
    }

    @Test
    void hiddenStatesEqualThoseOfStableDiffusionCpp() {
        for (String[] row : Golden.rows("weighting-golden.tsv")) {
            float[] hidden = Golden.floats(row[1]);
            PromptWeighting.apply(hidden, 1, 77, 4, new float[][] {Golden.floats(row[0])});
            assertArrayEquals(Golden.floats(row[2]), hidden);
        }
    }

    @Test
    void meanIsRestoredAndProportionsFollowTheWeights() {
        float[] before = {1, 2, 3, 4, 5, 6}; // three tokens of two channels
        float[] hidden = before.clone();
        float[] weights = {1, 2, 0.5f};
        PromptWeighting.apply(hidden, 1, 3, 2, new float[][] {weights});
        // weighted: 1 2 6 8 2.5 3, sum 22.5; before: sum 21
        float[] expected = {1, 2, 6, 8, 2.5f, 3};
        for (int i = 0; i < 6; i++) {
            assertEquals(expected[i] * 21 / 22.5, hidden[i], 1e-6);
        }
    }

    @Test
    void everyChunkKeepsItsOwnMean() {
        float[] hidden = randomHidden(2 * 5 * 3, 1);
        float[] first = Arrays.copyOfRange(hidden, 0, 15);
        float[] second = Arrays.copyOfRange(hidden, 15, 30);
        float[] weights = {1, 3, -1, 0, 1.5f};
        float[] ones = {1, 1, 1, 1, 1};
        PromptWeighting.apply(hidden, 2, 5, 3, new float[][] {ones, weights});
        assertArrayEquals(first, Arrays.copyOfRange(hidden, 0, 15));
        PromptWeighting.apply(second, 1, 5, 3, new float[][] {weights});
        assertArrayEquals(second, Arrays.copyOfRange(hidden, 15, 30));
    }

    @Test
    void meanThatCannotBeRestoredIsLeft() {
        float[] zero = {1, 2, 3, 4};
        PromptWeighting.apply(zero, 1, 2, 2, new float[][] {{0, 0}});
        assertArrayEquals(new float[4], zero);
        float[] infinite = {Float.POSITIVE_INFINITY, 2, 3, 4};
        PromptWeighting.apply(infinite, 1, 2, 2, new float[][] {{1, 2}});
        assertArrayEquals(new float[] {Float.POSITIVE_INFINITY, 2, 6, 8}, infinite);
    }

    @Test
    void sizesThatDoNotFitAreRefused() {
        float[][] weights = {{1, 2}};
        assertThrows(IllegalArgumentException.class, () -> PromptWeighting.apply(new float[5], 1, 2, 2, weights));
        assertThrows(IllegalArgumentException.class, () -> PromptWeighting.apply(new float[8], 2, 2, 2, weights));
        assertThrows(IllegalArgumentException.class, () -> PromptWeighting.apply(new float[6], 1, 3, 2, weights));
    }
}
