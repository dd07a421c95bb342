package io.aquarelle.model;

import io.aquarelle.sampling.Prediction;
import java.util.Locale;
import java.util.Map;

/**
 * What a checkpoint holds beyond its tensors' shapes: family, what the UNet predicts, attention heads, latent scale.
 * All follow the family; a file's metadata may say otherwise: {@code num_heads} or {@code head_dim} for the UNet,
 * {@code clip_heads} for the text encoder, {@code prediction_type} ({@code epsilon} or {@code v_prediction}).
 *
 * @param family the line of models
 * @param prediction what the UNet's output means
 * @param heads how the UNet's attention divides channels
 * @param textHeads attention heads of the text encoder, or 0 for 64 channels each
 * @param latentScale latents of the UNet are the VAE's times this
 */
public record ModelSpec(ModelFamily family, Prediction prediction, Heads heads, int textHeads, float latentScale) {
    /** Before the names of the UNet's tensors, in every family. */
    public static final String UNET_PREFIX = "model.diffusion_model.";

    /** Before the names of the VAE's tensors, in every family. */
    public static final String VAE_PREFIX = "first_stage_model.";

    /** Before the names of an SD 1.x text encoder's tensors. */
    public static final String CLIP_PREFIX = "cond_stage_model.transformer.text_model.";

    /**
     * Recognises a checkpoint by the names of its tensors (CompVis).
     *
     * @throws ModelFormatException if it is no checkpoint of Stable Diffusion, or its metadata makes no sense
     */
    public static ModelSpec of(Checkpoint checkpoint) throws ModelFormatException {
        ModelFamily family = family(checkpoint);
        Map<String, String> metadata = checkpoint.metadata();
        Heads heads = family == ModelFamily.SD1 ? Heads.ofCount(8) : Heads.ofWidth(64);
        if (metadata.containsKey("num_heads")) {
            heads = Heads.ofCount(number(checkpoint, "num_heads"));
        } else if (metadata.containsKey("head_dim")) {
            heads = Heads.ofWidth(number(checkpoint, "head_dim"));
        }
        int textHeads = metadata.containsKey("clip_heads") ? number(checkpoint, "clip_heads") : 0;
        float latentScale = family == ModelFamily.SDXL ? 0.13025f : 0.18215f;
        return new ModelSpec(family, prediction(checkpoint), heads, textHeads, latentScale);
    }

    private static ModelFamily family(Checkpoint checkpoint) throws ModelFormatException {
        if (!checkpoint.tensors().containsKey(UNET_PREFIX + "input_blocks.0.0.weight")) {
            throw new ModelFormatException(
                    checkpoint.path(),
                    "has no tensor '" + UNET_PREFIX
                            + "input_blocks.0.0.weight'; use a whole Stable Diffusion checkpoint"
                            + " with CompVis names");
        }
        if (has(checkpoint, "conditioner.embedders.")) {
            return ModelFamily.SDXL;
        }
        return has(checkpoint, "cond_stage_model.model.") ? ModelFamily.SD2 : ModelFamily.SD1;
    }

    private static boolean has(Checkpoint checkpoint, String prefix) {
        return checkpoint.tensors().keySet().stream().anyMatch(name -> name.startsWith(prefix));
    }

    private static Prediction prediction(Checkpoint checkpoint) throws ModelFormatException {
        String type = checkpoint.metadata().getOrDefault("prediction_type", "epsilon");
        return switch (type.toLowerCase(Locale.ROOT)) {
            case "eps", "epsilon" -> Prediction.EPS;
            case "v", "v_prediction" -> Prediction.V;
            default ->
                throw new ModelFormatException(
                        checkpoint.path(),
                        "says prediction_type '" + type + "' in its metadata; it must be epsilon or v_prediction");
        };
    }

    private static int number(Checkpoint checkpoint, String key) throws ModelFormatException {
        String text = checkpoint.metadata().get(key);
        try {
            int value = Integer.parseInt(text);
            if (value >= 1 && value <= 4096) {
                return value;
            }
        } catch (NumberFormatException e) {
            // reported below like any other wrong number
        }
        throw new ModelFormatException(
                checkpoint.path(), "says " + key + " '" + text + "' in its metadata; it must be 1 to 4096");
    }
}
