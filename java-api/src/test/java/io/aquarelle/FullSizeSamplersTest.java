package io.aquarelle;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.model.CallControl;
import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.sampling.Samplers;
import io.aquarelle.sampling.SigmaSchedules;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Each sampler with each schedule on a model of full size, for some minutes by hand:
 * {@code aquarelle synth sd1 sd1.safetensors}, then {@code mvn -pl java-api -am test-compile surefire:test@default-test
 * -Dtest=FullSizeSamplersTest -Dsurefire.failIfNoSpecifiedTests=false -Daquarelle.model=$PWD/sd1.safetensors}.
 */
@EnabledIfSystemProperty(named = "aquarelle.model", matches = ".+", disabledReason = "it takes a model of full size")
class FullSizeSamplersTest {
    private static Model two; // threads
    private static Model one;

    @BeforeAll
    static void open() throws IOException {
        Path file = Path.of(System.getProperty("aquarelle.model"));
        two = Model.open(Checkpoint.open(file), EngineOptions.ofThreads(2), null);
        one = Model.open(Checkpoint.open(file), EngineOptions.ofThreads(1), null);
    }

    @AfterAll
    static void close() {
        two.close();
        one.close();
    }

    static List<String> samplers() {
        return Samplers.names();
    }

    @ParameterizedTest
    @MethodSource("samplers")
    void latentsAreNumbersWithEveryScheduleAndTheSameOnOneThread(String sampler) {
        for (String schedule : SigmaSchedules.names()) {
            float[] latent = latent(two, sampler, schedule);
            float least = Float.POSITIVE_INFINITY;
            float largest = Float.NEGATIVE_INFINITY;
            for (float value : latent) {
                assertTrue(Float.isFinite(value), schedule);
                least = Math.min(least, value);
                largest = Math.max(largest, value);
            }
            assertTrue(largest - least > 0.1, schedule + ": " + least + " to " + largest);
            if (schedule.equals(Samplers.defaultSchedule(sampler))) {
                assertArrayEquals(latent(one, sampler, schedule), latent, schedule);
            }
        }
    }

    private static float[] latent(Model model, String sampler, String schedule) {
        ImageRequest request = ImageRequest.builder("a red apple")
                .size(64, 64)
                .steps(3)
                .seed(7)
                .sampler(sampler)
                .schedule(schedule)
                .build();
        CallControl control = new CallControl();
        try (Pass pass = new Pass(model, Course.of(request, model).getFirst(), ProgressListener.NONE, control)) {
            pass.prepare(text(model, request.prompt(), control), text(model, "", control));
            return pass.sample(new Batch(0, 1)).latents().getFirst();
        }
    }

    private static TextEmbedding text(Model model, String prompt, CallControl control) {
        return TextEmbedding.of(prompt, model.networks().text(), new PromptWords(List.of()), 0, control);
    }
}
