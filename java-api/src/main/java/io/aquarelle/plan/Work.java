package io.aquarelle.plan;

/**
 * What the UNet did: units that do work of their own, counted once a call, and multiply-adds.
 *
 * @param run units that were computed
 * @param reused units that stored outputs took the place of, or the place of what they are a part of
 * @param skipped units that were neither: skipped, or needed by nothing
 * @param multiplyAdds of all images, a convolution counted as direct; keys and values of the prompt, which are computed
 *     once for all calls, are left out
 */
public record Work(long run, long reused, long skipped, double multiplyAdds) {
    /** Nothing. */
    public static final Work NONE = new Work(0, 0, 0, 0);

    /** One picture's part of what was done for several at once: the same units, fewer multiply-adds. */
    public Work ofEach(int pictures) {
        return new Work(run, reused, skipped, multiplyAdds / pictures);
    }

    /** This and more. */
    public Work plus(Work other) {
        return new Work(
                run + other.run, reused + other.reused, skipped + other.skipped, multiplyAdds + other.multiplyAdds);
    }
}
