package io.aquarelle;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.EditableModel;
import io.aquarelle.model.EditableModel.Tensor;
import io.aquarelle.model.Engine;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.ModelFormatException;
import io.aquarelle.model.ModelSpec;
import io.aquarelle.model.NanoModel;
import io.aquarelle.model.SpeedUpNet;
import io.aquarelle.model.UNet;
import io.aquarelle.model.UNet.Condition;
import io.aquarelle.model.Weights;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SpeedUpNetTest {
    /** diffusers' order of the small model's transformers: down, up, middle. */
    static final List<String> ORDER = List.of(
            "input_blocks.1.1",
            "input_blocks.2.1",
            "input_blocks.4.1",
            "input_blocks.5.1",
            "output_blocks.0.1",
            "output_blocks.1.1",
            "output_blocks.2.1",
            "output_blocks.3.1",
            "output_blocks.4.1",
            "output_blocks.5.1",
            "middle_block.1");

    @TempDir
    static Path folder;

    private static Pipeline pipeline;
    private static SpeedUpNet sun;

    @BeforeAll
    static void open() throws IOException {
        Path model = EditableModel.of("sd1-nano").withVocabulary().write(folder.resolve("nano.safetensors"));
        pipeline = Pipeline.open(model, EngineOptions.ofThreads(1));
        sun = pipeline.speedUpNet(adapter().write(folder.resolve("sun.safetensors")));
    }

    @AfterAll
    static void close() {
        pipeline.close();
    }

    /** The golden adapter under the names of the published file. */
    private static EditableModel adapter() throws IOException {
        EditableModel golden = EditableModel.of("sd1-nano-attention");
        EditableModel file = EditableModel.empty();
        for (int i = 0; i < ORDER.size(); i++) {
            String unit = ORDER.get(i) + ".transformer_blocks.0.attn2";
            for (var term : Map.of("neg", "neg.", "extra_pos", "pos.").entrySet()) {
                String from = term.getValue() + unit;
                String start = 2 * i + 1 + ".to_";
                file.tensors.put(start + "k_" + term.getKey() + ".weight", golden.tensors.get(from + ".k.weight"));
                file.tensors.put(start + "v_" + term.getKey() + ".weight", golden.tensors.get(from + ".v.weight"));
                file.tensors.put(start + "k_" + term.getKey() + "_alpha", golden.tensors.get(from + ".gain"));
                file.tensors.put(start + "k_" + term.getKey() + "_beta", golden.tensors.get(from + ".offset"));
            }
        }
        return file;
    }

    private static ImageRequest.Builder request() {
        return ImageRequest.builder("a red apple")
                .size(64, 64)
                .seed(5)
                .negativePrompt("blurry")
                .speedUp(sun);
    }

    private static byte[] draw(ImageRequest.Builder request) {
        return pipeline.generate(request.build()).getFirst().rgb();
    }

    @Test
    void outputsAreTheGoldenOnes() throws IOException {
        try (Checkpoint model = Checkpoint.open(NanoModel.golden("sd1-nano"));
                Checkpoint inputs = Checkpoint.open(NanoModel.golden("sd1-nano-golden"));
                Checkpoint golden = Checkpoint.open(NanoModel.golden("sd1-nano-attention"));
                Engine engine = Engine.create(EngineOptions.ofThreads(1));
                Weights weights = Weights.of(model);
                UNet unet = UNet.create(
                        engine,
                        weights,
                        ModelSpec.UNET_PREFIX,
                        ModelSpec.of(model).heads());
                SpeedUpNet net = SpeedUpNet.open(unet, folder.resolve("sun.safetensors"))) {
            Condition prompt = Condition.ofText(NanoModel.floats(inputs, "text.cond"), 77);
            Condition negative = Condition.ofText(NanoModel.floats(inputs, "text.uncond"), 77);
            float[] latent = NanoModel.floats(inputs, "unet.x.h24w8");
            float[] actual = unet.evaluate(
                            latent,
                            new float[] {321},
                            prompt,
                            24,
                            8,
                            List.of(),
                            List.of(),
                            List.of(),
                            net.terms(prompt, negative),
                            null)
                    .output();
            assertArrayEquals(NanoModel.floats(golden, "golden.sun"), actual, 1e-4f);
        }
    }

    @Test
    void drawsInFourTrailingCallsAndTakesTheNegativePrompt() {
        GeneratedImage image = pipeline.generate(request().build()).getFirst();
        assertEquals(4, image.unetCalls());
        assertEquals(
                List.of(999, 749, 499, 249),
                pipeline.explain(request().build()).stream()
                        .map(call -> Math.round(call.call().timestep()))
                        .toList());
        assertFalse(Arrays.equals(image.rgb(), draw(request().negativePrompt("sharp"))));
        assertFalse(Arrays.equals(image.rgb(), draw(request().speedUp(null).guidance(1))));
        // The prompts have roles.
        ImageRequest swapped = ImageRequest.builder("blurry")
                .size(64, 64)
                .seed(5)
                .negativePrompt("a red apple")
                .speedUp(sun)
                .build();
        assertFalse(
                Arrays.equals(image.rgb(), pipeline.generate(swapped).getFirst().rgb()));
        assertFalse(Arrays.equals(image.rgb(), draw(request().negativePrompt("blurry ".repeat(90)))));
        assertEquals(request().build(), request().build().toBuilder().build());
        assertEquals(7, request().steps(7).build().toBuilder().build().steps());
    }

    @Test
    void withoutGainsAndOffsetsItIsThePromptAlone() throws IOException {
        EditableModel silent = adapter();
        silent.tensors.replaceAll((name, tensor) -> name.endsWith("alpha") || name.endsWith("beta")
                ? new Tensor(tensor.shape(), new float[tensor.values().length])
                : tensor);
        SpeedUpNet nothing = pipeline.speedUpNet(silent.write(folder.resolve("silent.safetensors")));
        byte[] plain = draw(request().speedUp(null));
        assertArrayEquals(plain, draw(request().speedUp(nothing)));
    }

    @Test
    void equalTermsOfEqualPromptsCancel() throws IOException {
        EditableModel mirror = adapter();
        for (String name : List.copyOf(mirror.tensors.keySet())) {
            if (name.contains("extra_pos")) {
                mirror.tensors.put(name, mirror.tensors.get(name.replace("extra_pos", "neg")));
            }
        }
        SpeedUpNet cancelling = pipeline.speedUpNet(mirror.write(folder.resolve("mirror.safetensors")));
        byte[] plain = draw(request().speedUp(null));
        byte[] cancelled = draw(request().speedUp(cancelling).negativePrompt("a red apple"));
        for (int i = 0; i < plain.length; i++) {
            assertEquals(plain[i] & 0xff, cancelled[i] & 0xff, 1);
        }
        assertFalse(Arrays.equals(plain, draw(request().speedUp(cancelling))));
    }

    @Test
    void meaninglessMixesAreRefused() {
        assertRefused(request().guidance(7), "guidance 1");
        assertRefused(request().sampler("euler_cfg_pp"), "another sampler");
        try (Pipeline other = pipeline.share()) {
            var failure = assertThrows(
                    IllegalArgumentException.class,
                    () -> other.generate(request().build()));
            assertTrue(failure.getMessage().contains("another pipeline"), failure.getMessage());
        }
    }

    private static void assertRefused(ImageRequest.Builder request, String words) {
        ImageRequest asked = request.build();
        for (Runnable use : List.<Runnable>of(() -> pipeline.plan(asked), () -> pipeline.generate(asked))) {
            var failure = assertThrows(IllegalArgumentException.class, use::run);
            assertTrue(failure.getMessage().contains(words), failure.getMessage());
        }
    }

    @Test
    void wrongFilesAreRefusedWithTheTensorNamed() throws IOException {
        assertSame(sun, pipeline.speedUpNet(folder.resolve("sun.safetensors")));
        EditableModel lacking = adapter();
        lacking.tensors.remove("9.to_v_extra_pos.weight");
        assertRefused(lacking, "'9.to_v_extra_pos.weight'");
        EditableModel narrow = adapter();
        narrow.tensors.replaceAll((name, tensor) -> name.endsWith(".weight") ? tensor.narrowed(32) : tensor);
        assertRefused(narrow, "1.to_k_neg.weight");
        EditableModel odd = adapter();
        odd.tensors.put("3.to_k_neg_beta", odd.tensors.get("21.to_k_neg_beta"));
        assertRefused(odd, "input_blocks.2.1.transformer_blocks.0.attn2.offset");
        assertRefused(EditableModel.of("sd1-nano"), "1.to_k");
    }

    private static void assertRefused(EditableModel tensors, String name) throws IOException {
        Path file = tensors.write(folder.resolve("wrong.safetensors"));
        var failure = assertThrows(ModelFormatException.class, () -> pipeline.speedUpNet(file));
        assertTrue(failure.getMessage().startsWith(file.toString()), failure.getMessage());
        assertTrue(failure.getMessage().contains(name), failure.getMessage());
        assertEquals(1, failure.getMessage().lines().count());
    }
}
