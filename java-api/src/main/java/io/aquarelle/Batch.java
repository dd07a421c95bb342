package io.aquarelle;

import io.aquarelle.plan.Adaptation;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Pictures of a request that go through the UNet together: their latents lie one behind another.
 *
 * @param first of the request's pictures
 * @param size how many
 */
record Batch(int first, int size) {
    /**
     * Cells of a batch's latents. Calls of the UNet for as many are bound by arithmetic; those for fewer also by reading
     * the weights and by what each layer costs whatever its size, which a batch pays once (native/bench/SPEED.md). So no
     * batch needs more memory than one picture of 512x512 pixels.
     */
    private static final int MOST_CELLS = 64 * 64;

    /** The pictures of a request in batches, which draw what each picture would by itself. */
    static List<Batch> of(int pictures, List<Course> passes) {
        int most = passes.stream().mapToInt(Batch::most).min().orElseThrow();
        return IntStream.iterate(0, first -> first < pictures, first -> first + most)
                .mapToObj(first -> new Batch(first, Math.min(most, pictures - first)))
                .toList();
    }

    private static int most(Course pass) {
        // What a plan decides while drawing, it decides for each picture.
        return pass.adaptation() == Adaptation.NONE ? Math.max(1, MOST_CELLS / (pass.height() * pass.width())) : 1;
    }

    /** The numbers of its pictures. */
    List<Integer> images() {
        return IntStream.range(first, first + size).boxed().toList();
    }
}
