package io.aquarelle.sampling;

/**
 * Schedules that were found by optimisation, for Stable Diffusion's noise schedule, and are published as tables. Other
 * numbers of steps get the table interpolated in log sigma. The smallest sigma of a table gives way to 0.
 */
final class TabulatedSchedules {
    /** Sabour et al. 2024, "Align Your Steps" (arXiv 2404.14507): 10 steps for Stable Diffusion 1.5. */
    private static final double[] AYS = {
        14.6146412293,
        6.4745760956,
        3.8636745985,
        2.6946151520,
        1.8841921177,
        1.3943805092,
        0.9642583904,
        0.6523686016,
        0.3977456272,
        0.1515232662,
        0.0291671582
    };

    /** The same for SDXL. */
    private static final double[] AYS_SDXL = {
        14.6146412293,
        6.3184485287,
        3.7681790315,
        2.1811480769,
        1.3405244945,
        0.8620721141,
        0.5550693289,
        0.3798540708,
        0.2332364134,
        0.1114188177,
        0.0291671582
    };

    /**
     * GITS (Chen et al. 2024, arXiv 2405.11326) with coefficient 1.20, by number of steps from 2 on: timesteps in
     * percent of the last one. The authors publish the sigmas, which are those of this grid.
     */
    private static final int[][] GITS = {
        {100, 29, 0},
        {100, 49, 18, 0},
        {100, 61, 33, 11, 0},
        {100, 66, 42, 21, 6, 0},
        {100, 83, 57, 34, 15, 3, 0},
        {100, 83, 62, 42, 23, 8, 1, 0},
        {100, 83, 62, 45, 29, 15, 6, 1, 0},
        {100, 83, 66, 50, 34, 21, 11, 4, 1, 0},
        {100, 83, 66, 51, 38, 27, 17, 9, 4, 1, 0},
        {100, 83, 67, 54, 42, 30, 21, 13, 7, 3, 1, 0},
        {100, 83, 68, 56, 45, 34, 25, 17, 11, 6, 3, 1, 0},
        {100, 86, 71, 61, 49, 38, 29, 21, 15, 10, 6, 3, 1, 0},
        {100, 86, 71, 62, 50, 40, 31, 23, 17, 12, 8, 5, 3, 1, 0},
        {100, 88, 78, 68, 58, 48, 38, 30, 23, 17, 12, 8, 5, 3, 1, 0},
        {100, 88, 78, 68, 58, 48, 38, 30, 23, 17, 13, 9, 6, 4, 2, 1, 0},
        {100, 88, 78, 68, 58, 48, 38, 30, 23, 17, 13, 10, 7, 5, 3, 2, 1, 0},
        {100, 88, 78, 68, 59, 50, 41, 33, 26, 20, 15, 11, 8, 6, 4, 3, 2, 1, 0},
        {100, 88, 78, 68, 59, 50, 42, 34, 27, 21, 16, 12, 9, 7, 5, 4, 3, 2, 1, 0},
        {100, 88, 78, 68, 59, 50, 42, 34, 27, 21, 17, 13, 10, 8, 6, 5, 4, 3, 2, 1, 0}
    };

    private TabulatedSchedules() {}

    static float[] ays(NoiseSchedule schedule, int steps) {
        return interpolated(AYS, steps);
    }

    static float[] aysSdxl(NoiseSchedule schedule, int steps) {
        return interpolated(AYS_SDXL, steps);
    }

    static float[] gits(NoiseSchedule schedule, int steps) {
        int row = Math.clamp(steps - 2, 0, GITS.length - 1);
        double[] sigmas = new double[GITS[row].length];
        for (int i = 0; i < sigmas.length; i++) {
            sigmas[i] = schedule.sigma((schedule.steps() - 1) * GITS[row][i] / 100.0);
        }
        return interpolated(sigmas, steps);
    }

    /** {@code steps + 1} values at even places along the table, log-linear between its entries; the last becomes 0. */
    private static float[] interpolated(double[] table, int steps) {
        float[] sigmas = new float[steps + 1];
        int last = table.length - 1;
        for (int i = 0; i < steps; i++) {
            double place = (double) i * last / steps;
            int low = (int) place;
            double w = place - low;
            sigmas[i] = (float) Math.exp((1 - w) * Math.log(table[low]) + w * Math.log(table[low + 1]));
        }
        return sigmas;
    }
}
