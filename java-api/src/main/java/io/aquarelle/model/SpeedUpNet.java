package io.aquarelle.model;

import io.aquarelle.model.AttentionAdapter.Term;
import io.aquarelle.model.UNet.Condition;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * SpeedUpNet (Chai et al. 2023, arXiv 2312.08887): an adapter that has guidance by a negative prompt built in, and was
 * trained for four steps. In each cross-attention with output O it takes attention N to the negative prompt away and adds
 * attention P to the prompt, both matched to the norm of O: {@code O - (a |O|/|N| N + b) + (a' |O|/|P| P + b')}.
 */
public final class SpeedUpNet implements AutoCloseable {
    /** Where the file names a term, and under which prefix it becomes an adapter. */
    private static final Map<String, String> TERMS = Map.of("neg", "negative.", "extra_pos", "positive.");

    private final UNet unet;
    private final AttentionAdapter negative;
    private final AttentionAdapter positive;

    private SpeedUpNet(UNet unet, AttentionAdapter negative, AttentionAdapter positive) {
        this.unet = unet;
        this.negative = negative;
        this.positive = positive;
    }

    /**
     * Opens an adapter with both terms ("addpos"): for the i-th cross-attention as diffusers counts them,
     * {@code (2i+1).to_k_neg.weight}, {@code .to_v_neg.weight}, {@code .to_k_neg_alpha}, {@code .to_k_neg_beta}, and the
     * same with {@code extra_pos}.
     *
     * @throws ModelFormatException if a tensor is missing or does not fit the UNet; the message names it
     * @throws IOException if the file cannot be read
     */
    public static SpeedUpNet open(UNet unet, Path file) throws IOException {
        try (Checkpoint opened = Checkpoint.open(file);
                Checkpoint renamed = opened.renamed(names(unet, opened));
                Weights weights = Weights.of(renamed)) {
            AttentionAdapter negative = AttentionAdapter.create(unet, weights, TERMS.get("neg"));
            try {
                AttentionAdapter positive = AttentionAdapter.create(unet, weights, TERMS.get("extra_pos"));
                requireText(file, unet, negative, positive);
                return new SpeedUpNet(unet, negative, positive);
            } catch (Throwable e) {
                negative.close();
                throw e;
            }
        }
    }

    private static void requireText(Path file, UNet unet, AttentionAdapter negative, AttentionAdapter positive)
            throws ModelFormatException {
        if (negative.width() != unet.contextWidth() || positive.width() != unet.contextWidth()) {
            positive.close();
            throw new ModelFormatException(
                    file,
                    "has tensor '1.to_k_neg.weight' for text embeddings of width " + negative.width()
                            + "; the model's are " + unet.contextWidth() + " wide: it is for another kind of model");
        }
    }

    /** The names in the file by those that an adapter is read by. */
    private static Map<String, String> names(UNet unet, Checkpoint file) throws ModelFormatException {
        Map<String, String> names = new LinkedHashMap<>();
        int number = 1;
        for (String unit : AttentionAdapter.crossAttentions(unet)) {
            for (var term : TERMS.entrySet()) {
                String to = term.getValue() + unit;
                String from = number + ".to_%s_" + term.getKey();
                names.put(from.formatted("k") + ".weight", to + ".k.weight");
                names.put(from.formatted("v") + ".weight", to + ".v.weight");
                names.put(from.formatted("k") + "_alpha", to + ".gain");
                names.put(from.formatted("k") + "_beta", to + ".offset");
            }
            number += 2;
        }
        AttentionAdapter.requireTensors(file, names.keySet(), "SpeedUpNet");
        return names;
    }

    /** The UNet that it was opened for. */
    public UNet unet() {
        return unet;
    }

    /** What it adds to a call with the prompt alone; a prompt and a negative one may differ in length. */
    public List<Term> terms(Condition prompt, Condition negativePrompt) {
        return List.of(
                new Term(negative, negativePrompt.context(), negativePrompt.tokens(), -1),
                new Term(positive, prompt.context(), prompt.tokens(), 1));
    }

    @Override
    public void close() {
        negative.close();
        positive.close();
    }
}
