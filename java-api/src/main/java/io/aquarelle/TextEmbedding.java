package io.aquarelle;

import io.aquarelle.model.CallControl;
import io.aquarelle.model.TextEncoder;
import io.aquarelle.text.ClipTokenizer;
import io.aquarelle.text.PromptTokens;
import io.aquarelle.text.PromptWeighting;
import java.util.Arrays;
import java.util.List;

/**
 * What the text encoders make of a prompt.
 *
 * @param hidden hidden states [tokens][width], of all encoders side by side
 * @param tokens length
 * @param pooled pooled embedding of the first chunk; empty where the UNet takes none
 */
record TextEmbedding(float[] hidden, int tokens, float[] pooled) {
    /**
     * Tokenizes, encodes and weighs a prompt.
     *
     * @param words textual inversions
     * @param clipSkip 1 for the last layer, 2 for the one before, and so on; 0 for what the UNet was trained on
     */
    static TextEmbedding of(
            String prompt, List<TextEncoder> encoders, PromptWords words, int clipSkip, CallControl control) {
        PromptTokens tokens = tokenized(prompt, words);
        int length = length(tokens);
        int width = 0;
        float[] hidden = {};
        float[] pooled = {};
        for (int i = 0; i < encoders.size(); i++) {
            TextEncoder encoder = encoders.get(i);
            int[][] ids = padded(tokens.tokens(), encoder.tower().padding(), encoder.vocabulary());
            float[] vectors = words.vectors(encoders, i);
            var encoding = encoder.encode(ids, vectors, encoder.tower().skipLayers(clipSkip), control);
            hidden = beside(hidden, width, encoding.hidden(), encoder.width(), length);
            width += encoder.width();
            if (encoder.tower().pooled()) {
                pooled = Arrays.copyOf(encoding.pooled(), encoder.pooledWidth());
            }
        }
        PromptWeighting.apply(hidden, tokens.chunks(), PromptTokens.CHUNK_LENGTH, width, tokens.weights());
        return new TextEmbedding(hidden, length, pooled);
    }

    /** How many tokens the embedding of a prompt has, found without computing it. */
    static int length(String prompt, PromptWords words) {
        return length(tokenized(prompt, words));
    }

    private static PromptTokens tokenized(String prompt, PromptWords words) {
        return PromptTokens.of(prompt, ClipTokenizer.instance(), words.ids());
    }

    private static int length(PromptTokens tokens) {
        return tokens.chunks() * PromptTokens.CHUNK_LENGTH;
    }

    /** This without hidden states: SDXL was trained so on missing prompts. */
    TextEmbedding withoutText() {
        return new TextEmbedding(new float[hidden.length], tokens, pooled);
    }

    /** The chunks with {@code padding} behind their first end mark, and words' ids behind the vocabulary. */
    private static int[][] padded(int[][] chunks, int padding, int vocabulary) {
        int[][] result = new int[chunks.length][];
        for (int i = 0; i < chunks.length; i++) {
            int[] chunk = chunks[i].clone();
            int end = 0;
            while (chunk[end] != ClipTokenizer.END) {
                chunk[end] = PromptWords.idFor(chunk[end], vocabulary);
                end++;
            }
            Arrays.fill(chunk, end + 1, chunk.length, padding);
            result[i] = chunk;
        }
        return result;
    }

    /** Two matrices of {@code rows} rows side by side. */
    private static float[] beside(float[] left, int leftWidth, float[] right, int rightWidth, int rows) {
        float[] both = new float[left.length + right.length];
        int width = leftWidth + rightWidth;
        for (int row = 0; row < rows; row++) {
            System.arraycopy(left, row * leftWidth, both, row * width, leftWidth);
            System.arraycopy(right, row * rightWidth, both, row * width + leftWidth, rightWidth);
        }
        return both;
    }
}
