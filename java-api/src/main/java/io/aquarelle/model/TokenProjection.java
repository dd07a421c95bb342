package io.aquarelle.model;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** How a plain IP-Adapter makes a few tokens of CLIP's embedding of a picture: {@code LayerNorm(W e + b)}. */
final class TokenProjection {
    private static final String PROJECTION = "image_proj.proj.weight";
    private static final double EPSILON = 1e-5;

    private final float[] projection; // [tokens * width][embedding]
    private final float[] bias;
    private final float[] gain; // of the norm, [width]
    private final float[] offset;

    /**
     * Reads the {@code image_proj.*} of an adapter.
     *
     * @param embedding width of what it gets
     * @param width of a token
     * @throws ModelFormatException if a tensor is missing or does not fit; the message names it
     */
    TokenProjection(Checkpoint file, int embedding, int width) throws ModelFormatException {
        bias = floats(file, "image_proj.proj.bias", -1);
        projection = floats(file, PROJECTION, (long) bias.length * embedding);
        gain = floats(file, "image_proj.norm.weight", width);
        offset = floats(file, "image_proj.norm.bias", width);
        if (bias.length % width != 0) {
            throw new ModelFormatException(
                    file.path(), "has tensor '" + PROJECTION + "' for other tokens than those of width " + width);
        }
    }

    /** The values of a tensor of a plain type. */
    private static float[] floats(Checkpoint file, String name, long length) throws ModelFormatException {
        TensorInfo tensor = file.tensors().get(name);
        if (tensor == null || length >= 0 && tensor.elements() != length) {
            throw new ModelFormatException(
                    file.path(),
                    tensor == null
                            ? "lacks tensor '" + name + "': it is no IP-Adapter"
                            : "has tensor '" + name + "' with " + tensor.elements() + " values, expected " + length
                                    + ": it was trained with another image encoder");
        }
        if (tensor.type().isQuantised()) {
            throw new ModelFormatException(
                    file.path(), "has tensor '" + name + "' quantised; use the file as published");
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment values = arena.allocate(Float.BYTES * tensor.elements(), Float.BYTES);
            NumberTypes.convert(tensor.type(), file.data(tensor), DataType.F32, values);
            return values.toArray(ValueLayout.JAVA_FLOAT.withOrder(ByteOrder.LITTLE_ENDIAN));
        }
    }

    /** The tokens [tokens][width] of an embedding. */
    float[] tokens(float[] embedding) {
        float[] tokens = new float[bias.length];
        for (int i = 0; i < tokens.length; i++) {
            double sum = bias[i];
            for (int k = 0; k < embedding.length; k++) {
                sum += (double) projection[i * embedding.length + k] * embedding[k];
            }
            tokens[i] = (float) sum;
        }
        for (int start = 0; start < tokens.length; start += gain.length) {
            normalize(tokens, start);
        }
        return tokens;
    }

    /** LayerNorm of one token. */
    private void normalize(float[] tokens, int start) {
        double mean = 0;
        double square = 0;
        for (int i = 0; i < gain.length; i++) {
            mean += tokens[start + i] / gain.length;
        }
        for (int i = 0; i < gain.length; i++) {
            square += Math.pow(tokens[start + i] - mean, 2) / gain.length;
        }
        for (int i = 0; i < gain.length; i++) {
            tokens[start + i] =
                    (float) ((tokens[start + i] - mean) / Math.sqrt(square + EPSILON) * gain[i] + offset[i]);
        }
    }
}
