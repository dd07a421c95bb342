package io.aquarelle.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ClipTokenizerTest {
    private static final List<String[]> GOLDEN = Golden.rows("token-golden.tsv");
    private final ClipTokenizer tokenizer = ClipTokenizer.instance();

    @Test
    void idsEqualThoseOfOpenAiClip() {
        assertTrue(GOLDEN.size() >= 300, "golden texts: " + GOLDEN.size());
        for (String[] row : GOLDEN) {
            assertArrayEquals(Golden.ints(row[1]), tokenizer.encode(Golden.unescape(row[0])), row[0]);
        }
    }

    @Test
    void knownPromptHasItsKnownIds() {
        assertArrayEquals(
                new int[] {320, 1125, 539, 550, 18376, 6765, 320, 4558},
                tokenizer.encode("a photo of an astronaut riding a horse"));
    }

    @Test
    void secondCallFromTheCacheGivesTheSameIds() {
        int[] first = tokenizer.encode("kaleidoscopic zeppelins");
        int[] expected = first.clone();
        Arrays.fill(first, -1); // what the caller does to its array must not reach the cache
        assertArrayEquals(expected, tokenizer.encode("kaleidoscopic zeppelins"));
    }

    @Test
    void surrogateWithoutPartnerCountsAsReplacementCharacter() {
        int[] expected = tokenizer.encode("a\uFFFDb \uFFFD");
        assertArrayEquals(expected, tokenizer.encode("a\uD83Db \uDE00"));
        assertArrayEquals(expected, tokenizer.encode("a\uDC00b \uD800"));
    }

    @Test
    void everyCharacterHasTokens() {
        for (int c = 0; c <= Character.MAX_CODE_POINT; c += c < 0x3000 ? 1 : 97) {
            int[] tokens = tokenizer.encode("a" + Character.toString(c) + "b");
            assertTrue(tokens.length >= 1 && tokens.length <= 6, "U+" + Integer.toHexString(c));
            for (int token : tokens) {
                assertTrue(token >= 0 && token < ClipTokenizer.BEGIN, "U+" + Integer.toHexString(c));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"a", "!", "Σ", "Σ'", "'", "&", "&amp;", "1", "\u65E5", "\uD83D", "\0", "a!", "<|", "\u0301"})
    void theSameTextOverAndOverIsNoTrouble(String text) {
        assertTrue(tokenizer.encode(text.repeat(300_000)).length > 18_000);
    }

    @Test
    void spacesAloneAreNoToken() {
        assertEquals(0, tokenizer.encode(" \t\u3000".repeat(300_000)).length);
    }

    @Test
    void wordOfManyRandomLettersIsNoTrouble() {
        String word = new Random(5)
                .ints(300_000, 'a', 'z' + 1)
                .collect(StringBuilder::new, (s, c) -> s.append((char) c), StringBuilder::append)
                .toString();
        assertTrue(tokenizer.encode(word).length > 100_000);
    }

    /** The textbook form: while any pair merges, join all places of the pair of lowest rank, from left to right. */
    private static List<Integer> mergeRoundByRound(BytePairEncoder encoder, byte[] word) {
        List<Integer> tokens = new ArrayList<>();
        for (int token : encoder.split(word)) {
            tokens.add(token);
        }
        while (true) {
            int best = Integer.MAX_VALUE;
            for (int i = 0; i + 1 < tokens.size(); i++) {
                int made = encoder.merge(tokens.get(i), tokens.get(i + 1));
                best = made > 0 ? Math.min(best, made) : best;
            }
            if (best == Integer.MAX_VALUE) {
                return tokens;
            }
            for (int i = 0; i + 1 < tokens.size(); i++) {
                if (encoder.merge(tokens.get(i), tokens.get(i + 1)) == best) {
                    tokens.set(i, best);
                    tokens.remove(i + 1);
                }
            }
        }
    }

    @Test
    void queueOfMergesEqualsMergingRoundByRound() {
        BytePairEncoder encoder = BytePairEncoder.load();
        Random random = new Random(6);
        String[] alphabets = {"ab", "etaoinshr", "abcdefghijklmnopqrstuvwxyz", "!?.,-", "\u00C3\u00A9\u00A8\u00FF"};
        for (int i = 0; i < 3000; i++) {
            String alphabet = alphabets[i % alphabets.length];
            byte[] word = new byte[1 + random.nextInt(60)];
            for (int j = 0; j < word.length; j++) {
                word[j] = (byte) alphabet.charAt(random.nextInt(alphabet.length()));
            }
            List<Integer> tokens = Arrays.stream(encoder.encode(word)).boxed().toList();
            assertEquals(mergeRoundByRound(encoder, word), tokens);
        }
    }

    @Test
    void threadsShareTheTokenizer() throws Exception {
        try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
            Callable<Void> golden = () -> {
                idsEqualThoseOfOpenAiClip();
                return null;
            };
            for (Future<Void> result : threads.invokeAll(List.of(golden, golden, golden, golden))) {
                result.get();
            }
        }
    }
}
