package io.aquarelle;

import io.aquarelle.model.ModelFamily;
import io.aquarelle.model.ModelSpec;
import io.aquarelle.sampling.Prediction;

/**
 * What suits a model where a request does not say: the size that it was trained on, and the steps, guidance, sampler and
 * schedule that those who made it advise; "default" is the schedule that suits the sampler.
 */
public record ModelDefaults(int width, int height, int steps, float guidance, String sampler, String schedule) {
    /** The defaults of a kind of model. */
    public static ModelDefaults of(ModelSpec spec) {
        int side = side(spec);
        return switch (spec.distillation()) {
            case NONE ->
                new ModelDefaults(side, side, 20, spec.guidance() > 0 ? spec.guidance() : 7, "euler_a", "default");
            // Both Turbos draw 512 pixels, and take the timesteps of their training from the last one down.
            case TURBO -> new ModelDefaults(512, 512, 1, 1, "euler_a", "trailing");
            case SDXS -> new ModelDefaults(512, 512, 1, 1, "euler", "default");
            case LIGHTNING -> new ModelDefaults(side, side, 4, 1, "euler", "sgm_uniform");
            case LCM -> new ModelDefaults(side, side, 4, 8, "lcm", "default");
            case LCM_LORA -> new ModelDefaults(side, side, 4, 1, "lcm", "default");
        };
    }

    private static int side(ModelSpec spec) {
        if (spec.imageSize() > 0) {
            return spec.imageSize();
        }
        if (spec.family().isXl()) {
            return 1024;
        }
        return spec.family() == ModelFamily.SD2 && spec.prediction() == Prediction.V ? 768 : 512;
    }
}
