package io.aquarelle.sampling;

/**
 * MT19937 (Matsumoto and Nishimura 1998) and Box-Muller as PyTorch's CPU generator combines them. From 16 values on,
 * floats are filled in blocks of 16; fewer come one at a time as doubles in pairs, of which the second waits for the
 * next small call.
 */
final class MersenneTwister implements NoiseSource {
    private static final int STATE = 624;
    private static final int MIDDLE = 397;
    private static final int BLOCK = 16;

    private final int[] state = new int[STATE];
    private int next = STATE;
    private double waiting = Double.NaN; // the pair's second value, or NaN

    MersenneTwister(long seed) {
        state[0] = (int) seed;
        for (int i = 1; i < STATE; i++) {
            state[i] = 1812433253 * (state[i - 1] ^ state[i - 1] >>> 30) + i;
        }
    }

    @Override
    public float[] normal(int count) {
        float[] values = RandomSources.room(count);
        if (count < BLOCK) {
            for (int i = 0; i < count; i++) {
                values[i] = (float) normalDouble();
            }
            return values;
        }
        fillUniform(values, 0);
        for (int start = 0; start <= count - BLOCK; start += BLOCK) {
            toNormal(values, start);
        }
        if (count % BLOCK != 0) {
            fillUniform(values, count - BLOCK); // a last whole block, drawn anew
            toNormal(values, count - BLOCK);
        }
        return values;
    }

    /** Uniform values in [0, 1) of 24 bits from {@code start} to the end. */
    private void fillUniform(float[] values, int start) {
        for (int i = start; i < values.length; i++) {
            values[i] = (nextInt() & 0xFFFFFF) * 0x1p-24f;
        }
    }

    /** Turns a block's first and second half into the cosines and sines of eight Box-Muller pairs. */
    private static void toNormal(float[] values, int start) {
        for (int i = start; i < start + BLOCK / 2; i++) {
            float radius = (float) Math.sqrt(-2 * (float) Math.log(1 - values[i]));
            float angle = (float) (2 * Math.PI) * values[i + BLOCK / 2];
            values[i] = radius * (float) Math.cos(angle);
            values[i + BLOCK / 2] = radius * (float) Math.sin(angle);
        }
    }

    private double normalDouble() {
        if (!Double.isNaN(waiting)) {
            double value = waiting;
            waiting = Double.NaN;
            return value;
        }
        double angle = 2 * Math.PI * uniformDouble();
        double radius = Math.sqrt(-2 * Math.log1p(-uniformDouble()));
        waiting = radius * Math.sin(angle);
        return radius * Math.cos(angle);
    }

    /** A uniform value in [0, 1) of 53 bits. */
    private double uniformDouble() {
        long high = nextInt();
        long low = nextInt() & 0xFFFFFFFFL;
        return ((high << 32 | low) & (1L << 53) - 1) * 0x1p-53;
    }

    private int nextInt() {
        if (next == STATE) {
            twist();
        }
        int y = state[next++];
        y ^= y >>> 11;
        y ^= y << 7 & 0x9D2C5680;
        y ^= y << 15 & 0xEFC60000;
        return y ^ y >>> 18;
    }

    private void twist() {
        for (int i = 0; i < STATE; i++) {
            int mixed = state[i] & 0x80000000 | state[(i + 1) % STATE] & 0x7FFFFFFF;
            state[i] = state[(i + MIDDLE) % STATE] ^ mixed >>> 1 ^ (mixed & 1) * 0x9908B0DF;
        }
        next = 0;
    }
}
