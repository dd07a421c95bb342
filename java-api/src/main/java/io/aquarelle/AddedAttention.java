package io.aquarelle;

import io.aquarelle.model.AttentionAdapter;
import io.aquarelle.model.AttentionAdapter.Term;
import io.aquarelle.sampling.Latents;
import java.util.Collections;
import java.util.List;

/**
 * What an adapter adds to the cross-attentions in some steps of a run.
 *
 * @param contexts what it reads in each branch, [tokens][width]
 * @param tokens length of each
 */
record AddedAttention(AttentionAdapter adapter, List<float[]> contexts, int tokens, float scale, StepRange during) {
    /** For one call of branches that follow each other, with some pictures in each. */
    Term term(int first, int branches, int pictures) {
        List<float[]> each = contexts.subList(first, first + branches).stream()
                .flatMap(context -> Collections.nCopies(pictures, context).stream())
                .toList();
        return new Term(adapter, Latents.joined(each), tokens, scale);
    }
}
