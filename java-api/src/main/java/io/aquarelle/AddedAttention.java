package io.aquarelle;

import io.aquarelle.model.AttentionAdapter;
import io.aquarelle.model.AttentionAdapter.Term;
import java.util.List;

/**
 * What an adapter adds to the cross-attentions in some steps of a run.
 *
 * @param contexts what it reads in each branch, [tokens][width]
 * @param tokens length of each
 */
record AddedAttention(AttentionAdapter adapter, List<float[]> contexts, int tokens, float scale, StepRange during) {
    /** For one call of branches that follow each other. */
    Term term(int first, int count) {
        float[] joined = new float[count * contexts.getFirst().length];
        for (int i = 0; i < count; i++) {
            float[] context = contexts.get(first + i);
            System.arraycopy(context, 0, joined, i * context.length, context.length);
        }
        return new Term(adapter, joined, tokens, scale);
    }
}
