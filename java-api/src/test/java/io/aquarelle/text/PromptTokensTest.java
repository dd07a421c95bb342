package io.aquarelle.text;

import static io.aquarelle.text.ClipTokenizer.BEGIN;
import static io.aquarelle.text.ClipTokenizer.END;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

class PromptTokensTest {
    private static final int CAT = 2368;
    private static final int DOG = 1929;

    private static PromptTokens of(String prompt) {
        return PromptTokens.of(prompt, ClipTokenizer.instance());
    }

    /** The chunk of {@code tokens}, marked and filled. */
    private static int[] chunk(int... tokens) {
        int[] chunk = new int[77];
        Arrays.fill(chunk, END);
        chunk[0] = BEGIN;
        System.arraycopy(tokens, 0, chunk, 1, tokens.length);
        return chunk;
    }

    private static int[] cats(int count) {
        int[] cats = new int[count];
        Arrays.fill(cats, CAT);
        return cats;
    }

    @Test
    void chunksAndWeightsEqualThoseOfStableDiffusionCpp() {
        List<String[]> golden = Golden.rows("prompt-golden.tsv");
        assertTrue(golden.size() >= 100, "golden prompts: " + golden.size());
        for (String[] row : golden) {
            PromptTokens prompt = of(row[0]);
            int[] tokens =
                    Arrays.stream(prompt.tokens()).flatMapToInt(Arrays::stream).toArray();
            assertArrayEquals(Golden.ints(row[1]), tokens, row[0]);
            float[] expected = Golden.floats(row[2]);
            for (int i = 0; i < prompt.chunks(); i++) {
                float[] weights = Arrays.copyOfRange(expected, 77 * i, 77 * (i + 1));
                assertArrayEquals(weights, prompt.weights()[i], row[0]);
            }
        }
    }

    @Test
    void emptyPromptIsOneChunkOfMarks() {
        PromptTokens prompt = of("");
        assertArrayEquals(new int[][] {chunk()}, prompt.tokens());
        for (float weight : prompt.weights()[0]) {
            assertEquals(1, weight);
        }
    }

    @Test
    void seventyFiveTokensFillAChunk() {
        assertArrayEquals(new int[][] {chunk(cats(75))}, of("cat ".repeat(75)).tokens());
        assertArrayEquals(
                new int[][] {chunk(cats(75)), chunk(CAT)}, of("cat ".repeat(76)).tokens());
    }

    @Test
    void breakEndsAChunkThatHasTokens() {
        assertArrayEquals(
                new int[][] {chunk(CAT), chunk(DOG)}, of("cat BREAK dog").tokens());
        assertArrayEquals(
                new int[][] {chunk(CAT), chunk(DOG)},
                of("BREAK cat BREAK BREAK dog BREAK").tokens());
        assertArrayEquals(
                new int[][] {chunk(cats(75)), chunk(DOG)},
                of("cat ".repeat(75) + "BREAK dog").tokens());
        assertArrayEquals(new int[][] {chunk()}, of("BREAK BREAK").tokens());
    }

    @Test
    void weightStandsAtEveryTokenOfItsRunAndNowhereElse() {
        PromptTokens prompt = of("cat (dog cat:1.5) dog");
        assertArrayEquals(new int[][] {chunk(CAT, DOG, CAT, DOG)}, prompt.tokens());
        float[] expected = new float[77];
        Arrays.fill(expected, 1);
        expected[2] = expected[3] = 1.5f;
        assertArrayEquals(expected, prompt.weights()[0]);
    }

    @Test
    void paddingAddsChunksWithoutText() {
        PromptTokens prompt = of("(cat:2)");
        PromptTokens padded = prompt.padTo(3);
        assertEquals(3, padded.chunks());
        assertArrayEquals(new int[][] {chunk(CAT), chunk(), chunk()}, padded.tokens());
        assertArrayEquals(prompt.weights()[0], padded.weights()[0]);
        assertArrayEquals(of("").weights()[0], padded.weights()[2]);
        assertEquals(1, prompt.chunks());
        assertThrows(IllegalArgumentException.class, () -> padded.padTo(2));
    }

    @Test
    void chunksOfWrongSizesAreRefused() {
        assertThrows(IllegalArgumentException.class, () -> new PromptTokens(new int[0][], new float[0][]));
        assertThrows(IllegalArgumentException.class, () -> new PromptTokens(new int[1][77], new float[2][77]));
        assertThrows(IllegalArgumentException.class, () -> new PromptTokens(new int[1][76], new float[1][77]));
        assertThrows(IllegalArgumentException.class, () -> new PromptTokens(new int[1][77], new float[1][78]));
    }
}
