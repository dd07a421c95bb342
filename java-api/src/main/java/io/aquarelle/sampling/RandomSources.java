package io.aquarelle.sampling;

import java.util.List;
import java.util.function.LongFunction;

/**
 * The random sources, by name; the same seed gives the same noise as in stable-diffusion.cpp. A seed is an unsigned
 * 64-bit number. Sources hold state and serve one thread at a time.
 */
public final class RandomSources {
    private static final Registry<LongFunction<NoiseSource>> REGISTRY = new Registry<LongFunction<NoiseSource>>("rng")
            .add("cuda", "NV", RandomSources::philox, "gpu")
            .add("cpu", "CPU", RandomSources::mt19937)
            .add("std_default", "std_default", RandomSources::stdDefault);

    private RandomSources() {}

    /**
     * Noise as PyTorch draws it on an NVIDIA GPU, the default of A1111 and stable-diffusion.cpp ("cuda"): Philox
     * 4x32-10 and Box-Muller. A call's values depend on the seed and the number of calls before it, not on their sizes.
     */
    public static NoiseSource philox(long seed) {
        return new Philox(seed);
    }

    /**
     * Noise as PyTorch draws it on a CPU, ComfyUI's default ("cpu"): MT19937 and Box-Muller. Only the low 32 bits of
     * the seed count.
     */
    public static NoiseSource mt19937(long seed) {
        return new MersenneTwister(seed);
    }

    /**
     * Noise of libstdc++'s {@code default_random_engine} and {@code normal_distribution<float>} ("std_default"). Only
     * the low 32 bits of the seed count.
     */
    public static NoiseSource stdDefault(long seed) {
        return new MinimalStandard(seed);
    }

    /** The names that commands use, which are those of stable-diffusion.cpp. */
    public static List<String> names() {
        return REGISTRY.names();
    }

    /**
     * A new source of the kind that stable-diffusion.cpp or A1111 calls by a name; case, spaces, hyphens and
     * underscores do not matter.
     *
     * @throws IllegalArgumentException if there is none; the message lists the names
     */
    public static NoiseSource byName(String name, long seed) {
        return REGISTRY.value(name).apply(seed);
    }

    /**
     * A1111's name of a random source, as in an image's parameters: "NV" for "cuda".
     *
     * @throws IllegalArgumentException if there is none; the message lists the names
     */
    public static String displayName(String name) {
        return REGISTRY.displayName(name);
    }

    /** Room for the values of a call. */
    static float[] room(int count) {
        if (count < 0) {
            throw new IllegalArgumentException("cannot draw " + count + " values; the count must be 0 or more");
        }
        return new float[count];
    }
}
