package io.aquarelle;

import io.aquarelle.model.Autoencoder;
import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.ControlNet;
import io.aquarelle.model.ImageAdapter;
import io.aquarelle.model.ModelFormatException;
import io.aquarelle.model.ModelSpec;
import io.aquarelle.model.SpeedUpNet;
import io.aquarelle.model.Weights;
import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/** What was opened for a model beside it, each file once. */
final class AddOns implements AutoCloseable {
    /** The files of an image adapter. */
    private record AdapterFiles(Path adapter, Path encoder) {}

    private final Networks networks;
    private final Map<Path, ControlNet> controlNets = new HashMap<>();
    private final Map<Path, SpeedUpNet> speedUpNets = new HashMap<>();
    private final Map<AdapterFiles, ImageAdapter> imageAdapters = new HashMap<>();
    private final Map<Path, Autoencoder> autoencoders = new HashMap<>();

    AddOns(Networks networks) {
        this.networks = networks;
    }

    Autoencoder autoencoder(Path file) throws IOException {
        Autoencoder autoencoder = autoencoders.get(file);
        if (autoencoder == null) {
            try (Checkpoint opened = Checkpoint.open(file);
                    Weights weights = Weights.of(opened)) {
                autoencoder = Autoencoder.create(networks.engine(), weights, ModelSpec.VAE_PREFIX);
            }
            try {
                requireFit(autoencoder, file);
            } catch (ModelFormatException e) {
                autoencoder.close();
                throw e;
            }
            autoencoders.put(file, autoencoder);
        }
        return autoencoder;
    }

    private void requireFit(Autoencoder autoencoder, Path file) throws ModelFormatException {
        if (!autoencoder.hasDecoder()) {
            throw new ModelFormatException(file, "has an autoencoder without decoder; name a file with one");
        }
        Autoencoder own = networks.vae();
        if (autoencoder.latentChannels() != own.latentChannels()
                || autoencoder.imageChannels() != own.imageChannels()
                || autoencoder.factor() != own.factor()) {
            throw new ModelFormatException(
                    file,
                    "has an autoencoder of " + shape(autoencoder) + ", the model one of " + shape(own)
                            + "; name one for this model");
        }
    }

    private static String shape(Autoencoder it) {
        return it.latentChannels() + " latent channels, " + it.imageChannels() + " colours and " + it.factor()
                + " pixels a cell";
    }

    ControlNet controlNet(Path file) throws IOException {
        ControlNet net = controlNets.get(file);
        if (net == null) {
            try (Checkpoint opened = Checkpoint.open(file);
                    Weights weights = Weights.of(opened)) {
                net = ControlNet.create(networks.unet(), weights);
                controlNets.put(file, net);
            }
        }
        return net;
    }

    SpeedUpNet speedUpNet(Path file) throws IOException {
        SpeedUpNet net = speedUpNets.get(file);
        if (net == null) {
            net = SpeedUpNet.open(networks.unet(), file);
            speedUpNets.put(file, net);
        }
        return net;
    }

    ImageAdapter imageAdapter(Path file, Path encoder, int heads) throws IOException {
        var files = new AdapterFiles(file, encoder);
        ImageAdapter adapter = imageAdapters.get(files);
        if (adapter == null) {
            adapter = ImageAdapter.open(networks.engine(), networks.unet(), file, encoder, heads);
            imageAdapters.put(files, adapter);
        }
        return adapter;
    }

    @Override
    public void close() {
        autoencoders.values().forEach(Autoencoder::close);
        imageAdapters.values().forEach(ImageAdapter::close);
        controlNets.values().forEach(ControlNet::close);
        speedUpNets.values().forEach(SpeedUpNet::close);
    }
}
