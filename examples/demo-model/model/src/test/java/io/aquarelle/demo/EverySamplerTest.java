package io.aquarelle.demo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.ImageRequest;
import io.aquarelle.Pipeline;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.sampling.Samplers;
import io.aquarelle.sampling.SigmaSchedules;
import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Each sampler with each schedule on trained weights: a picture of numbers, the same on one thread and on two. */
class EverySamplerTest {
    private static Pipeline one;
    private static Pipeline two;

    @BeforeAll
    static void open() throws IOException {
        one = Pipeline.open(DemoModel.file(), EngineOptions.ofThreads(1));
        two = Pipeline.open(DemoModel.file(), EngineOptions.ofThreads(2));
    }

    @AfterAll
    static void close() {
        one.close();
        two.close();
    }

    static List<String> samplers() {
        return Samplers.names();
    }

    @ParameterizedTest
    @MethodSource("samplers")
    void drawsWithEverySchedule(String sampler) {
        for (String schedule : SigmaSchedules.names()) {
            byte[] picture = draw(two, sampler, schedule);
            int least = 255;
            int largest = 0;
            for (byte value : picture) {
                least = Math.min(least, value & 0xff);
                largest = Math.max(largest, value & 0xff);
            }
            assertTrue(largest - least > 30, schedule + ": a plain picture, " + least + " to " + largest);
            assertArrayEquals(draw(one, sampler, schedule), picture, schedule);
        }
    }

    /** Values that are no numbers would be an exception of the pipeline. */
    private static byte[] draw(Pipeline pipeline, String sampler, String schedule) {
        ImageRequest request = pipeline.request("red apple on a blue background")
                .size(64, 64)
                .steps(4)
                .seed(7)
                .sampler(sampler)
                .schedule(schedule)
                .build();
        return pipeline.generate(request).getFirst().rgb();
    }
}
