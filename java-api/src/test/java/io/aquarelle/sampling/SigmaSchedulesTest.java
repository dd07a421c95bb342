package io.aquarelle.sampling;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

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

    // The peer's table is float32 and 1.3e-5 off at its smallest sigma, its quotients of timesteps round, and the
    // levels
    // that the authors of GITS publish are up to 2.7e-5 off their own grid.
    @TestFactory
    Stream<DynamicTest> sigmasEqualThoseOfStableDiffusionCpp() {
        return Numbers.table("schedules.txt").stream()
                .map(fields -> dynamicTest(
                        fields[1] + ", " + fields[2] + " steps",
                        () -> assertSigmas(
                                3e-5,
                                fields[3],
                                SigmaSchedules.byName(fields[1]).sigmas(SCHEDULE, Integer.parseInt(fields[2])))));
    }

    // The timesteps of DDIMScheduler.set_timesteps in diffusers 0.42.1 with steps_offset 1.
    @Test
    void spacingsAreThoseOfDiffusers() {
        assertTimesteps("751 501 251 1", "leading", 4);
        assertTimesteps("853 711 569 427 285 143 1", "leading", 7);
        assertTimesteps("999 749 499 249", "trailing", 4);
        assertTimesteps("999 856 713 570 428 285 142", "trailing", 7);
    }

    private static void assertTimesteps(String expected, String name, int steps) {
        float[] sigmas = SigmaSchedules.byName(name).sigmas(SCHEDULE, steps);
        double[] timesteps = Numbers.parse(expected);
        assertEquals(timesteps.length, steps);
        for (int i = 0; i < steps; i++) {
            assertEquals(timesteps[i], SCHEDULE.timestep(sigmas[i]), 1e-3);
        }
    }

    @Test
    void sigmasFallToZero() {
        int[] all = IntStream.concat(IntStream.range(1, 120), IntStream.of(333, 999, 1000, 1001, 2500))
                .toArray();
        for (String name : SigmaSchedules.names()) {
            for (int steps : all) {
                float[] sigmas = SigmaSchedules.byName(name).sigmas(SCHEDULE, steps);
                assertEquals(steps + 1, sigmas.length);
                assertEquals(0, sigmas[steps]);
                for (int i = 0; i < steps; i++) {
                    assertTrue(sigmas[i] > sigmas[i + 1], name + " at step " + i + " of " + steps);
                }
            }
        }
    }

    @Test
    void sigmasStartAtTheLargestButForLeadingOnes() {
        for (String name : SigmaSchedules.names()) {
            for (int steps : new int[] {1, 2, 20, 50, 1000}) {
                float first = SigmaSchedules.byName(name).sigmas(SCHEDULE, steps)[0];
                if (name.equals("leading") && steps > 1 && steps < 1000) {
                    assertTrue(first < SCHEDULE.sigmaMax(), name);
                } else {
                    assertEquals(SCHEDULE.sigmaMax(), first, 2e-6f, name);
                }
            }
        }
    }

    @Test
    void customSigmasGetTheirZero() {
        float[] expected = {14, 3.5f, 0.25f, 0};
        assertArrayEquals(expected, SigmaSchedules.custom(List.of(14f, 3.5f, 0.25f)));
        assertArrayEquals(expected, SigmaSchedules.custom(List.of(14f, 3.5f, 0.25f, 0f)));
        List<List<Float>> wrong = List.of(
                List.of(),
                List.of(0f),
                List.of(1f, 2f),
                List.of(2f, 2f, 0f),
                List.of(2f, 0f, 1f),
                List.of(2f, -1f),
                List.of(Float.POSITIVE_INFINITY, 1f),
                List.of(2f, Float.NaN));
        for (List<Float> levels : wrong) {
            assertThrows(IllegalArgumentException.class, () -> SigmaSchedules.custom(levels), levels.toString());
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
    void namesAreThoseOfThePeers() {
        List<String> stableDiffusionCpp = List.of(
                "discrete karras exponential ays gits sgm_uniform simple smoothstep kl_optimal lcm bong_tangent beta"
                        .split(" "));
        assertTrue(SigmaSchedules.names().containsAll(stableDiffusionCpp));
        List<String> a1111 = List.of(
                "Uniform",
                "Karras",
                "Exponential",
                "SGM Uniform",
                "KL Optimal",
                "Align Your Steps",
                "Simple",
                "DDIM",
                "Beta",
                "Align Your Steps GITS");
        for (String name : a1111) {
            assertEquals(name, SigmaSchedules.displayName(name));
        }
        assertSame(SigmaSchedules.DISCRETE, SigmaSchedules.byName("Normal"));
        assertSame(SigmaSchedules.KARRAS, SigmaSchedules.byName("KARRAS"));
        assertEquals("Exponential", SigmaSchedules.displayName("Polyexponential"));
        assertEquals("DDIM", SigmaSchedules.displayName("ddim_uniform"));
        var unknown = assertThrows(IllegalArgumentException.class, () -> SigmaSchedules.byName("cosine"));
        assertEquals(
                "unknown schedule 'cosine'; use one of " + String.join(", ", SigmaSchedules.names()),
                unknown.getMessage());
    }

    private static void assertSigmas(double relative, String expected, float[] actual) {
        double[] sigmas = Numbers.parse(expected);
        assertEquals(sigmas.length, actual.length);
        for (int i = 0; i < sigmas.length; i++) {
            assertEquals(sigmas[i], actual[i], relative * sigmas[i], "sigma " + i);
        }
    }
}
