package io.aquarelle;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.EditableModel;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.ImageAdapter;
import io.aquarelle.model.ModelFormatException;
import io.aquarelle.model.NanoModel;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** IP-Adapters. What their terms do in attention is tested against golden data in the native tests. */
class ImagePromptTest {
    private static final int HEADS = 4;

    @TempDir
    static Path folder;

    private static Pipeline pipeline;
    private static Path encoder;
    private static ImageAdapter adapter;
    private static ImageAdapter plus;

    @BeforeAll
    static void open() throws IOException {
        Path model = EditableModel.of("sd1-nano").withVocabulary().write(folder.resolve("nano.safetensors"));
        encoder = tensors(true).write(folder.resolve("encoder.safetensors"));
        pipeline = Pipeline.open(model, EngineOptions.ofThreads(1));
        adapter = pipeline.imageAdapter(tensors(false).write(folder.resolve("ip.safetensors")), encoder, HEADS);
        plus = pipeline.imageAdapter(plus().write(folder.resolve("plus.safetensors")), encoder, HEADS);
    }

    @AfterAll
    static void close() {
        pipeline.close();
    }

    /** The golden image tower, or the adapter under the names of published files. */
    private static EditableModel tensors(boolean tower) throws IOException {
        EditableModel golden = EditableModel.of("image-nano");
        golden.tensors.keySet().removeIf(name -> tower == name.startsWith("image_proj."));
        if (!tower) {
            EditableModel attention = EditableModel.of("sd1-nano-attention");
            for (int i = 0; i < SpeedUpNetTest.ORDER.size(); i++) {
                String unit = "ip." + SpeedUpNetTest.ORDER.get(i) + ".transformer_blocks.0.attn2.";
                String to = "ip_adapter." + (2 * i + 1) + ".to_";
                golden.tensors.put(to + "k_ip.weight", attention.tensors.get(unit + "k.weight"));
                golden.tensors.put(to + "v_ip.weight", attention.tensors.get(unit + "v.weight"));
            }
        }
        return golden;
    }

    /** The same with the Resampler of a Plus in place of the projection. */
    private static EditableModel plus() throws IOException {
        EditableModel plus = tensors(false);
        plus.tensors.keySet().removeIf(name -> name.startsWith("image_proj."));
        plus.tensors.putAll(EditableModel.of("image-nano-plus").tensors);
        return plus;
    }

    private static Picture picture(int shift) {
        byte[] rgb = new byte[3 * 16 * 16];
        for (int i = 0; i < rgb.length; i++) {
            int p = i / 3;
            rgb[i] = (byte) Math.round((i % 3 * 7 + (p / 16 + shift) * 13 + p % 16 * 29) % 64 * 255 / 63.0);
        }
        return Picture.of(16, 16, rgb);
    }

    private static byte[] draw(ImagePrompt... prompts) {
        return pipeline.generate(ImageRequest.builder("a red apple")
                        .size(64, 64)
                        .steps(4)
                        .seed(5)
                        .imagePrompts(List.of(prompts))
                        .build())
                .getFirst()
                .rgb();
    }

    private static float[] planes() {
        float[] planes = new float[3 * 16 * 16];
        for (int i = 0; i < planes.length; i++) {
            planes[i] = (i / 256 * 7 + i / 16 % 16 * 13 + i % 16 * 29) % 64 / 63f;
        }
        return planes;
    }

    @Test
    void tokensOfAPictureAndOfNoneAreTheGoldenOnes() throws IOException {
        try (Checkpoint golden = Checkpoint.open(NanoModel.golden("image-nano"))) {
            assertArrayEquals(NanoModel.floats(golden, "golden.tokens"), adapter.tokens(planes(), null), 1e-4f);
            assertArrayEquals(NanoModel.floats(golden, "golden.nothing"), adapter.tokens(null, null), 1e-5f);
        }
    }

    @Test
    void tokensOfAPlusAreTheGoldenOnes() throws IOException {
        try (Checkpoint golden = Checkpoint.open(NanoModel.golden("image-nano-plus"))) {
            assertArrayEquals(NanoModel.floats(golden, "golden.tokens"), plus.tokens(planes(), null), 1e-4f);
            assertArrayEquals(NanoModel.floats(golden, "golden.nothing"), plus.tokens(null, null), 1e-4f);
        }
        byte[] guided = draw(ImagePrompt.of(plus, picture(0)));
        assertFalse(Arrays.equals(draw(), guided));
        assertFalse(Arrays.equals(guided, draw(ImagePrompt.of(adapter, picture(0)))));
    }

    @Test
    void wrongResamplersAreRefused() throws IOException {
        EditableModel lacking = plus();
        lacking.tensors.remove("image_proj.layers.1.0.to_kv.weight");
        assertNamed(lacking, "image_proj.layers.1.0.to_kv.weight");
        EditableModel uneven = plus();
        uneven.tensors.replaceAll((name, tensor) -> name.endsWith("to_q.weight")
                ? new EditableModel.Tensor(List.of(96L, 48L), new float[96 * 48])
                : tensor);
        assertNamed(uneven, "image_proj.layers.0.0.to_q.weight");
        EditableModel other = plus();
        other.tensors.put("image_proj.proj_in.weight", other.tensors.get("image_proj.layers.0.0.to_q.weight"));
        assertNamed(other, "image_proj.proj_in.weight");
        EditableModel wide = plus();
        wide.tensors.put(
                "image_proj.proj_out.weight", new EditableModel.Tensor(List.of(128L, 48L), new float[128 * 48]));
        for (String name : List.of("proj_out.bias", "norm_out.weight", "norm_out.bias")) {
            wide.tensors.put("image_proj." + name, new EditableModel.Tensor(List.of(128L), new float[128]));
        }
        assertRefused(wide, "image_proj.norm_out.weight");
        EditableModel flat = plus();
        flat.tensors.put("image_proj.latents", flat.tensors.get("image_proj.norm_out.bias"));
        assertNamed(flat, "image_proj.latents");
    }

    private static void assertNamed(EditableModel tensors, String name) throws IOException {
        Path file = tensors.write(folder.resolve("wrong.safetensors"));
        var failure = assertThrows(ModelFormatException.class, () -> pipeline.imageAdapter(file, encoder, HEADS));
        assertTrue(failure.getMessage().contains("'" + name + "'"), failure.getMessage());
    }

    @Test
    void picturesGuideTheDrawingAsFarAsAskedFor() {
        byte[] plain = draw();
        assertArrayEquals(plain, draw(new ImagePrompt(adapter, picture(0), 0, 0, 1)));
        assertArrayEquals(plain, draw(new ImagePrompt(adapter, picture(0), 1, 0, 0.1f)));
        byte[] guided = draw(ImagePrompt.of(adapter, picture(0)));
        assertFalse(Arrays.equals(plain, guided));
        assertFalse(Arrays.equals(guided, draw(ImagePrompt.of(adapter, picture(3)))));
        assertFalse(Arrays.equals(guided, draw(new ImagePrompt(adapter, picture(0), 1, 0.5f, 1))));
        assertFalse(
                Arrays.equals(guided, draw(ImagePrompt.of(adapter, picture(0)), ImagePrompt.of(adapter, picture(3)))));
        assertArrayEquals(guided, draw(ImagePrompt.of(adapter, picture(0))));
    }

    @Test
    void wrongFilesAndMixesAreRefused() throws IOException {
        assertSame(adapter, pipeline.imageAdapter(folder.resolve("ip.safetensors"), encoder, HEADS));
        EditableModel lacking = tensors(false);
        lacking.tensors.remove("ip_adapter.5.to_v_ip.weight");
        assertRefused(lacking, "'ip_adapter.5.to_v_ip.weight'");
        EditableModel other = tensors(false);
        other.tensors.put("image_proj.proj.weight", other.tensors.get("image_proj.norm.bias"));
        assertRefused(other, "another image encoder");
        assertRefused(EditableModel.of("sd1-nano"), "ip_adapter.1.to_k_ip.weight");
        assertThrows(
                ModelFormatException.class,
                () -> pipeline.imageAdapter(folder.resolve("ip.safetensors"), folder.resolve("nano.safetensors"), 0));
        try (Pipeline shared = pipeline.share()) {
            ImageRequest request = ImageRequest.builder("x")
                    .imagePrompts(List.of(ImagePrompt.of(adapter, picture(0))))
                    .build();
            assertThrows(IllegalArgumentException.class, () -> shared.generate(request));
        }
        assertThrows(IllegalArgumentException.class, () -> new ImagePrompt(adapter, picture(0), -1, 0, 1));
        assertThrows(IllegalArgumentException.class, () -> new ImagePrompt(adapter, picture(0), 1, 0.5f, 0.2f));
    }

    private static void assertRefused(EditableModel tensors, String words) throws IOException {
        Path file = tensors.write(folder.resolve("wrong.safetensors"));
        var failure = assertThrows(ModelFormatException.class, () -> pipeline.imageAdapter(file, encoder, HEADS));
        assertTrue(failure.getMessage().startsWith(file.toString()), failure.getMessage());
        assertTrue(failure.getMessage().contains(words), failure.getMessage());
    }
}
