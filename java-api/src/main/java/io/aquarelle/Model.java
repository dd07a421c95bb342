package io.aquarelle;

import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.ModelSpec;
import io.aquarelle.model.UNet;
import io.aquarelle.sampling.NoiseSchedule;
import io.aquarelle.sampling.Prediction;
import java.io.IOException;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a pipeline has opened.
 *
 * @param spec with a prediction that is known
 * @param others UNets beside the model's own
 */
record Model(
        Checkpoint checkpoint,
        ModelSpec spec,
        Networks networks,
        OtherUNets others,
        NoiseSchedule noiseSchedule,
        AddOns addOns,
        AdapterSet adapters)
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
        AddOns addOns = new AddOns(networks.engine(), networks.unet());
        AdapterSet adapters = new AdapterSet(checkpoint, networks);
        return new Model(checkpoint, spec, networks, new OtherUNets(), noiseSchedule(checkpoint), addOns, adapters);
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

    /** The model's own UNet, and those that it can switch to. */
    List<UNet> unets() {
        return others.behind(networks.unet());
    }

    /**
     * Adds a UNet to switch to.
     *
     * @param file closed with this, or at once if this fails
     */
    void addUNet(Checkpoint file) throws IOException {
        others.add(file, networks.engine(), networks.unet(), spec.prediction());
    }

    /** Gives back the pages of all weights but those whose names start so: one network runs at a time. */
    void unloadAllBut(String prefix) {
        checkpoint.unload(name -> !name.startsWith(prefix));
    }

    @Override
    public void close() {
        addOns.close();
        others.close();
        networks.close();
        adapters.close();
        checkpoint.close();
    }
}
