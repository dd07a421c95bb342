package io.aquarelle;

import io.aquarelle.model.CallControl;
import io.aquarelle.model.TextEncoder;
import io.aquarelle.text.ClipTokenizer;
import io.aquarelle.text.PromptTokens;
import io.aquarelle.text.PromptWeighting;
import java.util.Arrays;

/**
 * What the UNet gets of a prompt.
 *
 * @param values hidden states [batch][tokens][width]
 * @param batch number of prompts
 * @param tokens length of each
 */
record TextEmbedding(float[] values, int batch, int tokens) {
    /** Tokenizes, encodes and weighs a prompt. */
    static TextEmbedding of(String prompt, TextEncoder encoder, int clipSkip, CallControl control) {
        PromptTokens tokens = PromptTokens.of(prompt, ClipTokenizer.instance());
        float[] hidden = encoder.encode(tokens.tokens(), clipSkip - 1, control);
        int length = PromptTokens.CHUNK_LENGTH;
        PromptWeighting.apply(hidden, tokens.chunks(), length, encoder.width(), tokens.weights());
        return new TextEmbedding(hidden, 1, tokens.chunks() * length);
    }

    /** This and another of the same length as one batch. */
    TextEmbedding and(TextEmbedding other) {
        float[] both = Arrays.copyOf(values, values.length + other.values.length);
        System.arraycopy(other.values, 0, both, values.length, other.values.length);
        return new TextEmbedding(both, batch + other.batch, tokens);
    }
}
