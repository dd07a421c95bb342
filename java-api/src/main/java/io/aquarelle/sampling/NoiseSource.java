package io.aquarelle.sampling;

/**
 * A stream of standard normal values. How values are shared out among calls may change them: two calls for 8 need not
 * give what one call for 16 gives.
 */
@FunctionalInterface
public interface NoiseSource {
    /**
     * The next values.
     *
     * @param count how many, 0 or more
     * @return a new array of that length
     */
    float[] normal(int count);
}
