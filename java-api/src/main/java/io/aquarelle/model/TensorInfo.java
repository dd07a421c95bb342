package io.aquarelle.model;

import java.util.List;

/**
 * Where one tensor lies in a model file and how to read it.
 *
 * @param shape lengths of the dimensions in PyTorch's order, slowest first; empty for a single value
 * @param offset of the first byte, from the start of the file; need not be aligned to the type
 * @param byteSize what {@code type} takes for {@code shape}; values follow each other without padding
 */
public record TensorInfo(String name, DataType type, List<Long> shape, long offset, long byteSize) {
    /** @throws IllegalArgumentException if a length is negative, the sizes overflow, or shape and byte size disagree */
    public TensorInfo {
        shape = List.copyOf(shape);
        if (offset < 0) {
            throw new IllegalArgumentException("offset " + offset + " is negative");
        }
        long needed;
        try {
            needed = type.bytes(product(shape));
        } catch (ArithmeticException e) {
            throw new IllegalArgumentException("shape " + shape + " is larger than any file");
        }
        if (byteSize != needed) {
            throw new IllegalArgumentException("shape " + shape + " of type " + type + " takes " + needed
                    + " bytes, but " + byteSize + " are given");
        }
    }

    /** The number of values, 1 for an empty shape. */
    public long elements() {
        return product(shape);
    }

    private static long product(List<Long> shape) {
        long product = 1;
        for (long length : shape) {
            if (length < 0) {
                throw new IllegalArgumentException("shape " + shape + " has a negative length");
            }
            product = Math.multiplyExact(product, length);
        }
        return product;
    }
}
