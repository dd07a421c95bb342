package io.aquarelle;

import io.aquarelle.model.Autoencoder;
import io.aquarelle.model.CallControl;
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
        AddOns addOns = new AddOns(networks);
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

    /** What latents of the UNet are those of an autoencoder times. */
    float latentScale(Autoencoder autoencoder) {
        return autoencoder.scaled() ? 1 : spec.latentScale();
    }

    /**
     * What an autoencoder makes of a latent.
     *
     * @param latent [channels][height][width], of the UNet's scale
     * @param maxMemory bytes of buffers, or 0 for what is available
     * @throws IllegalStateException if it is no picture
     */
    Picture decoded(
            Autoencoder autoencoder, float[] latent, int height, int width, long maxMemory, CallControl control) {
        float scale = latentScale(autoencoder);
        float[] unscaled = latent.clone();
        for (int i = 0; i < unscaled.length; i++) {
            unscaled[i] /= scale;
        }
        float[] planes = autoencoder.decode(unscaled, 1, height, width, maxMemory, control);
        for (float value : planes) {
            if (!Float.isFinite(value)) {
                throw new IllegalStateException(checkpoint.path()
                        + " computed values that are no numbers; it is damaged, or the guidance is too strong");
            }
        }
        return Picture.of(width * autoencoder.factor(), height * autoencoder.factor(), planes);
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

    /** Adds the UNets that this one can switch to, to another model of the same file. */
    void shareOthers(Model second) throws IOException {
        for (Checkpoint file : others.files()) {
            second.addUNet(file.retain());
        }
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
