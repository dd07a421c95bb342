package io.aquarelle;

import io.aquarelle.model.CallControl;
import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.Engine;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.ModelFormatException;
import io.aquarelle.model.RrdbNet;
import io.aquarelle.model.Weights;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;

/**
 * A network that enlarges pictures: ESRGAN (Wang et al. 2018, arXiv 1809.00219) and Real-ESRGAN (Wang et al. 2021, arXiv
 * 2107.10833), whose RRDBNets come in a {@code .pth}, {@code .safetensors} or {@code .gguf} file.
 *
 * <pre>{@code
 * try (Upscaler upscaler = Upscaler.open(Path.of("RealESRGAN_x4plus.pth"))) {
 *     upscaler.upscale(Picture.read(Path.of("small.png"))).writePng(Path.of("large.png"));
 * }
 * }</pre>
 *
 * <p>Large pictures go in tiles, so that memory stays bounded; neighbours overlap by a quarter and are blended. Calls from
 * several threads wait for each other.
 */
public final class Upscaler implements AutoCloseable {
    /** Side of a tile in pixels of the small picture where none is given, as in stable-diffusion.cpp. */
    public static final int TILE_SIZE = 128;

    /** The smallest side of a tile. */
    public static final int MIN_TILE_SIZE = 16;

    /** A1111 enlarges at most so often towards a size that was asked for. */
    private static final int MAX_REPEATS = 3;

    private final String name;
    private final Engine engine;
    private final RrdbNet network;
    private final Turns turns;

    private Upscaler(Path file, Engine engine, RrdbNet network) {
        name = Infotext.name(file);
        this.engine = engine;
        this.network = network;
        turns = new Turns("the upscaler " + file);
    }

    /**
     * Opens an upscaler on all processors.
     *
     * @throws ModelFormatException if the file is damaged or no upscaler of this kind; the message names a tensor
     * @throws IOException if it cannot be read
     */
    public static Upscaler open(Path file) throws IOException {
        return open(file, EngineOptions.best());
    }

    /**
     * Opens an upscaler.
     *
     * @param options threads and kernels to compute with
     * @throws ModelFormatException if the file is damaged or no upscaler of this kind; the message names a tensor
     * @throws IOException if it cannot be read
     */
    public static Upscaler open(Path file, EngineOptions options) throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(file);
                Weights weights = Weights.of(checkpoint)) {
            Engine engine = Engine.create(options);
            try {
                RrdbNet network = RrdbNet.create(engine, weights);
                if (network.channels() != 3) {
                    network.close();
                    throw new ModelFormatException(
                            file, "enlarges pictures of " + network.channels() + " channels; 3 are supported");
                }
                return new Upscaler(file, engine, network);
            } catch (Throwable e) {
                engine.close();
                throw e;
            }
        }
    }

    /** The name of its file, without the ending. */
    public String name() {
        return name;
    }

    /** How many times it enlarges each side: 1, 2, 4 or 8. */
    public int scale() {
        return network.scale();
    }

    /** Enlarges a picture once in tiles of the usual size; see {@link #upscale(Picture, int, int, ProgressListener)}. */
    public Picture upscale(Picture picture) {
        return upscale(picture, 1, TILE_SIZE, ProgressListener.NONE);
    }

    /**
     * Enlarges a picture on the calling thread.
     *
     * @param repeats how many times, each from what the one before gave
     * @param tileSize side of a tile in pixels of what is enlarged, from {@link #MIN_TILE_SIZE}; 0 for one tile, which
     *     takes the more memory
     * @param listener told of each tile that is done; {@code image} counts the repeats
     * @throws IllegalArgumentException if the large picture would have a side longer than 8192
     * @throws GenerationCancelledException after {@link #cancel}
     * @throws io.aquarelle.model.InsufficientMemoryException if a tile does not fit into memory
     * @throws IllegalStateException if the upscaler is closed
     */
    public Picture upscale(Picture picture, int repeats, int tileSize, ProgressListener listener) {
        if (tileSize != 0 && (tileSize < MIN_TILE_SIZE || tileSize > Picture.MAX_SIDE)) {
            throw new IllegalArgumentException(
                    "the tile size is " + tileSize + "; it must be 0 or " + MIN_TILE_SIZE + " to " + Picture.MAX_SIDE);
        }
        requireFit(picture.width(), picture.height(), repeats);
        return turns.cancellable(new CallControl(), control -> {
            Picture large = picture;
            for (int i = 0; i < repeats; i++) {
                int image = i;
                ProgressListener numbered = it -> listener.progress(it.of(image));
                large = new Upscaling(network, large, tileSize, numbered, control).run();
            }
            return large;
        });
    }

    /** Enlarges a generated image, whose infotext then tells of it as A1111's does; otherwise likewise. */
    public GeneratedImage upscale(GeneratedImage image, int repeats, int tileSize, ProgressListener listener) {
        Picture small = image.picture();
        Picture large = upscale(small, repeats, tileSize, listener);
        return image.enlarged(large, Infotext.upscaled(image.infotext(), large.width() / small.width(), name));
    }

    /**
     * Refuses pictures that would become too large.
     *
     * @throws IllegalArgumentException if a side would be longer than 8192
     */
    public void requireFit(int width, int height, int repeats) {
        if (repeats < 1) {
            throw new IllegalArgumentException("upscaling " + repeats + " times is impossible; it must be 1 or more");
        }
        double factor = Math.pow(scale(), repeats);
        if (Math.max(width, height) * factor > Picture.MAX_SIDE) {
            throw new IllegalArgumentException(String.format(
                    Locale.ROOT,
                    "a picture of %dx%d would become one of %.0fx%.0f; its sides must be at most %d",
                    width,
                    height,
                    width * factor,
                    height * factor,
                    Picture.MAX_SIDE));
        }
    }

    /** Cancels the call in progress, if there is one; it ends within one node of the network. Any thread may. */
    public void cancel() {
        turns.cancel();
    }

    /**
     * Cancels the call in progress, refuses those that wait, and gives memory back. Without effect when closed already.
     *
     * @throws IllegalStateException if a listener of this upscaler's own call calls it
     */
    @Override
    public void close() {
        turns.close(() -> {
            network.close();
            engine.close();
        });
    }

    /** Enlarges once, and again until a size is reached or a few times have passed. */
    Picture enlarged(
            Picture picture, int width, int height, long maxMemory, ProgressListener listener, CallControl control) {
        int tileSize = tileSize(maxMemory);
        return turns.cancellable(control, it -> {
            Picture large = picture;
            int i = 0;
            do {
                large = new Upscaling(network, large, tileSize, listener, it).run();
                i++;
            } while (i < MAX_REPEATS
                    && scale() > 1
                    && (large.width() < width || large.height() < height)
                    && Math.max(large.width(), large.height()) * scale() <= Picture.MAX_SIDE);
            return large;
        });
    }

    /** The usual size, or the half or less that fits into a budget, where there is one. */
    private int tileSize(long maxMemory) {
        int size = TILE_SIZE;
        while (maxMemory > 0 && size > MIN_TILE_SIZE && network.memory(size, size) > maxMemory) {
            size /= 2;
        }
        return size;
    }
}
