package io.aquarelle.model;

import io.aquarelle.model.CanonicalModel.Network;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * The files of a model: one that is whole or has only some of the networks, and others that add to it or replace parts
 * of it. Each may be of any format that {@link Checkpoint} knows.
 */
public final class ModelFiles {
    /** A file and the networks that are used of it; an empty set stands for all there are. */
    record Source(Path path, Set<Network> use) {}

    private final List<Source> sources;

    private ModelFiles(List<Source> sources) {
        this.sources = List.copyOf(sources);
    }

    /** A model in one file or folder. */
    public static ModelFiles of(Path model) {
        return new ModelFiles(List.of(new Source(model, Set.of())));
    }

    /** The same model with the UNet of another file. */
    public ModelFiles withUNet(Path file) {
        return with(file, Network.UNET);
    }

    /** The same model with the VAE of another file, which may be a tiny autoencoder (TAESD). */
    public ModelFiles withVae(Path file) {
        return with(file, Network.VAE);
    }

    /** The same model with the text encoder of another file, in place of one of the same kind if there is any. */
    public ModelFiles withTextEncoder(Path file) {
        return with(file, Network.TEXT);
    }

    private ModelFiles with(Path file, Network network) {
        var all = new ArrayList<>(sources);
        all.add(new Source(file, Set.of(network)));
        return new ModelFiles(all);
    }

    /** The file or folder that gives the model its name, its metadata, and all networks that no other has. */
    public Path model() {
        return sources.getFirst().path();
    }

    /** In the order of reading; what a later one has is used in place of an earlier one's. */
    List<Source> sources() {
        return sources;
    }
}
