package io.aquarelle.model;

/** How the values of a tensor are stored; the constants carry the names that safetensors files use. */
public enum DataType {
    F64(28, 8),
    F32(0, 4),
    F16(1, 2),
    BF16(30, 2),
    I64(27, 8),
    I32(26, 4),
    I16(25, 2),
    I8(24, 1),
    U8(-1, 1),
    BOOL(-1, 1),
    /** 4 bits of exponent, 3 of mantissa, no infinities ("e4m3fn"). */
    F8_E4M3(-1, 1),
    /** 5 bits of exponent, 2 of mantissa. */
    F8_E5M2(-1, 1);

    private final int nativeType;
    private final int elementBytes;

    DataType(int nativeType, int elementBytes) {
        this.nativeType = nativeType;
        this.elementBytes = elementBytes;
    }

    /** The number of this type in GGUF files and in native code, -1 if native code has none. */
    public int nativeType() {
        return nativeType;
    }

    /**
     * The size in bytes of that many values.
     *
     * @throws ArithmeticException if it does not fit into a long
     */
    public long bytes(long elements) {
        return Math.multiplyExact(elements, elementBytes);
    }
}
