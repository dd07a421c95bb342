package io.aquarelle.model;

import io.aquarelle.sampling.Prediction;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What a checkpoint holds beyond its tensors' shapes: family, what the UNet predicts, attention heads, latent scale.
 * All follow the family; a file's metadata may say otherwise: {@code num_heads} or {@code head_dim} for the UNet,
 * {@code clip_heads} for the text encoders, {@code prediction_type} or {@code modelspec.prediction_type} ({@code eps},
 * {@code epsilon}, {@code v} or {@code v_prediction}), {@code scale_factor} of the latents, and how it is meant to be
 * used: {@code image_size} and {@code cfg_scale}.
 *
 * @param family the line of models
 * @param distillation how it was trained to need fewer steps
 * @param prediction what the UNet's output means; null where only its output tells, as in SD 2.x
 * @param heads how the UNet's attention divides channels
 * @param towers text encoders, in the order in which the UNet takes their hidden states
 * @param latentScale latents of the UNet are the VAE's times this
 * @param imageSize side in pixels of the pictures that it was trained on; 0 where the file does not say
 * @param guidance scale of guidance that suits it; 0 where the file does not say
 */
public record ModelSpec(
        ModelFamily family,
        Distillation distillation,
        @Nullable Prediction prediction,
        Heads heads,
        List<TextTower> towers,
        float latentScale,
        int imageSize,
        float guidance) {
    /** Before the names of the UNet's tensors, in every family. */
    public static final String UNET_PREFIX = "model.diffusion_model.";

    /** Before the names of the VAE's tensors, in every family. */
    public static final String VAE_PREFIX = "first_stage_model.";

    /** Prediction type of models on the noise levels of Karras et al. (2022), arXiv 2206.00364. */
    static final String EDM = "edm";

    /** By which CosXL and Playground 2.5 mark such models. */
    private static final Set<String> EDM_TENSORS = Set.of("edm_vpred.sigma_max", "edm_mean");

    /** Copies the list. */
    public ModelSpec {
        towers = List.copyOf(towers);
    }

    /** The same with what its UNet predicts. */
    public ModelSpec withPrediction(Prediction prediction) {
        return new ModelSpec(family, distillation, prediction, heads, towers, latentScale, imageSize, guidance);
    }

    /**
     * Recognises a checkpoint by the names of its tensors (CompVis).
     *
     * @throws ModelFormatException if it is no checkpoint of Stable Diffusion, or its metadata makes no sense
     */
    public static ModelSpec of(Checkpoint checkpoint) throws ModelFormatException {
        ModelSpec unet = ofUNet(checkpoint);
        List<TextTower> towers = TextTowers.of(checkpoint, unet.family, count(checkpoint, "clip_heads"));
        return new ModelSpec(
                unet.family,
                unet.distillation,
                unet.prediction,
                unet.heads,
                towers,
                unet.latentScale,
                unet.imageSize,
                unet.guidance);
    }

    /**
     * The same of a checkpoint of which only the UNet is used: without text encoders.
     *
     * @throws ModelFormatException if it has no UNet of Stable Diffusion, or its metadata makes no sense
     */
    public static ModelSpec ofUNet(Checkpoint checkpoint) throws ModelFormatException {
        ModelFamily family = family(checkpoint);
        Map<String, String> metadata = checkpoint.metadata();
        Heads heads = family == ModelFamily.SD1 ? Heads.ofCount(8) : Heads.ofWidth(64);
        if (metadata.containsKey("num_heads")) {
            heads = Heads.ofCount(count(checkpoint, "num_heads"));
        } else if (metadata.containsKey("head_dim")) {
            heads = Heads.ofWidth(count(checkpoint, "head_dim"));
        }
        int imageSize = count(checkpoint, "image_size");
        if (imageSize % 8 != 0) {
            throw new ModelFormatException(
                    checkpoint.path(),
                    "says image_size '" + imageSize + "' in its metadata; it must be a multiple of 8");
        }
        return new ModelSpec(
                family,
                Distillation.of(checkpoint, family),
                prediction(checkpoint, family),
                heads,
                List.of(),
                factor(checkpoint, "scale_factor", family.latentScale()),
                imageSize,
                factor(checkpoint, "cfg_scale", 0));
    }

    private static final long SD2_CONTEXT = 1024;
    private static final long SDXL_CONTEXT = 2048;

    private static ModelFamily family(Checkpoint checkpoint) throws ModelFormatException {
        if (!checkpoint.tensors().containsKey(UNET_PREFIX + "input_blocks.0.0.weight")) {
            throw new ModelFormatException(
                    checkpoint.path(),
                    "has no UNet (tensor '" + UNET_PREFIX
                            + "input_blocks.0.0.weight' or what other formats call it);"
                            + " use a whole Stable Diffusion checkpoint");
        }
        if (checkpoint.tensors().containsKey(UNET_PREFIX + "label_emb.0.0.weight")) {
            boolean two = has(checkpoint, "conditioner.embedders.1.") || contextWidth(checkpoint) == SDXL_CONTEXT;
            return two ? ModelFamily.SDXL : ModelFamily.SDXL_REFINER;
        }
        boolean open = has(checkpoint, "cond_stage_model.model.") || contextWidth(checkpoint) == SD2_CONTEXT;
        return open ? ModelFamily.SD2 : ModelFamily.SD1;
    }

    /** Width of the text embedding that the UNet takes; 0 if it takes none. */
    private static long contextWidth(Checkpoint checkpoint) {
        return checkpoint.tensors().values().stream()
                .filter(it -> it.name().startsWith(UNET_PREFIX) && it.name().endsWith(".attn2.to_k.weight"))
                .filter(it -> it.shape().size() == 2)
                .mapToLong(it -> it.shape().get(1))
                .findFirst()
                .orElse(0);
    }

    private static boolean has(Checkpoint checkpoint, String prefix) {
        return checkpoint.tensors().keySet().stream().anyMatch(name -> name.startsWith(prefix));
    }

    private static @Nullable Prediction prediction(Checkpoint checkpoint, ModelFamily family)
            throws ModelFormatException {
        if (checkpoint.tensors().keySet().stream().anyMatch(EDM_TENSORS::contains)) {
            throw edm(checkpoint);
        }
        for (String key : List.of("prediction_type", "modelspec.prediction_type")) {
            String type = checkpoint.metadata().get(key);
            if (type != null) {
                return switch (type.toLowerCase(Locale.ROOT)) {
                    case "eps", "epsilon" -> Prediction.EPS;
                    case "v", "v_prediction" -> Prediction.V;
                    case EDM -> throw edm(checkpoint);
                    default ->
                        throw new ModelFormatException(
                                checkpoint.path(),
                                "says " + key + " '" + type + "' in its metadata; it must be epsilon or v_prediction");
                };
            }
        }
        // Trainers of SDXL mark such models by a tensor of that name.
        if (checkpoint.tensors().containsKey("v_pred")) {
            return Prediction.V;
        }
        return family == ModelFamily.SD2 ? null : Prediction.EPS;
    }

    private static ModelFormatException edm(Checkpoint checkpoint) {
        return new ModelFormatException(
                checkpoint.path(),
                "was trained on continuous noise levels (EDM, as CosXL and Playground 2.5), which no sampler here"
                        + " supports; use a model of SDXL that predicts epsilon or v");
    }

    /** What the metadata say, 1 to 4096, or 0 where they say nothing. */
    private static int count(Checkpoint checkpoint, String key) throws ModelFormatException {
        Integer value = Metadata.number(checkpoint.path(), checkpoint.metadata(), key, Integer::valueOf, 1, 4096);
        return value == null ? 0 : value;
    }

    /** What the metadata say, 0.001 to 1000, or {@code otherwise} where they say nothing. */
    private static float factor(Checkpoint checkpoint, String key, float otherwise) throws ModelFormatException {
        Float value = Metadata.number(checkpoint.path(), checkpoint.metadata(), key, Float::valueOf, 0.001f, 1000f);
        return value == null ? otherwise : value;
    }
}
