package io.aquarelle.sampling;

import java.util.List;

/** The path whose increments a stochastic sampler adds. */
@FunctionalInterface
interface BrownianMotion {
    /** W(from) - W(to) over the root of the interval's length: standard normal values, a new array. */
    float[] increment(float from, float to);

    /** Makes the path of a run; it may draw from {@code noise}. */
    @FunctionalInterface
    interface Source {
        BrownianMotion start(NoiseSource noise, float[] sigmas, int length);
    }

    /** Fresh noise for every increment: right where intervals do not overlap. */
    Source WHITE = (noise, sigmas, length) -> (from, to) -> noise.normal(length);

    /** A {@link BrownianTree} for each part of the noise, planted when the first increment is asked for. */
    Source TREE = (noise, sigmas, length) -> new BrownianMotion() {
        private List<BrownianTree> trees = List.of();

        @Override
        public float[] increment(float from, float to) {
            if (trees.isEmpty()) {
                List<NoiseSource> parts = noise.parts();
                trees = parts.stream()
                        .map(part -> BrownianTree.over(sigmas, length / parts.size(), part))
                        .toList();
            }
            return Latents.joined(
                    trees.stream().map(tree -> tree.increment(from, to)).toList());
        }
    };
}
