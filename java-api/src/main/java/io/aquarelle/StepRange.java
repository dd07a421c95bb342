package io.aquarelle;

/**
 * A part of a run's steps, as in diffusers.
 *
 * @param start the first part of the steps that is left out, 0 to 1
 * @param end where the part ends, from {@code start} to 1: a step counts if it lies within
 */
record StepRange(float start, float end) {
    /** Refuses numbers out of range, those of what {@code subject} is. */
    static void require(String subject, float start, float end) {
        if (!(start >= 0 && start <= end && end <= 1)) {
            throw new IllegalArgumentException(subject + " goes from " + start + " to " + end
                    + " of the steps; both must be 0 to 1, the start not above the end");
        }
    }

    boolean covers(int step, int steps) {
        return (double) step / steps >= start && (step + 1.0) / steps <= end;
    }
}
