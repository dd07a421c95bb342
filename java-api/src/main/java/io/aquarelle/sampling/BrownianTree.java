package io.aquarelle.sampling;

/**
 * A Brownian path over the noise levels of a run that can be asked for any interval: overlapping ones agree, and the
 * same seed gives the same path for any number of steps. Midpoints are drawn by the Brownian bridge, each from a
 * generator of its own, so that nothing need be kept (the virtual Brownian tree of Li et al. 2020, arXiv 2001.01328;
 * seeds and values as in stable-diffusion.cpp's {@code BrownianTreeNoiseSampler}).
 */
final class BrownianTree implements BrownianMotion {
    private static final int DEPTH = 24;

    private final double min;
    private final double max;
    private final float[] end; // W(max); W(min) is 0
    private final long root;

    private BrownianTree(double min, double max, int length, long seed) {
        this.min = min;
        this.max = max;
        root = mix(seed, 0x9e3779b97f4a7c15L);
        end = Latents.scale(Math.sqrt(max - min), normal(mix(seed, 0xbf58476d1ce4e5b9L), length));
    }

    /** The tree from the first of the sigmas to the last but one, with a seed drawn from {@code noise}. */
    static BrownianTree over(float[] sigmas, int length, NoiseSource noise) {
        float[] drawn = noise.normal(2);
        long seed = Float.floatToRawIntBits(drawn[0]) & 0xffffffffL | (long) Float.floatToRawIntBits(drawn[1]) << 32;
        return new BrownianTree(sigmas[sigmas.length - 2], sigmas[0], length, seed);
    }

    @Override
    public float[] increment(float from, float to) {
        return Latents.difference(at(from), at(to), Math.sqrt((double) from - to));
    }

    private float[] at(double t) {
        double low = min;
        double high = max;
        float[] atLow = new float[end.length];
        float[] atHigh = end;
        long seed = root;
        for (int depth = 0; depth < DEPTH && high - low >= 1e-9; depth++) {
            double middle = (low + high) / 2;
            double deviation = Math.sqrt((high - low) / 4);
            float[] atMiddle = Latents.sum(0.5, atLow, 0.5, atHigh, deviation, normal(seed, end.length));
            if (t == middle) {
                return atMiddle;
            }
            if (t < middle) {
                high = middle;
                atHigh = atMiddle;
                seed = mix(seed, 1);
            } else {
                low = middle;
                atLow = atMiddle;
                seed = mix(seed, 2);
            }
        }
        double share = high > low ? (t - low) / (high - low) : 0.5;
        return Latents.sum(1 - share, atLow, share, atHigh);
    }

    private static float[] normal(long seed, int length) {
        return RandomSources.stdDefault(seed).normal(length);
    }

    /** SplitMix64's finalizer. */
    private static long mix(long value, long salt) {
        long z = value + salt;
        z = (z ^ z >>> 30) * 0xbf58476d1ce4e5b9L;
        z = (z ^ z >>> 27) * 0x94d049bb133111ebL;
        return z ^ z >>> 31;
    }
}
