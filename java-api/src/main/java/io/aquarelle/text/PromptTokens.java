package io.aquarelle.text;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.IntConsumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A prompt as the text encoder takes it: chunks of 77 token ids and as many weights.
 *
 * <p>Each chunk is {@link ClipTokenizer#BEGIN}, up to 75 tokens, and {@link ClipTokenizer#END} as often as it takes to
 * fill the chunk, at least once. Marks and filling have weight 1. Chunks are those of stable-diffusion.cpp for SD 1.x:
 * a long prompt is cut after every 75th token, wherever that falls, and {@code BREAK} ends a chunk unless it is empty,
 * so at the start, at the end or twice in a row it adds nothing. (A1111 instead moves the words after a comma near the
 * cut to the next chunk, and a {@code BREAK} there may leave a chunk empty.)
 *
 * @param tokens token ids [chunks][77]; not copied
 * @param weights weights [chunks][77]; not copied
 */
public record PromptTokens(int[][] tokens, float[][] weights) {
    /** Tokens in a chunk, marks included. */
    public static final int CHUNK_LENGTH = 77;

    /** Refuses anything but two arrays of the same number of chunks, at least one, of 77 each. */
    public PromptTokens {
        if (tokens.length == 0 || tokens.length != weights.length) {
            throw new IllegalArgumentException("prompt has " + tokens.length + " chunks of tokens and " + weights.length
                    + " of weights; it needs as many of both, at least one");
        }
        for (int i = 0; i < tokens.length; i++) {
            if (tokens[i].length != CHUNK_LENGTH || weights[i].length != CHUNK_LENGTH) {
                throw new IllegalArgumentException("prompt chunk " + i + " has " + tokens[i].length + " tokens and "
                        + weights[i].length + " weights; it needs " + CHUNK_LENGTH + " of both");
            }
        }
    }

    /** Parses {@code prompt} by {@link PromptSyntax}, tokenizes each run of one weight by itself, and cuts chunks. */
    public static PromptTokens of(String prompt, ClipTokenizer tokenizer) {
        return of(prompt, tokenizer, Map.of());
    }

    /**
     * The same with words that have token ids of their own (textual inversion). A word counts in any case, but not as a part
     * of a longer one; where several would do, the longest.
     *
     * @param words ids by word
     */
    public static PromptTokens of(String prompt, ClipTokenizer tokenizer, Map<String, int[]> words) {
        Words known = new Words(tokenizer, words);
        Chunks chunks = new Chunks();
        for (List<WeightedText> part : PromptSyntax.parse(prompt)) {
            chunks.endChunk();
            for (WeightedText run : part) {
                known.encode(run.text(), token -> chunks.add(token, run.weight()));
            }
        }
        return chunks.toPrompt();
    }

    /** Number of chunks. */
    public int chunks() {
        return tokens.length;
    }

    /**
     * Returns this prompt with chunks without text added until there are {@code chunks}, for code that needs two
     * prompts of one length.
     *
     * @throws IllegalArgumentException if this prompt has more than {@code chunks}
     */
    public PromptTokens padTo(int chunks) {
        if (chunks < chunks()) {
            throw new IllegalArgumentException(
                    "prompt of " + chunks() + " chunks can't be padded to " + chunks + "; pad to the longer prompt");
        }
        int[][] paddedTokens = Arrays.copyOf(tokens, chunks);
        float[][] paddedWeights = Arrays.copyOf(weights, chunks);
        for (int i = chunks(); i < chunks; i++) {
            paddedTokens[i] = Chunks.emptyTokens();
            paddedWeights[i] = Chunks.emptyWeights();
        }
        return new PromptTokens(paddedTokens, paddedWeights);
    }

    /** A tokenizer that knows some words. */
    private static final class Words {
        private final ClipTokenizer tokenizer;
        private final Map<String, int[]> ids = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
        private final @Nullable Pattern any;

        Words(ClipTokenizer tokenizer, Map<String, int[]> words) {
            this.tokenizer = tokenizer;
            ids.putAll(words);
            String longestFirst = words.keySet().stream()
                    .sorted(Comparator.comparingInt(String::length).reversed())
                    .map(Pattern::quote)
                    .collect(Collectors.joining("|"));
            any = words.isEmpty()
                    ? null
                    : Pattern.compile(
                            "(?<![\\p{L}\\p{N}_])(?:" + longestFirst + ")(?![\\p{L}\\p{N}_])",
                            Pattern.CASE_INSENSITIVE);
        }

        void encode(String text, IntConsumer tokens) {
            int start = 0;
            if (any != null) {
                Matcher matcher = any.matcher(text);
                while (matcher.find()) {
                    Arrays.stream(tokenizer.encode(text.substring(start, matcher.start())))
                            .forEach(tokens);
                    Arrays.stream(ids.get(matcher.group())).forEach(tokens);
                    start = matcher.end();
                }
            }
            Arrays.stream(tokenizer.encode(text.substring(start))).forEach(tokens);
        }
    }

    /** Collects tokens; a chunk is begun when its first token comes. */
    private static final class Chunks {
        private final List<int[]> tokens = new ArrayList<>();
        private final List<float[]> weights = new ArrayList<>();
        private int next = CHUNK_LENGTH - 1; // place of the next token; the last one is for the end mark

        static int[] emptyTokens() {
            int[] chunk = new int[CHUNK_LENGTH];
            Arrays.fill(chunk, ClipTokenizer.END);
            chunk[0] = ClipTokenizer.BEGIN;
            return chunk;
        }

        static float[] emptyWeights() {
            float[] chunk = new float[CHUNK_LENGTH];
            Arrays.fill(chunk, 1);
            return chunk;
        }

        void add(int token, float weight) {
            if (next == CHUNK_LENGTH - 1) {
                beginChunk();
            }
            tokens.getLast()[next] = token;
            weights.getLast()[next] = weight;
            next++;
        }

        void endChunk() {
            next = CHUNK_LENGTH - 1;
        }

        PromptTokens toPrompt() {
            if (tokens.isEmpty()) {
                beginChunk();
            }
            return new PromptTokens(tokens.toArray(int[][]::new), weights.toArray(float[][]::new));
        }

        private void beginChunk() {
            tokens.add(emptyTokens());
            weights.add(emptyWeights());
            next = 1;
        }
    }
}
