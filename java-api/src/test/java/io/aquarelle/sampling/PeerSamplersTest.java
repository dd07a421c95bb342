package io.aquarelle.sampling;

import static io.aquarelle.sampling.Numbers.assertClose;
import static io.aquarelle.sampling.Numbers.filled;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import io.aquarelle.sampling.DpmSdeSamplers.Correction;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

class PeerSamplersTest {
    /** A line of the resources. */
    private record Run(String peer, String name, String eta, String sigmas, String latent) {
        private static List<Run> read(String resource) {
            return Numbers.table(resource).stream()
                    .map(f -> new Run(f[0], f[1], f[2], f[3], f[4]))
                    .toList();
        }

        Sampler sampler() {
            double value = eta.equals("-") ? Double.NaN : Double.parseDouble(eta);
            return switch (name) {
                // The peers' noise is given; by name these draw a Brownian path.
                case "dpm++sde" -> DpmSdeSamplers.singlestep(value, BrownianMotion.WHITE);
                case "dpm++2m_sde_heun" -> DpmSdeSamplers.multistep2(value, Correction.HEUN, BrownianMotion.WHITE);
                case "dpm++3m_sde" -> DpmSdeSamplers.multistep3(value, BrownianMotion.WHITE);
                default ->
                    Samplers.byName(
                            name,
                            new SamplerOptions(
                                    eta.equals("-") ? null : (float) value, NoiseSchedule.stableDiffusion()));
            };
        }

        NoiseSource noise() {
            return name.equals("dpm++2m_sde_bt") ? RandomSources.philox(42) : Problems.sineNoise();
        }

        @Override
        public String toString() {
            return peer + " " + name + ", eta " + eta + ", sigmas " + sigmas;
        }
    }

    private static List<Run> runs() {
        return Stream.of("samplers.txt", "samplers-sdcpp.txt")
                .flatMap(resource -> Run.read(resource).stream())
                .toList();
    }

    @TestFactory
    Stream<DynamicTest> latentsEqualThoseOfThePeers() {
        return runs().stream()
                .map(run -> dynamicTest(run.toString(), () -> {
                    double[] levels = Numbers.parse(run.sigmas);
                    float[] sigmas = filled(levels.length, i -> levels[i]);
                    float[] latent = Problems.startingAt(sigmas[0]);
                    float[] sampled = run.sampler()
                            .sample(Problems.TWO_GAUSSIANS, latent, sigmas, run.noise(), StepListener.NONE);
                    assertClose(4e-6, run.latent, sampled);
                }));
    }

    @Test
    void everySamplerHasAPeer() {
        Set<String> missing = new TreeSet<>(Samplers.names());
        runs().forEach(run -> missing.remove(run.name));
        assertTrue(missing.isEmpty(), missing.toString());
    }
}
