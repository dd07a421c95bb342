package io.aquarelle.sampling;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

class SigmaSchedulesTest {
    private static final NoiseSchedule SCHEDULE = NoiseSchedule.stableDiffusion();

    // The sigmas of the six golden steps of sd1-nano, a float32 PyTorch run.
    @Test
    void discreteSigmasEqualTheGoldenOnes() {
        assertSigmas(
                2e-7,
                "14.614640235900879 5.092408180236816 2.2797305583953857 1.1628645658493042 0.5711889266967773"
                        + " 0.029167160391807556 0",
                SigmaSchedules.DISCRETE.sigmas(SCHEDULE, 6));
    }

    // CompVisDenoiser.get_sigmas(7) and get_sigmas_karras(7, sigmas[0], sigmas[999]) of k-diffusion 0.1.1, float64.
    @Test
    void sigmasEqualKDiffusions() {
        assertSigmas(
                2e-7,
                "14.6146412 5.94889919 2.91830712 1.61558026 0.932357967 0.49355172 0.0291671582 0",
                SigmaSchedules.DISCRETE.sigmas(SCHEDULE, 7));
        assertSigmas(
                2e-7,
                "14.6146412 7.09441069 3.16860307 1.27410021 0.446918209 0.130307586 0.0291671582 0",
                SigmaSchedules.KARRAS.sigmas(SCHEDULE, 7));
    }

    // get_sigmas(20) of stable-diffusion.cpp 97d2990, whose float32 table is 1.3e-5 off at its smallest sigma.
    @Test
    void sigmasEqualThoseOfStableDiffusionCpp() {
        assertSigmas(2e-5, """
            14.6146536 10.74681 8.08152676 6.20493984 4.85565615 3.86538172 3.12376285 2.55716777
            2.11565828 1.76482272 1.48058081 1.24581349 1.04814231 0.878427982 0.729718626 0.596433878
            0.473584831 0.355545729 0.232164353 0.0291675366 0
            """, SigmaSchedules.DISCRETE.sigmas(SCHEDULE, 20));
        assertSigmas(2e-5, """
            14.6146603 11.7253828 9.34021854 7.38363218 5.7894249 4.49984646 3.46475959 2.64084864
            1.99092376 1.48321688 1.09079146 0.790949821 0.564724863 0.396392286 0.273039877 0.184169278
            0.121342458 0.0778608099 0.0484819002 0.0291675199 0
            """, SigmaSchedules.KARRAS.sigmas(SCHEDULE, 20));
    }

    @Test
    void sigmasFallFromTheLargestToTheSmallestAndEndInZero() {
        for (String name : SigmaSchedules.names()) {
            for (int steps = 2; steps <= 300; steps++) {
                float[] sigmas = SigmaSchedules.byName(name).sigmas(SCHEDULE, steps);
                assertEquals(steps + 1, sigmas.length);
                assertEquals(SCHEDULE.sigmaMax(), sigmas[0], 2e-6f);
                assertEquals(SCHEDULE.sigmaMin(), sigmas[steps - 1], 4e-9f);
                assertEquals(0, sigmas[steps]);
                for (int i = 0; i < steps; i++) {
                    assertTrue(sigmas[i] > sigmas[i + 1], name + " at step " + i + " of " + steps);
                }
            }
        }
    }

    @Test
    void oneStepGoesFromTheLargestSigmaToZero() {
        for (String name : SigmaSchedules.names()) {
            float[] sigmas = SigmaSchedules.byName(name).sigmas(SCHEDULE, 1);
            assertArrayEquals(new float[] {SCHEDULE.sigmaMax(), 0}, sigmas, 2e-6f);
        }
    }

    @Test
    void fewerThanOneStepIsRefused() {
        for (String name : SigmaSchedules.names()) {
            SigmaSchedule schedule = SigmaSchedules.byName(name);
            assertThrows(IllegalArgumentException.class, () -> schedule.sigmas(SCHEDULE, 0));
            assertThrows(IllegalArgumentException.class, () -> schedule.sigmas(SCHEDULE, -3));
        }
    }

    @Test
    void namesAreThoseOfStableDiffusionCppAndA1111() {
        assertEquals(List.of("discrete", "karras"), SigmaSchedules.names());
        for (String name : List.of("discrete", "normal", "Normal", "Uniform", "Automatic")) {
            assertSame(SigmaSchedules.DISCRETE, SigmaSchedules.byName(name));
        }
        assertSame(SigmaSchedules.KARRAS, SigmaSchedules.byName("Karras"));
        assertEquals("Uniform", SigmaSchedules.displayName("normal"));
        assertEquals("Karras", SigmaSchedules.displayName("karras"));
        var unknown = assertThrows(IllegalArgumentException.class, () -> SigmaSchedules.byName("cosine"));
        assertEquals("unknown schedule 'cosine'; use one of discrete, karras", unknown.getMessage());
    }

    private static void assertSigmas(double relative, String expected, float[] actual) {
        double[] sigmas = Numbers.parse(expected);
        assertEquals(sigmas.length, actual.length);
        for (int i = 0; i < sigmas.length; i++) {
            assertEquals(sigmas[i], actual[i], relative * sigmas[i], "sigma " + i);
        }
    }
}
