package io.aquarelle.model;

import java.util.Locale;
import java.util.regex.Pattern;

/**
 * How a model was trained to draw in few steps, mostly without guidance. Consistency models and SDXS are recognised by
 * their tensors; the others have those of the model that they were made from, and are recognised by what their metadata
 * ({@code modelspec.title}) or their file name says.
 */
public enum Distillation {
    /** None. */
    NONE,
    /** Adversarial diffusion distillation (Sauer et al., arXiv 2311.17042): SD-Turbo, SDXL-Turbo. */
    TURBO,
    /** SDXL-Lightning (Lin et al., arXiv 2402.13929). */
    LIGHTNING,
    /** A latent consistency model (Luo et al., arXiv 2310.04378), which takes the guidance scale as an input. */
    LCM,
    /** A model that an LCM-LoRA is merged into (Luo et al., arXiv 2311.05556); it has the guidance built in. */
    LCM_LORA,
    /** SDXS (Song et al., arXiv 2403.16627), which draws in one step. */
    SDXS;

    private static final Pattern TURBO_NAME = Pattern.compile("turbo");
    private static final Pattern LIGHTNING_NAME = Pattern.compile("lightning");
    private static final Pattern LCM_NAME = Pattern.compile("(?<![a-z])lcm(?![a-z])");

    static Distillation of(Checkpoint checkpoint, ModelFamily family) {
        if (checkpoint.tensors().containsKey(ModelSpec.UNET_PREFIX + "time_embed.cond_proj.weight")) {
            return LCM;
        }
        if (!family.isXl() && isSdxs(checkpoint)) {
            return SDXS;
        }
        String title = checkpoint.metadata().getOrDefault("modelspec.title", "");
        String names = (title + " " + checkpoint.path().getFileName()).toLowerCase(Locale.ROOT);
        if (LCM_NAME.matcher(names).find()) {
            return LCM_LORA;
        }
        if (TURBO_NAME.matcher(names).find()) {
            return TURBO;
        }
        return LIGHTNING_NAME.matcher(names).find() ? LIGHTNING : NONE;
    }

    /**
     * No middle, and in the finest level either no attention, or none of the picture to itself. BK-SDM-Tiny has no
     * middle either, but attends.
     */
    private static boolean isSdxs(Checkpoint checkpoint) {
        String unet = ModelSpec.UNET_PREFIX;
        if (checkpoint.tensors().keySet().stream().anyMatch(name -> name.startsWith(unet + "middle_block."))) {
            return false;
        }
        TensorInfo keys = checkpoint.tensors().get(unet + "input_blocks.1.1.transformer_blocks.0.attn1.to_k.weight");
        return keys == null
                || keys.shape().size() == 2
                        && keys.shape().get(0) < keys.shape().get(1);
    }
}
