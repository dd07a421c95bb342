package io.aquarelle.sampling;

import java.util.List;

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

    /** Where the values are those of several sources, one behind another, these; else the source itself. */
    default List<NoiseSource> parts() {
        return List.of(this);
    }

    /**
     * Noise for several latents, one behind another, each of which gets what its own source gives.
     *
     * @param sources one a latent, all of one length
     */
    static NoiseSource together(List<NoiseSource> sources) {
        return sources.size() == 1 ? sources.getFirst() : new NoiseTogether(sources);
    }
}
