package io.aquarelle;

import io.aquarelle.model.UNet.Condition;
import java.util.List;

/**
 * How outputs of the UNet under several conditions become one.
 *
 * <p>Two branches, with the prompt and with the negative prompt: classifier-free guidance (Ho and Salimans, arXiv
 * 2207.12598), {@code F = F_u + s (F_c - F_u)}. Three, the second of which has the picture to edit and the negative
 * prompt, the third neither picture nor prompt: that of InstructPix2Pix (Brooks, Holynski and Efros, arXiv 2211.09800),
 * {@code F = F_u + s_I (F_I - F_u) + s_T (F_IT - F_I)}.
 *
 * @param branches the prompt's first
 * @param scale of the prompt
 * @param imageScale of the picture, where there are three branches
 */
record Guidance(List<Branch> branches, float scale, float imageScale) {
    /**
     * What the UNet gets beside the latent in one branch.
     *
     * @param beside what goes behind the latent's channels, [channels][height][width]; mostly nothing
     */
    record Branch(Condition condition, float[] beside) {}

    /** The outputs of all branches as one. */
    float[] guided(List<float[]> outputs) {
        float[] prompt = outputs.getFirst();
        float[] without = outputs.get(1);
        float[] nothing = outputs.getLast();
        float[] guided = new float[prompt.length];
        for (int i = 0; i < guided.length; i++) {
            float image = outputs.size() == 3 ? nothing[i] + imageScale * (without[i] - nothing[i]) : without[i];
            guided[i] = image + scale * (prompt[i] - without[i]);
        }
        return guided;
    }
}
