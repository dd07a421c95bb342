package io.aquarelle.model;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;

/**
 * One tensor of a random checkpoint: {@code mean + deviation * z} with z close to standard normal.
 *
 * @param shape lengths of the dimensions in PyTorch's order
 */
record RandomTensor(String name, List<Long> shape, float mean, float deviation) {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT.withOrder(ByteOrder.LITTLE_ENDIAN);

    /** SplitMix64's increment, 2^64 over the golden ratio. */
    private static final long GAMMA = 0x9E3779B97F4A7C15L;

    /** Variance 16 of a binomial of 64 fair coins and 1/12 of each uniform. */
    private static final double SPREAD = Math.sqrt(16 + 2.0 / 12);

    long elements() {
        return shape.stream().reduce(1L, Math::multiplyExact);
    }

    /**
     * Fills {@code target} with the values that start at number {@code first} of the stream {@code seed}. Which values
     * go in one call makes no difference to them.
     */
    void fill(MemorySegment target, DataType type, long seed, long first) {
        int count = Math.toIntExact(target.byteSize() / type.bytes(1));
        for (int i = 0; i < count; i++) {
            float value = mean + deviation * normal(seed, first + i);
            switch (type) {
                case F32 -> target.setAtIndex(FLOAT, i, value);
                case F16 -> target.setAtIndex(SHORT, i, Float.floatToFloat16(value));
                case BF16 -> target.setAtIndex(SHORT, i, toBfloat16(value));
                default -> throw new IllegalArgumentException("random weights come as F32, F16 or BF16, not " + type);
            }
        }
    }

    /**
     * Value number {@code index} of a stream, close to standard normal: the count of ones in 64 random bits, smoothed
     * by two uniforms in [-½, ½). Whole-number arithmetic up to the last step, so that every machine and JDK agrees on
     * it.
     */
    static float normal(long seed, long index) {
        long bits = mix(seed + 2 * index * GAMMA);
        long smooth = mix(seed + (2 * index + 1) * GAMMA);
        double uniforms = ((smooth >>> 32) + (smooth & 0xFFFFFFFFL)) * 0x1p-32 - 1;
        return (float) ((Long.bitCount(bits) - 32 + uniforms) / SPREAD);
    }

    /** The output function of SplitMix64 (Steele, Lea, Flood 2014), with Stafford's variant 13 constants. */
    static long mix(long z) {
        z = (z ^ z >>> 30) * 0xBF58476D1CE4E5B9L;
        z = (z ^ z >>> 27) * 0x94D049BB133111EBL;
        return z ^ z >>> 31;
    }

    /** Rounds to nearest, ties to even; {@code value} is finite. */
    private static short toBfloat16(float value) {
        int bits = Float.floatToRawIntBits(value);
        return (short) (bits + 0x7FFF + (bits >>> 16 & 1) >>> 16);
    }
}
