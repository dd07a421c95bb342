package io.aquarelle.sampling;

/** Picks the noise levels that a run visits. {@link SigmaSchedules} has the implementations. */
@FunctionalInterface
public interface SigmaSchedule {
    /**
     * The noise levels of a run.
     *
     * @param schedule what the network was trained on
     * @param steps the number of steps, 1 or more
     * @return {@code steps + 1} falling values, the last one 0
     * @throws IllegalArgumentException if {@code steps} is below 1
     */
    float[] sigmas(NoiseSchedule schedule, int steps);
}
