package io.aquarelle.model;

import io.aquarelle.bindings.Aquarelle;
import io.aquarelle.bindings.aq_conversion;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** Values of one stored type in another. */
final class NumberTypes {
    private static final ValueLayout.OfDouble DOUBLE =
            ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final float LARGEST_F16 = 65504;

    /** Every value of e4m3 as a half: 448 is its largest, 2^-9 its smallest, both of which a half holds. */
    private static final short[] E4M3 = new short[256];

    static {
        for (int bits = 0; bits < E4M3.length; bits++) {
            int exponent = bits >> 3 & 15;
            int mantissa = bits & 7;
            float size = exponent == 0 ? mantissa / 512f : (8 + mantissa) * (float) Math.pow(2, exponent - 10);
            float value = exponent == 15 && mantissa == 7 ? Float.NaN : size;
            E4M3[bits] = (short) (Float.floatToFloat16(value) | (bits & 0x80) << 8);
        }
    }

    private NumberTypes() {}

    /** What native code reads a type as: itself, or for types that it lacks the next wider one. */
    static DataType readable(DataType type) {
        return switch (type) {
            case F64 -> DataType.F32;
            case F8_E4M3, F8_E5M2 -> DataType.F16;
            default -> type;
        };
    }

    /**
     * Writes values in another type.
     *
     * @param to as long as the values are in {@code type}
     * @throws IllegalArgumentException if a value is no number or too large for the type, or the types cannot be read and
     *     written
     */
    static void convert(DataType from, MemorySegment values, DataType type, MemorySegment to) {
        if (readable(from) != from) {
            try (Arena arena = Arena.ofConfined()) {
                DataType wider = readable(from);
                long count = values.byteSize() / from.bytes(1);
                if (wider == type) {
                    widen(from, values, to);
                    return;
                }
                MemorySegment copy = arena.allocate(wider.bytes(count), TensorSource.ALIGNMENT);
                widen(from, values, copy);
                convert(wider, copy, type, to);
                return;
            }
        }
        if (from == type) {
            MemorySegment.copy(values, 0, to, 0, values.byteSize());
            return;
        }
        NativeCalls.run((arena, error) -> {
            MemorySegment call = aq_conversion.allocate(arena);
            aq_conversion.input(call, values);
            aq_conversion.output(call, to);
            aq_conversion.input_size(call, values.byteSize());
            aq_conversion.output_size(call, to.byteSize());
            aq_conversion.count(call, to.byteSize() / type.blockBytes() * type.block());
            aq_conversion.input_type(call, from.nativeType());
            aq_conversion.output_type(call, type.nativeType());
            return Aquarelle.aq_convert(call, error);
        });
    }

    /** To the type that {@link #readable} gives; F64 is rounded, the others keep their values. */
    private static void widen(DataType from, MemorySegment values, MemorySegment to) {
        switch (from) {
            case F64 -> {
                for (long i = 0; i < values.byteSize() / Double.BYTES; i++) {
                    to.setAtIndex(FLOAT, i, (float) values.getAtIndex(DOUBLE, i));
                }
            }
            case F8_E4M3 -> {
                for (long i = 0; i < values.byteSize(); i++) {
                    to.setAtIndex(SHORT, i, E4M3[values.get(ValueLayout.JAVA_BYTE, i) & 0xff]);
                }
            }
            case F8_E5M2 -> { // a half without its last eight bits
                for (long i = 0; i < values.byteSize(); i++) {
                    to.setAtIndex(SHORT, i, (short) (values.get(ValueLayout.JAVA_BYTE, i) << 8));
                }
            }
            default -> throw new IllegalArgumentException(from + " needs no wider type");
        }
    }

    /** Whether a half holds all values; those that are no numbers do not count. */
    static boolean fitF16(DataType type, MemorySegment values) {
        float largest = 0;
        switch (type) {
            case F32 -> {
                for (long i = 0; i < values.byteSize() / Float.BYTES; i++) {
                    largest = Math.max(largest, finite(values.getAtIndex(FLOAT, i)));
                }
            }
            case F64 -> {
                for (long i = 0; i < values.byteSize() / Double.BYTES; i++) {
                    largest = Math.max(largest, finite((float) values.getAtIndex(DOUBLE, i)));
                }
            }
            case BF16 -> {
                for (long i = 0; i < values.byteSize() / Short.BYTES; i++) {
                    largest = Math.max(largest, finite(Float.intBitsToFloat(values.getAtIndex(SHORT, i) << 16)));
                }
            }
            default -> {
                return true;
            }
        }
        return largest <= LARGEST_F16;
    }

    private static float finite(float value) {
        return Float.isNaN(value) ? 0 : Math.abs(value);
    }
}
