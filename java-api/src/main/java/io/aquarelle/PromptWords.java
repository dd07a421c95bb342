package io.aquarelle;

import io.aquarelle.model.TextEncoder;
import io.aquarelle.model.TextualInversion;
import io.aquarelle.text.ClipTokenizer;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The words of textual inversions, with ids behind those of CLIP's vocabulary. */
record PromptWords(List<TextualInversion> words) {
    private static final int FIRST = ClipTokenizer.END + 1;

    /** Ids by word. */
    Map<String, int[]> ids() {
        Map<String, int[]> ids = new LinkedHashMap<>();
        int next = FIRST;
        for (TextualInversion word : words) {
            int[] own = new int[word.count()];
            for (int i = 0; i < own.length; i++) {
                own[i] = next++;
            }
            ids.put(word.word(), own);
        }
        return ids;
    }

    /** The vectors of all ids for one of the encoders; see {@link TextualInversion#vectors}. */
    float[] vectors(List<TextEncoder> encoders, int index) {
        float[] all = {};
        for (TextualInversion word : words) {
            float[] own = word.vectors(encoders, index);
            all = Arrays.copyOf(all, all.length + own.length);
            System.arraycopy(own, 0, all, all.length - own.length, own.length);
        }
        return all;
    }

    /** An id as an encoder with a vocabulary of that size counts. */
    static int idFor(int id, int vocabulary) {
        return id < FIRST ? id : id - FIRST + vocabulary;
    }
}
