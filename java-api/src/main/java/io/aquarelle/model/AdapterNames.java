package io.aquarelle.model;

import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Names of adapters' tensors, {@code MODULE.PART}, in the layouts that are in use: kohya's ({@code lora_unet_…}), those of
 * diffusers and PEFT ({@code unet.….lora_A.weight}), of diffusers' old attention processors
 * ({@code ….attn1.processor.to_q_lora.down.weight}), of LyCORIS, and numbers for modules ({@code unet:7:up}; see
 * {@link NumberedModules}).
 */
final class AdapterNames {
    /** What a tensor is to a change. */
    enum Part {
        UP,
        UP_BIAS,
        DOWN,
        MID,
        HADA_W1_A,
        HADA_W1_B,
        HADA_T1,
        HADA_W2_A,
        HADA_W2_B,
        HADA_T2,
        LOKR_W1,
        LOKR_W1_A,
        LOKR_W1_B,
        LOKR_W2,
        LOKR_W2_A,
        LOKR_W2_B,
        LOKR_T2,
        DIFF,
        DIFF_BIAS,
        MAGNITUDE,
        ALPHA
    }

    /** The network that a module belongs to. */
    enum Place {
        UNET,
        TEXT,
        /** The second text encoder of SDXL. */
        TEXT_2
    }

    /**
     * A tensor's place.
     *
     * @param module all but the part, as in the file
     */
    record Name(String module, Part part) {}

    /** A module by the name that all layouts agree on: words of any layout's path with underscores between them. */
    record Module(Place place, String path) {}

    private record Ending(Pattern pattern, Part part) {}

    private record Start(String prefix, Place place) {}

    private static final List<Ending> ENDINGS = List.of(
            ending("\\.lora_B(?:\\.\\w+)?\\.bias|\\.lora_up\\.bias", Part.UP_BIAS),
            ending(
                    "\\.lora_up\\.weight|\\.lora_B(?:\\.\\w+)?|(?:[._]lora|\\.lora_linear_layer)\\.up\\.weight|:up",
                    Part.UP),
            ending(
                    "\\.lora_down\\.weight|\\.lora_A(?:\\.\\w+)?|(?:[._]lora|\\.lora_linear_layer)\\.down\\.weight|:down",
                    Part.DOWN),
            ending("\\.lora_B\\.\\w+\\.weight", Part.UP),
            ending("\\.lora_A\\.\\w+\\.weight", Part.DOWN),
            ending("\\.lora_mid\\.weight|\\.lora\\.mid\\.weight", Part.MID),
            ending("(?:[._]lora|\\.lora_linear_layer)?\\.alpha", Part.ALPHA),
            ending("\\.dora_scale|\\.lora_magnitude_vector(?:\\.\\w+)*", Part.MAGNITUDE),
            ending("\\.hada_w1_a", Part.HADA_W1_A),
            ending("\\.hada_w1_b", Part.HADA_W1_B),
            ending("\\.hada_t1", Part.HADA_T1),
            ending("\\.hada_w2_a", Part.HADA_W2_A),
            ending("\\.hada_w2_b", Part.HADA_W2_B),
            ending("\\.hada_t2", Part.HADA_T2),
            ending("\\.lokr_w1", Part.LOKR_W1),
            ending("\\.lokr_w1_a", Part.LOKR_W1_A),
            ending("\\.lokr_w1_b", Part.LOKR_W1_B),
            ending("\\.lokr_w2", Part.LOKR_W2),
            ending("\\.lokr_w2_a", Part.LOKR_W2_A),
            ending("\\.lokr_w2_b", Part.LOKR_W2_B),
            ending("\\.lokr_t2", Part.LOKR_T2),
            ending("\\.diff|\\.w_norm", Part.DIFF),
            ending("\\.diff_b|\\.b_norm", Part.DIFF_BIAS));

    /** What PEFT puts before all names of a network. */
    static final String PEFT_PREFIX = "base_model.model.";

    /** The first that fits counts. */
    private static final List<Start> STARTS = List.of(
            new Start("lora_unet_", Place.UNET),
            new Start("unet.", Place.UNET),
            new Start("model.diffusion_model.", Place.UNET),
            new Start("diffusion_model.", Place.UNET),
            new Start("lora_te2_", Place.TEXT_2),
            new Start("text_encoder_2.", Place.TEXT_2),
            new Start("conditioner.embedders.1.model.", Place.TEXT_2),
            new Start("lora_te1_", Place.TEXT),
            new Start("lora_te_", Place.TEXT),
            new Start("text_encoder.", Place.TEXT),
            new Start("cond_stage_model.transformer.", Place.TEXT),
            new Start("cond_stage_model.model.", Place.TEXT),
            new Start("conditioner.embedders.0.transformer.", Place.TEXT),
            new Start("conditioner.embedders.0.model.", Place.TEXT),
            new Start("lycoris_text_model_", Place.TEXT),
            new Start("text_model.", Place.TEXT),
            new Start("lycoris_", Place.UNET));

    private AdapterNames() {}

    private static Ending ending(String pattern, Part part) {
        return new Ending(Pattern.compile("(.+?)(?:" + pattern + ")"), part);
    }

    /** Null for a tensor that is no part of a change that is known here. */
    static @Nullable Name parse(String tensor) {
        for (Ending ending : ENDINGS) {
            Matcher matcher = ending.pattern.matcher(tensor);
            if (matcher.matches()) {
                return new Name(matcher.group(1), ending.part);
            }
        }
        return null;
    }

    /** Where a module of a file lies. Names of a UNet may have nothing before them. */
    static Module module(String module) {
        String name = module.replace(PEFT_PREFIX, "");
        for (Start start : STARTS) {
            if (name.startsWith(start.prefix)) {
                return new Module(start.place, path(name.substring(start.prefix.length())));
            }
        }
        return new Module(Place.UNET, path(name));
    }

    /** Dots and underscores are told apart by no one: kohya's names have underscores in place of dots. */
    static String path(String name) {
        return name.replace(".processor.", ".")
                .replaceFirst("^text_model[._]", "")
                .replace('.', '_');
    }
}
