package io.aquarelle.model;

import java.util.Locale;

/**
 * How the values of a tensor are stored. Plain types carry the names of safetensors files, quantised ones those of
 * ggml: their values come in blocks that share scales, and a row of a matrix is a whole number of blocks.
 */
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
    F8_E5M2(-1, 1),

    Q4_0(2, 32, 18),
    Q4_1(3, 32, 20),
    Q5_0(6, 32, 22),
    Q5_1(7, 32, 24),
    Q8_0(8, 32, 34),
    Q2_K(10, 256, 84),
    Q3_K(11, 256, 110),
    Q4_K(12, 256, 144),
    Q5_K(13, 256, 176),
    Q6_K(14, 256, 210),
    IQ2_XXS(16, 256, 66),
    IQ2_XS(17, 256, 74),
    IQ3_XXS(18, 256, 98),
    IQ1_S(19, 256, 50),
    IQ4_NL(20, 32, 18),
    IQ3_S(21, 256, 110),
    IQ2_S(22, 256, 82),
    IQ4_XS(23, 256, 136),
    IQ1_M(29, 256, 56),
    TQ1_0(34, 256, 54),
    TQ2_0(35, 256, 66),
    MXFP4(39, 32, 17),
    NVFP4(40, 64, 36),
    Q1_0(41, 128, 18),
    Q2_0(42, 64, 18);

    private final int nativeType;
    private final int block;
    private final int blockBytes;

    DataType(int nativeType, int elementBytes) {
        this(nativeType, 1, elementBytes);
    }

    DataType(int nativeType, int block, int blockBytes) {
        this.nativeType = nativeType;
        this.block = block;
        this.blockBytes = blockBytes;
    }

    /** The number of this type in GGUF files and in native code, -1 if native code has none. */
    public int nativeType() {
        return nativeType;
    }

    /** How many values share a block; 1 for plain types. */
    public int block() {
        return block;
    }

    /** The size of a block in bytes. */
    int blockBytes() {
        return blockBytes;
    }

    /** Whether values come in blocks, so that each is known only roughly. */
    public boolean isQuantised() {
        return block > 1;
    }

    /** Whether values are fractions stored one by one. */
    public boolean isFloat() {
        return switch (this) {
            case F64, F32, F16, BF16, F8_E4M3, F8_E5M2 -> true;
            default -> false;
        };
    }

    /**
     * The size in bytes of that many values.
     *
     * @throws ArithmeticException if it does not fit into a long
     * @throws IllegalArgumentException if the values are no whole number of blocks
     */
    public long bytes(long elements) {
        if (elements % block != 0) {
            throw new IllegalArgumentException(elements + " values do not fill blocks of " + block);
        }
        return Math.multiplyExact(elements / block, blockBytes);
    }

    /** The name in options and for people: {@code q4_k}. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
