package io.aquarelle.model;

import java.util.List;

/** Finds the text towers of a checkpoint. */
final class TextTowers {
    private static final String HUGGING_FACE = "transformer.text_model.";
    private static final String OPEN_CLIP = "model.";

    /** Ids that fill a chunk: OpenAI's CLIP repeats the end mark, OpenCLIP takes 0. */
    private static final int END = 49407;

    private static final int ZERO = 0;

    /** Layers of ViT-H, the tower of SD 2.x. */
    private static final int VIT_H_LAYERS = 24;

    private TextTowers() {}

    static List<TextTower> of(Checkpoint checkpoint, ModelFamily family, int heads) {
        String one = "cond_stage_model.";
        String first = "conditioner.embedders.0.";
        String second = "conditioner.embedders.1.";
        return switch (family) {
            case SD1 -> {
                String prefix = prefix(checkpoint, one, HUGGING_FACE);
                yield List.of(new TextTower(prefix, heads, Gelu.AUTO, END, 1, 0, true, false));
            }
            case SD2 -> {
                String prefix = prefix(checkpoint, one, OPEN_CLIP);
                int missing = Math.max(0, VIT_H_LAYERS - layers(checkpoint, prefix)) == 1 ? 1 : 0;
                yield List.of(new TextTower(prefix, heads, Gelu.EXACT, ZERO, 2, missing, true, false));
            }
            case SDXL -> {
                String clip = prefix(checkpoint, first, HUGGING_FACE);
                yield List.of(
                        new TextTower(clip, heads, Gelu.QUICK, END, 2, 0, false, false),
                        pooled(prefix(checkpoint, second, OPEN_CLIP), heads));
            }
            case SDXL_REFINER -> List.of(pooled(prefix(checkpoint, first, OPEN_CLIP), heads));
        };
    }

    private static TextTower pooled(String prefix, int heads) {
        return new TextTower(prefix, heads, Gelu.EXACT, ZERO, 2, 0, false, true);
    }

    /** The place of a tower by either scheme of names; by {@code usual} where there is none. */
    private static String prefix(Checkpoint checkpoint, String owner, String usual) {
        for (String scheme : List.of(HUGGING_FACE, OPEN_CLIP)) {
            String prefix = owner + scheme;
            if (checkpoint.tensors().containsKey(prefix + "token_embedding.weight")
                    || checkpoint.tensors().containsKey(prefix + "embeddings.token_embedding.weight")) {
                return prefix;
            }
        }
        return owner + usual;
    }

    private static int layers(Checkpoint checkpoint, String prefix) {
        int layers = 0;
        while (checkpoint.tensors().containsKey(prefix + "encoder.layers." + layers + ".layer_norm1.weight")
                || checkpoint.tensors().containsKey(prefix + "transformer.resblocks." + layers + ".ln_1.weight")) {
            layers++;
        }
        return layers;
    }
}
