package io.aquarelle.model;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;

/**
 * What control nets add to a UNet's blocks, of one image: each branch of each picture has its own. It fits latents of one
 * size and keeps what is written until the next call writes over it.
 */
public final class Residuals implements AutoCloseable {
    private final Arena arena = Arena.ofShared();
    private final MemorySegment values;

    private Residuals(long floats) {
        values = arena.allocate(ValueLayout.JAVA_FLOAT, floats);
    }

    /** Room for the residuals of a UNet, all 0. */
    public static Residuals of(UNet unet, int height, int width) {
        return new Residuals(Arrays.stream(unet.residualLengths(height, width)).sum());
    }

    /** In floats. */
    long length() {
        return values.byteSize() / Float.BYTES;
    }

    /** An array of pointers to the values of a batch. */
    static MemorySegment pointers(Arena arena, List<Residuals> batch, int images) {
        if (batch.size() != images) {
            throw new IllegalArgumentException(
                    batch.size() + " residuals were given for " + images + " images; each image needs its own");
        }
        MemorySegment pointers = arena.allocate(ValueLayout.ADDRESS, images);
        for (int i = 0; i < images; i++) {
            if (batch.get(i).length() != batch.getFirst().length()) {
                throw new IllegalArgumentException("the residuals of a batch are for latents of different sizes");
            }
            pointers.setAtIndex(ValueLayout.ADDRESS, i, batch.get(i).values);
        }
        return pointers;
    }

    /** Gives the memory back; not while a call uses it. */
    @Override
    public void close() {
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }
}
