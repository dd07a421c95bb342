package io.aquarelle.model;

import java.util.List;

/**
 * What a tensor is.
 *
 * @param shape lengths of the dimensions in PyTorch's order, slowest first; empty for a single value
 */
public record TensorInfo(String name, DataType type, List<Long> shape) {
    /**
     * @throws IllegalArgumentException if a length is negative, the sizes overflow, or rows do not fill the blocks of
     *     the type
     */
    public TensorInfo {
        shape = List.copyOf(shape);
        try {
            type.bytes(product(shape));
        } catch (ArithmeticException e) {
            throw new IllegalArgumentException("shape " + shape + " is larger than any file");
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("shape " + shape + ": " + e.getMessage());
        }
        if (type.isQuantised() && columns(shape) % type.block() != 0) {
            throw new IllegalArgumentException("shape " + shape + " has rows of " + columns(shape)
                    + " values, which do not fill the blocks of " + type.block() + " of " + type);
        }
    }

    /** The number of values, 1 for an empty shape. */
    public long elements() {
        return product(shape);
    }

    /** What the values take; they follow each other without padding. */
    public long byteSize() {
        return type.bytes(elements());
    }

    /**
     * The length of a row, which is what quantisation divides into blocks: all dimensions but the first (a convolution
     * kernel's inputs x height x width), or the only one.
     */
    public long columns() {
        return columns(shape);
    }

    TensorInfo named(String other) {
        return new TensorInfo(other, type, shape);
    }

    private static long columns(List<Long> shape) {
        return shape.size() < 2 ? product(shape) : product(shape.subList(1, shape.size()));
    }

    private static long product(List<Long> shape) {
        long product = 1;
        for (long length : shape) {
            if (length < 0) {
                throw new IllegalArgumentException("shape has a negative length");
            }
            product = Math.multiplyExact(product, length);
        }
        return product;
    }
}
