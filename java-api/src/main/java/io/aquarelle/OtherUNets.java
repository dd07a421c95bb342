package io.aquarelle;

import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.Engine;
import io.aquarelle.model.ModelFormatException;
import io.aquarelle.model.ModelSpec;
import io.aquarelle.model.UNet;
import io.aquarelle.model.Weights;
import io.aquarelle.sampling.Prediction;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** UNets of other files that a pipeline can switch to, on the engine of its model. */
final class OtherUNets implements AutoCloseable {
    private record Other(Checkpoint checkpoint, UNet unet) {}

    private final List<Other> others = new ArrayList<>();

    /**
     * Adds the UNet of a file and checks that it can take over.
     *
     * @param file closed with this, or at once if this fails
     * @param own the model's
     * @param prediction what that one predicts
     * @throws ModelFormatException if there is none, or none of the model's kind
     */
    void add(Checkpoint file, Engine engine, UNet own, @Nullable Prediction prediction) throws IOException {
        UNet unet = null;
        try (Weights weights = Weights.of(file)) {
            ModelSpec spec = ModelSpec.ofUNet(file);
            unet = UNet.create(engine, weights, ModelSpec.UNET_PREFIX, spec.heads());
            require(file, "latent channels", unet.inChannels(), own.inChannels());
            require(file, "output channels", unet.outChannels(), own.outChannels());
            require(file, "channels of the text embedding", unet.contextWidth(), own.contextWidth());
            require(file, "values of pooled text and sizes", unet.labelWidth(), own.labelWidth());
            require(file, "values of the guidance embedding", unet.guidanceWidth(), own.guidanceWidth());
            if (spec.prediction() != null && spec.prediction() != prediction) {
                throw new ModelFormatException(
                        file.path(),
                        "has a UNet that predicts " + spec.prediction() + "; the model's predicts " + prediction
                                + ": they cannot take turns");
            }
            others.add(new Other(file, unet));
        } catch (Throwable e) {
            if (unet != null) {
                unet.close();
            }
            file.close();
            throw e;
        }
    }

    private static void require(Checkpoint file, String what, int actual, int expected) throws ModelFormatException {
        if (actual != expected) {
            throw new ModelFormatException(
                    file.path(),
                    "has a UNet with " + actual + " " + what + "; the model's has " + expected
                            + ": they cannot take turns");
        }
    }

    /** The model's own UNet and these. */
    List<UNet> behind(UNet own) {
        List<UNet> all = new ArrayList<>(List.of(own));
        others.forEach(other -> all.add(other.unet));
        return List.copyOf(all);
    }

    /** Their files. */
    List<Checkpoint> files() {
        return others.stream().map(Other::checkpoint).toList();
    }

    @Override
    public void close() {
        for (Other other : others) {
            other.unet.close();
            other.checkpoint.close();
        }
        others.clear();
    }
}
