package io.aquarelle.sampling;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.util.Arrays;
import org.junit.jupiter.api.Test;

class BrownianTreeTest {
    private static final float[] LEVELS = {14, 9, 6.5f, 3, 0.8f, 0.03f, 0};

    private static BrownianTree tree(long seed, int length) {
        return BrownianTree.over(LEVELS, length, RandomSources.philox(seed));
    }

    /** W(from) - W(to), not scaled. */
    private static float[] way(BrownianTree tree, float from, float to) {
        return Latents.scale(Math.sqrt(from - to), tree.increment(from, to));
    }

    @Test
    void incrementsAddUp() {
        BrownianTree tree = tree(3, 100);
        float[] whole = way(tree, 9, 0.8f);
        float[] parts = Latents.sum(1, way(tree, 9, 6.5f), 1, way(tree, 6.5f, 3), 1, way(tree, 3, 0.8f));
        assertArrayEquals(whole, parts, 1e-5f);
    }

    @Test
    void incrementsAreNormalAndIndependent() {
        int n = 50_000;
        BrownianTree tree = tree(5, n);
        float[] before = tree.increment(14, 9);
        for (int i = 1; i < LEVELS.length - 2; i++) {
            float[] next = tree.increment(LEVELS[i], LEVELS[i + 1]);
            double mean = 0;
            double square = 0;
            double product = 0;
            for (int j = 0; j < n; j++) {
                mean += next[j] / n;
                square += (double) next[j] * next[j] / n;
                product += (double) next[j] * before[j] / n;
            }
            assertEquals(0, mean, 0.02);
            assertEquals(1, square, 0.03);
            assertEquals(0, product, 0.02);
            before = next;
        }
    }

    @Test
    void pathIsTheSeeds() {
        assertArrayEquals(tree(7, 50).increment(6.5f, 3), tree(7, 50).increment(6.5f, 3));
        assertFalse(Arrays.equals(tree(7, 50).increment(6.5f, 3), tree(8, 50).increment(6.5f, 3)));
    }

    @Test
    void otherStepsBetweenTheSameEndsFollowTheSamePath() {
        BrownianTree few = BrownianTree.over(new float[] {14, 3, 0.03f, 0}, 50, RandomSources.philox(7));
        BrownianTree many = tree(7, 50);
        float[] parts = Latents.sum(1, way(many, 14, 9), 1, way(many, 9, 6.5f), 1, way(many, 6.5f, 3));
        assertArrayEquals(way(few, 14, 3), parts, 1e-5f);
    }
}
