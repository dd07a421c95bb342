package io.aquarelle.sampling;

/**
 * Philox 4x32-10 (Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3") and the sine of Box and Muller as
 * PyTorch's CUDA kernel combines them. The key is the seed; value i of call n comes from counter (n, 0, i, 0), so no
 * value depends on another.
 */
final class Philox implements NoiseSource {
    private static final long MULTIPLIER_0 = 0xD2511F53L;
    private static final long MULTIPLIER_1 = 0xCD9E8D57L;
    private static final int WEYL_0 = 0x9E3779B9;
    private static final int WEYL_1 = 0xBB67AE85;
    private static final int ROUNDS = 10;

    private static final long UNSIGNED = 0xFFFFFFFFL;
    private static final float TO_UNIT = 0x1p-32f;
    private static final float TO_ANGLE = 0x1p-32f * 6.2831855f;

    private final long seed;
    private int call;

    Philox(long seed) {
        this.seed = seed;
    }

    @Override
    public float[] normal(int count) {
        float[] values = RandomSources.room(count);
        for (int i = 0; i < count; i++) {
            values[i] = normal(call, i);
        }
        call++;
        return values;
    }

    private float normal(int call, int index) {
        int c0 = call;
        int c1 = 0;
        int c2 = index;
        int c3 = 0;
        int k0 = (int) seed;
        int k1 = (int) (seed >>> 32);
        for (int round = 0; round < ROUNDS; round++) {
            long p0 = (c0 & UNSIGNED) * MULTIPLIER_0;
            long p1 = (c2 & UNSIGNED) * MULTIPLIER_1;
            c0 = (int) (p1 >>> 32) ^ c1 ^ k0;
            c1 = (int) p1;
            c2 = (int) (p0 >>> 32) ^ c3 ^ k1;
            c3 = (int) p0;
            k0 += WEYL_0;
            k1 += WEYL_1;
        }
        // Centres of 2^32 equal cells, so that the logarithm is finite.
        float u = (c0 & UNSIGNED) * TO_UNIT + TO_UNIT / 2;
        float angle = (c1 & UNSIGNED) * TO_ANGLE + TO_ANGLE / 2;
        float radius = (float) Math.sqrt(-2 * Math.log(u));
        return (float) (radius * Math.sin(angle));
    }
}
