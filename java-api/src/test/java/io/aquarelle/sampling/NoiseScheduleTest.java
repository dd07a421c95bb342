package io.aquarelle.sampling;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

class NoiseScheduleTest {
    private static final NoiseSchedule SCHEDULE = NoiseSchedule.stableDiffusion();

    // t_to_sigma and sigma_to_t of k-diffusion 0.1.1's CompVisDenoiser, float64, not quantised.
    @Test
    void sigmasAndTimestepsEqualKDiffusions() {
        double[] timesteps = {0, 0.25, 1, 17.5, 250.125, 500, 777.7, 998.5, 999};
        double[] sigmas = Numbers.parse(
                "0.0291671582 0.0318196927 0.041314412 0.128978152 0.696123302 1.61827883 4.62347653 14.5703915"
                        + " 14.6146412");
        for (int i = 0; i < timesteps.length; i++) {
            assertEquals(sigmas[i], SCHEDULE.sigma(timesteps[i]), 2e-7 * sigmas[i]);
        }
        double[] levels = {0.05, 0.5, 1, 3.3, 10, 14.6};
        double[] timestepsOfLevels = {1.93385436, 169.314771, 353.890411, 697.404523, 933.506774, 998.834729};
        for (int i = 0; i < levels.length; i++) {
            assertEquals(timestepsOfLevels[i], SCHEDULE.timestep(levels[i]), 1e-4);
        }
    }

    // sigma_to_t of stable-diffusion.cpp 97d2990, whose table is computed in float32.
    @Test
    void timestepsEqualThoseOfStableDiffusionCpp() {
        double[] levels = {0.01, 0.05, 0.5, 1, 3.3, 10, 14.6, 20};
        double[] timesteps = {0, 1.93384552, 169.314651, 353.890289, 697.404358, 933.506592, 998.834534, 999};
        for (int i = 0; i < levels.length; i++) {
            assertEquals(timesteps[i], SCHEDULE.timestep(levels[i]), 3e-4);
        }
    }

    @Test
    void timestepIsTheInverseOfSigma() {
        for (int t = 0; t < SCHEDULE.steps(); t++) {
            assertEquals(t, SCHEDULE.timestep(SCHEDULE.sigma(t)));
        }
        for (double t = 0.37; t < SCHEDULE.steps() - 1; t += 0.91) {
            assertEquals(t, SCHEDULE.timestep(SCHEDULE.sigma(t)), 1e-4);
        }
    }

    @Test
    void halfwayBetweenTimestepsSigmaIsTheGeometricMean() {
        for (int t = 0; t < SCHEDULE.steps() - 1; t++) {
            double mean = Math.sqrt((double) SCHEDULE.sigma(t) * SCHEDULE.sigma(t + 1));
            assertEquals(mean, SCHEDULE.sigma(t + 0.5), 1e-7 * mean);
        }
    }

    @Test
    void sigmasOutsideTheScheduleGetItsEnds() {
        assertEquals(0, SCHEDULE.timestep(0));
        assertEquals(0, SCHEDULE.timestep(SCHEDULE.sigmaMin() / 2));
        assertEquals(999, SCHEDULE.timestep(SCHEDULE.sigmaMax() * 2));
        assertEquals(999, SCHEDULE.timestep(Double.POSITIVE_INFINITY));
        assertEquals(SCHEDULE.sigma(0), SCHEDULE.sigmaMin());
        assertEquals(SCHEDULE.sigma(999), SCHEDULE.sigmaMax());
    }

    @Test
    void whatIsNoTimestepOrSigmaIsRefused() {
        for (double timestep : new double[] {-1e-6, 999.001, Double.NaN}) {
            assertThrows(IllegalArgumentException.class, () -> SCHEDULE.sigma(timestep));
        }
        for (double sigma : new double[] {-0.1, Double.NEGATIVE_INFINITY, Double.NaN}) {
            assertThrows(IllegalArgumentException.class, () -> SCHEDULE.timestep(sigma));
        }
    }

    @Test
    void withoutSignalAtTheEndItStartsAsTheOtherAndEndsFarAbove() {
        NoiseSchedule schedule = NoiseSchedule.zeroTerminalSnr();
        assertEquals(1000, schedule.steps());
        assertEquals(SCHEDULE.sigmaMin(), schedule.sigmaMin(), 1e-6);
        assertEquals(4518.7, schedule.sigmaMax(), 0.1); // sqrt(1 / 4.8973e-8 - 1)
        // The share of the signal, 1 / sqrt(1 + sigma²), is that of the other schedule, moved and stretched.
        double first = signal(SCHEDULE, 0);
        double last = signal(SCHEDULE, 999);
        for (int t = 0; t < 999; t++) {
            assertEquals((signal(SCHEDULE, t) - last) / (first - last), signal(schedule, t) / first, 1e-6, "at " + t);
        }
    }

    private static double signal(NoiseSchedule schedule, int timestep) {
        double sigma = schedule.sigma(timestep);
        return 1 / Math.sqrt(1 + sigma * sigma);
    }
}
