package io.aquarelle;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.model.Adapter;
import io.aquarelle.model.AdapterFile;
import io.aquarelle.model.AdapterUse;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.ModelFormatException;
import io.aquarelle.model.NanoModel;
import io.aquarelle.model.TextualInversion;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Requests with adapters and textual inversions. */
class AdapterPipelineTest {
    @TempDir
    static Path folder;

    private static Path model;
    private static Pipeline pipeline;
    private static Adapter lora;
    private static Adapter student;

    @BeforeAll
    static void open() throws IOException {
        model = folder.resolve("nano.safetensors");
        NanoModel.writeDrawable(model);
        pipeline = Pipeline.open(model, EngineOptions.ofThreads(2));
        lora = Adapter.open(AdapterFile.golden("sd1-lora.safetensors"));
        AdapterFile baked = AdapterFile.of("sd1-lora.safetensors");
        baked.metadata.put("aquarelle.guidance", "7.5");
        student = Adapter.open(baked.write(folder.resolve("student.safetensors")));
    }

    @AfterAll
    static void close() {
        pipeline.close();
    }

    private static ImageRequest.Builder request(Adapter adapter, float scale) {
        return pipeline.request("a red apple")
                .size(64, 64)
                .steps(2)
                .seed(5)
                .adapters(List.of(new AdapterUse(adapter, scale)));
    }

    private static byte[] draw(Pipeline on, ImageRequest.Builder request) {
        return on.generate(request.build()).getFirst().rgb();
    }

    @Test
    void scalesChangeFromRequestToRequestWithoutATrace() throws IOException {
        byte[] plain = draw(pipeline, request(lora, 0).adapters(List.of()));
        byte[] half = draw(pipeline, request(lora, 0.5f));
        byte[] whole = draw(pipeline, request(lora, 1));
        assertFalse(Arrays.equals(plain, half));
        assertFalse(Arrays.equals(half, whole));
        assertArrayEquals(half, draw(pipeline, request(lora, 0.5f)));
        assertArrayEquals(plain, draw(pipeline, request(lora, 0)));
        assertArrayEquals(plain, draw(pipeline, request(lora, 1).adapters(List.of())));
        try (Pipeline fresh = Pipeline.open(model, EngineOptions.ofThreads(2))) {
            assertArrayEquals(half, draw(fresh, request(lora, 0.5f)));
        }
        try (Pipeline shared = pipeline.share()) {
            assertArrayEquals(plain, draw(shared, request(lora, 0)));
            assertArrayEquals(whole, draw(shared, request(lora, 1)));
        }
        byte[] text = draw(pipeline, request(lora, 1).adapters(List.of(new AdapterUse(lora, 0, 1))));
        byte[] unet = draw(pipeline, request(lora, 1).adapters(List.of(new AdapterUse(lora, 1, 0))));
        assertFalse(Arrays.equals(text, unet));
        assertFalse(Arrays.equals(text, plain));
    }

    @Test
    void consistencySamplerDrawsWithoutGuidance() {
        var request = request(lora, 1).sampler("lcm").guidance(1).build();
        GeneratedImage image = pipeline.generate(request).getFirst();
        assertEquals(2, image.unetCalls());
        assertTrue(image.infotext().contains("<lora:sd1-lora:1>"), image.infotext());
    }

    @Test
    void bakedGuidanceIsOneCallAStep() {
        assertEquals(7.5f, student.bakedGuidance());
        assertEquals(
                2, pipeline.generate(request(student, 1).build()).getFirst().unetCalls());
        byte[] expected = draw(pipeline, request(lora, 1).guidance(1));
        assertArrayEquals(expected, draw(pipeline, request(student, 1)));
        assertArrayEquals(expected, draw(pipeline, request(student, 1).guidance(7.5f)));
        assertEquals(
                4, pipeline.generate(request(student, 0).build()).getFirst().unetCalls());
    }

    @Test
    void bakedGuidanceWithOthersIsRefused() {
        String guidance = assertThrows(
                        IllegalArgumentException.class,
                        () -> request(student, 1).guidance(5).build())
                .getMessage();
        assertTrue(guidance.contains("guidance is 5.0") && guidance.contains("student.safetensors"), guidance);
        String negative = assertThrows(
                        IllegalArgumentException.class,
                        () -> request(student, 1).negativePrompt("blurry").build())
                .getMessage();
        assertTrue(negative.contains("negative prompt") && negative.contains("student.safetensors"), negative);
    }

    @Test
    void anAdapterOfAnotherModelIsRefusedAndChangesNothing() throws IOException {
        Adapter other = Adapter.open(AdapterFile.golden("sdxl-lora.safetensors"));
        byte[] plain = draw(pipeline, request(lora, 0));
        assertThrows(ModelFormatException.class, () -> pipeline.unused(other));
        IllegalArgumentException e =
                assertThrows(IllegalArgumentException.class, () -> draw(pipeline, request(other, 1)));
        assertTrue(e.getMessage().contains("sdxl-lora.safetensors"), e.getMessage());
        assertArrayEquals(plain, draw(pipeline, request(lora, 0)));
        assertEquals(List.of(), pipeline.unused(lora));
    }

    @Test
    void wordsCountWhereThePromptHasThem() throws IOException {
        TextualInversion word = TextualInversion.open(AdapterFile.golden("sd1-word.safetensors"), "apple");
        TextualInversion fruit = TextualInversion.open(AdapterFile.golden("sd1-word.pt"), "app");
        byte[] plain = draw(pipeline, request(lora, 0));
        byte[] with = draw(pipeline, request(lora, 0).words(List.of(word)));
        assertFalse(Arrays.equals(plain, with));
        assertArrayEquals(plain, draw(pipeline, request(lora, 0).words(List.of(fruit)))); // within another word
        assertArrayEquals(with, draw(pipeline, request(lora, 0).words(List.of(fruit, word))));
        byte[] negative = draw(pipeline, request(lora, 0).words(List.of(word)).negativePrompt("APPLE, blurry"));
        byte[] without = draw(pipeline, request(lora, 0).negativePrompt("APPLE, blurry"));
        assertFalse(Arrays.equals(negative, without));
    }
}
