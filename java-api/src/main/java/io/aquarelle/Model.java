package io.aquarelle;

import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.ModelSpec;
import io.aquarelle.sampling.NoiseSchedule;
import io.aquarelle.sampling.Prediction;
import java.io.IOException;
import org.jspecify.annotations.Nullable;

/**
 * What a pipeline has opened.
 *
 * @param spec with a prediction that is known
 */
record Model(Checkpoint checkpoint, ModelSpec spec, Networks networks, NoiseSchedule noiseSchedule, AddOns addOns)
        implements AutoCloseable {
    /**
     * Makes the networks.
     *
     * @param checkpoint closed with this
     * @param given what the UNet predicts, or null to find out
     */
    static Model open(Checkpoint checkpoint, EngineOptions options, @Nullable Prediction given) throws IOException {
        ModelSpec read = ModelSpec.of(checkpoint);
        Networks networks = Networks.open(checkpoint, read, options);
        ModelSpec spec = read.withPrediction(given != null ? given : prediction(read, networks));
        return new Model(
                checkpoint, spec, networks, noiseSchedule(checkpoint), new AddOns(networks.engine(), networks.unet()));
    }

    /** Trainers of SDXL mark models without signal at the last timestep by a tensor of that name. */
    private static NoiseSchedule noiseSchedule(Checkpoint checkpoint) {
        return checkpoint.tensors().containsKey("ztsnr")
                ? NoiseSchedule.zeroTerminalSnr()
                : NoiseSchedule.stableDiffusion();
    }

    private static Prediction prediction(ModelSpec spec, Networks networks) {
        return spec.prediction() != null ? spec.prediction() : PredictionProbe.of(networks.unet());
    }

    /** Gives back the pages of all weights but those whose names start so: one network runs at a time. */
    void unloadAllBut(String prefix) {
        checkpoint.unload(name -> !name.startsWith(prefix));
    }

    @Override
    public void close() {
        addOns.close();
        networks.close();
        checkpoint.close();
    }
}
