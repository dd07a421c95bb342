package io.aquarelle.sampling;

import java.util.List;

/** The noise of several latents, one behind another. */
record NoiseTogether(List<NoiseSource> parts) implements NoiseSource {
    NoiseTogether {
        parts = List.copyOf(parts);
    }

    @Override
    public float[] normal(int count) {
        if (count % parts.size() != 0) {
            throw new IllegalArgumentException(
                    "cannot draw " + count + " values from " + parts.size() + " sources in equal parts");
        }
        int each = count / parts.size();
        return Latents.joined(parts.stream().map(part -> part.normal(each)).toList());
    }
}
