package io.aquarelle.sampling;

/**
 * The random numbers of libstdc++: {@code default_random_engine}, which is the minimal standard generator of Lewis,
 * Goodman and Miller 1969, and {@code normal_distribution<float>}, which is Marsaglia's polar method. As in
 * stable-diffusion.cpp each call makes the distribution anew: the second value of a pair that an odd count leaves over
 * is lost.
 */
final class MinimalStandard implements NoiseSource {
    private static final long MULTIPLIER = 16807;
    private static final long MODULUS = 0x7FFFFFFF;

    private long state;

    MinimalStandard(long seed) {
        state = (seed & 0xFFFFFFFFL) % MODULUS;
        if (state == 0) {
            state = 1;
        }
    }

    @Override
    public float[] normal(int count) {
        float[] values = RandomSources.room(count);
        for (int i = 0; i < count; i += 2) {
            float x;
            float y;
            float square;
            do {
                x = 2 * uniform() - 1;
                y = 2 * uniform() - 1;
                square = x * x + y * y;
            } while (square > 1 || square == 0);
            float scale = (float) Math.sqrt(-2 * (float) Math.log(square) / square);
            values[i] = y * scale;
            if (i + 1 < count) {
                values[i + 1] = x * scale;
            }
        }
        return values;
    }

    /** {@code generate_canonical<float, 24>}: a value in [0, 1), rounded down to it where the quotient rounds to 1. */
    private float uniform() {
        state = state * MULTIPLIER % MODULUS;
        return Math.min((state - 1) * 0x1p-31f, Math.nextDown(1f));
    }
}
