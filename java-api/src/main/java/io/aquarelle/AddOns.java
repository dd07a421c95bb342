package io.aquarelle;

import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.ControlNet;
import io.aquarelle.model.Engine;
import io.aquarelle.model.ImageAdapter;
import io.aquarelle.model.SpeedUpNet;
import io.aquarelle.model.UNet;
import io.aquarelle.model.Weights;
import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/** What was opened for a model's UNet beside it, each file once. */
final class AddOns implements AutoCloseable {
    /** The files of an image adapter. */
    private record AdapterFiles(Path adapter, Path encoder) {}

    private final Engine engine;
    private final UNet unet;
    private final Map<Path, ControlNet> controlNets = new HashMap<>();
    private final Map<Path, SpeedUpNet> speedUpNets = new HashMap<>();
    private final Map<AdapterFiles, ImageAdapter> imageAdapters = new HashMap<>();

    AddOns(Engine engine, UNet unet) {
        this.engine = engine;
        this.unet = unet;
    }

    ControlNet controlNet(Path file) throws IOException {
        ControlNet net = controlNets.get(file);
        if (net == null) {
            try (Checkpoint opened = Checkpoint.open(file);
                    Weights weights = Weights.of(opened)) {
                net = ControlNet.create(unet, weights);
                controlNets.put(file, net);
            }
        }
        return net;
    }

    SpeedUpNet speedUpNet(Path file) throws IOException {
        SpeedUpNet net = speedUpNets.get(file);
        if (net == null) {
            net = SpeedUpNet.open(unet, file);
            speedUpNets.put(file, net);
        }
        return net;
    }

    ImageAdapter imageAdapter(Path file, Path encoder, int heads) throws IOException {
        var files = new AdapterFiles(file, encoder);
        ImageAdapter adapter = imageAdapters.get(files);
        if (adapter == null) {
            adapter = ImageAdapter.open(engine, unet, file, encoder, heads);
            imageAdapters.put(files, adapter);
        }
        return adapter;
    }

    @Override
    public void close() {
        imageAdapters.values().forEach(ImageAdapter::close);
        controlNets.values().forEach(ControlNet::close);
        speedUpNets.values().forEach(SpeedUpNet::close);
    }
}
