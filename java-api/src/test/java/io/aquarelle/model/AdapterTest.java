package io.aquarelle.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.model.AdaptedNetworks.Result;
import io.aquarelle.model.EditableModel.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Adapters against what PyTorch computed with the changes written out, and all ways to have the same one. */
class AdapterTest extends EngineTest {
    private static final float SCALE = 0.7f;
    private static final float LYCORIS_SCALE = 0.6f;

    private AdaptedNetworks nano(String family) throws IOException {
        return new AdaptedNetworks(engine, family, Checkpoint.open(NanoModel.golden(family + "-nano")));
    }

    private static Path golden(String name) {
        return AdapterFile.golden(name + ".safetensors");
    }

    private static void assertGolden(String family, String what, Result actual, double limit) throws IOException {
        try (Checkpoint expected = Checkpoint.open(golden(family + "-adapted"))) {
            AdaptedNetworks.assertClose(NanoModel.floats(expected, what + ".text"), actual.text(), limit);
            AdaptedNetworks.assertClose(NanoModel.floats(expected, what + ".eps"), actual.eps(), limit);
        }
    }

    private static void assertSame(Result expected, Result actual) {
        assertArrayEquals(expected.text(), actual.text());
        assertArrayEquals(expected.eps(), actual.eps());
    }

    @ParameterizedTest
    @ValueSource(strings = {"sd1", "sd2", "sdxl"})
    void aLoraOfEveryLayerGivesWhatPyTorchGives(String family) throws IOException {
        try (AdaptedNetworks nano = nano(family)) {
            assertGolden(family, "lora", nano.adapted(golden(family + "-lora"), SCALE), 1e-4);
        }
    }

    @Test
    void allKindsOfLycorisGiveWhatPyTorchGives() throws IOException {
        try (AdaptedNetworks nano = nano("sd1")) {
            assertGolden("sd1", "lycoris", nano.adapted(golden("sd1-lycoris"), LYCORIS_SCALE), 1e-3);
        }
    }

    @ParameterizedTest
    @CsvSource({"sd1, lora, 0.7", "sd1, lycoris, 0.6", "sd2, lora, 0.7", "sdxl, lora, 0.7"})
    void mergedGivesTheSame(String family, String adapter, float scale) throws IOException {
        AdapterUse use = new AdapterUse(Adapter.open(golden(family + "-" + adapter)), scale);
        Path file = folder.resolve("merged.safetensors");
        Checkpoint merged;
        // Rounding merged weights to the F16 of the file alone costs more than the limit: these changes are as large as
        // the weights.
        try (Checkpoint plain = Checkpoint.open(NanoModel.golden(family + "-nano"));
                Checkpoint wide = Conversion.load(plain, StoredTypes.of(DataType.F32), (bytes, total) -> {})) {
            merged = AdapterMerge.of(wide, List.of(use));
        }
        Conversion.write(merged, StoredTypes.unchanged(), file, (bytes, total) -> {});
        try (AdaptedNetworks inMemory = new AdaptedNetworks(engine, family, merged);
                AdaptedNetworks written = new AdaptedNetworks(engine, family, Checkpoint.open(file))) {
            assertGolden(family, adapter, inMemory.run(), 1e-3);
            assertSame(inMemory.run(), written.run());
        }
    }

    @Test
    void quantisedWeightsGiveTheSameBothWays() throws IOException {
        try (Checkpoint plain = Checkpoint.open(NanoModel.golden("sd1-nano"))) {
            Checkpoint quantised = Conversion.load(plain, StoredTypes.of(DataType.Q4_0), (bytes, total) -> {});
            for (String name : List.of("sd1-lora", "sd1-lycoris")) {
                Adapter adapter = Adapter.open(golden(name));
                Checkpoint merged = AdapterMerge.of(quantised, List.of(new AdapterUse(adapter, SCALE)));
                try (AdaptedNetworks beside = new AdaptedNetworks(engine, "sd1", quantised.retain());
                        AdaptedNetworks inside = new AdaptedNetworks(engine, "sd1", merged)) {
                    Result base = beside.run();
                    Result expected = inside.run();
                    Result actual = beside.adapted(adapter.path(), SCALE);
                    AdaptedNetworks.assertClose(expected.text(), actual.text(), 1e-3);
                    AdaptedNetworks.assertClose(expected.eps(), actual.eps(), 1e-3);
                    assertFalse(Arrays.equals(base.eps(), actual.eps()));
                }
            }
            quantised.close();
        }
    }

    private static final String DOWN = ".lora_A.weight";
    private static final String UP = ".lora_B.weight";

    private static UnaryOperator<String> endings(String down, String up) {
        return name -> name.replace(DOWN, down).replace(UP, up);
    }

    /** kohya's names of modules: underscores in place of dots but before the part. */
    private static String kohya(String name, String second) {
        String flat = endings("|.lora_down.weight", "|.lora_up.weight").apply(name);
        String module = flat.substring(0, flat.indexOf('|'))
                .replaceFirst("^unet\\.", "lora_unet_")
                .replaceFirst("^text_encoder_2\\.", "lora_te2_")
                .replaceFirst("^text_encoder\\.", second)
                .replace('.', '_');
        return module + flat.substring(flat.indexOf('|') + 1);
    }

    /** CompVis' names of a UNet's modules, by the numbers of models with two layers a level. */
    private static String compVis(String name) {
        String renamed = name;
        renamed = replace(
                renamed,
                "^down_blocks\\.(\\d)\\.downsamplers\\.0\\.conv",
                m -> "input_blocks." + (3 * number(m, 1) + 3) + ".0.op");
        renamed = replace(
                renamed,
                "^down_blocks\\.(\\d)\\.(resnets|attentions)\\.(\\d)",
                m -> "input_blocks." + (3 * number(m, 1) + number(m, 3) + 1)
                        + (m.group(2).equals("resnets") ? ".0" : ".1"));
        renamed = replace(
                renamed,
                "^up_blocks\\.(\\d)\\.upsamplers\\.0\\.conv",
                m -> "output_blocks." + (3 * number(m, 1) + 2) + ".2.conv");
        renamed = replace(
                renamed,
                "^up_blocks\\.(\\d)\\.(resnets|attentions)\\.(\\d)",
                m -> "output_blocks." + (3 * number(m, 1) + number(m, 3))
                        + (m.group(2).equals("resnets") ? ".0" : ".1"));
        renamed = renamed.replaceFirst("^mid_block\\.attentions\\.0", "middle_block.1")
                .replaceFirst("^mid_block\\.resnets\\.0", "middle_block.0")
                .replaceFirst("^mid_block\\.resnets\\.1", "middle_block.2");
        return renamed.replace("conv_in.", "input_blocks.0.0.")
                .replace("conv_out.", "out.2.")
                .replace("time_embedding.linear_1.", "time_embed.0.")
                .replace("time_embedding.linear_2.", "time_embed.2.")
                .replace("add_embedding.linear_1.", "label_emb.0.0.")
                .replace("add_embedding.linear_2.", "label_emb.0.2.")
                .replace(".conv1.", ".in_layers.2.")
                .replace(".conv2.", ".out_layers.3.")
                .replace(".time_emb_proj.", ".emb_layers.1.")
                .replace(".conv_shortcut.", ".skip_connection.");
    }

    private static String replace(String name, String pattern, java.util.function.Function<MatchResult, String> to) {
        return Pattern.compile(pattern).matcher(name).replaceFirst(to);
    }

    private static int number(MatchResult match, int group) {
        return Integer.parseInt(match.group(group));
    }

    @ParameterizedTest
    @ValueSource(strings = {"sd1", "sd2", "sdxl"})
    void oneLoraInAllLayoutsGivesIdenticalResults(String family) throws IOException {
        AdapterFile peft = AdapterFile.of(family + "-lora.safetensors");
        String first = family.equals("sdxl") ? "lora_te1_" : "lora_te_";
        List<AdapterFile> layouts = List.of(
                peft.renamed(name -> kohya(name, first)),
                peft.renamed(name -> kohya(name, first)).withAlpha(".lora_down.weight"),
                peft.renamed(name -> name.startsWith("unet.")
                        ? kohya("unet." + compVis(name.substring("unet.".length())), first)
                        : kohya(name, first)),
                peft.renamed(name -> name.startsWith("unet.")
                        ? "model.diffusion_model." + compVis(name.substring("unet.".length()))
                        : name),
                peft.renamed(endings(".lora.down.weight", ".lora.up.weight")),
                peft.renamed(name -> name.startsWith("text_")
                        ? endings(".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight")
                                .apply(name)
                        : name),
                peft.renamed(endings(".lora_A.default.weight", ".lora_B.default.weight")),
                peft.renamed(name -> name.replace("unet.", "unet.base_model.model.")),
                peft.renamed(name -> kohya(name, first).replace("lora_unet_", "lycoris_")));
        try (AdaptedNetworks nano = nano(family)) {
            Result expected = nano.adapted(golden(family + "-lora"), SCALE);
            for (int i = 0; i < layouts.size(); i++) {
                Path file = layouts.get(i).write(folder.resolve(i + ".safetensors"));
                assertSame(expected, nano.adapted(file, SCALE));
            }
        }
    }

    @Test
    void oldAttentionProcessorsGiveIdenticalResults() throws IOException {
        AdapterFile attention = AdapterFile.of("sd1-lora.safetensors")
                .renamed(name -> name.matches("unet\\..*\\.attn[12]\\.to_.*") ? name : null);
        UnaryOperator<String> old = name -> endings("_lora.down.weight", "_lora.up.weight")
                .apply(name.replace("to_out.0", "to_out").replaceFirst("(attn[12])\\.", "$1.processor."));
        try (AdaptedNetworks nano = nano("sd1")) {
            Result expected = nano.adapted(attention.write(folder.resolve("new.safetensors")), SCALE);
            Path prefixed = attention.renamed(old).write(folder.resolve("old.safetensors"));
            assertSame(expected, nano.adapted(prefixed, SCALE));
            Path bare = attention
                    .renamed(name -> old.apply(name).replaceFirst("^unet\\.", ""))
                    .write(folder.resolve("bare.safetensors"));
            assertSame(expected, nano.adapted(bare, SCALE));
        }
    }

    @Test
    void alphaOverRankScales() throws IOException {
        AdapterFile peft = AdapterFile.of("sd2-lora.safetensors"); // of rank 1
        AdapterFile kohya = peft.renamed(name -> kohya(name, "lora_te_")).withAlpha(".lora_down.weight");
        kohya.tensors.replaceAll(
                (name, tensor) -> name.endsWith(".alpha") ? new Tensor(List.of(), new float[] {0.25f}) : tensor);
        peft.metadata.put("lora_adapter_metadata", "{\"unet.lora_alpha\": 0.25, \"text_encoder.lora_alpha\": 0.25}");
        try (AdaptedNetworks nano = nano("sd2")) {
            Result expected = nano.adapted(golden("sd2-lora"), 0.25f);
            assertSame(expected, nano.adapted(kohya.write(folder.resolve("kohya.safetensors")), 1));
            assertSame(expected, nano.adapted(peft.write(folder.resolve("peft.safetensors")), 1));
        }
    }

    @Test
    void severalAddUpAndLeaveNoTrace() throws IOException {
        try (AdaptedNetworks nano = nano("sd1");
                FittedAdapter lora = FittedAdapter.of(Adapter.open(golden("sd1-lora")), nano.model);
                FittedAdapter lycoris = FittedAdapter.of(Adapter.open(golden("sd1-lycoris")), nano.model)) {
            Result plain = nano.run();
            nano.adapt(List.of(lora, lora), List.of(0.3f, 0.4f));
            Result twice = nano.run();
            nano.adapt(List.of(lora), List.of(SCALE));
            AdaptedNetworks.assertClose(twice.eps(), nano.run().eps(), 1e-5);
            nano.adapt(List.of(lora, lycoris), List.of(SCALE, 0.6f));
            Result both = nano.run();
            nano.adapt(List.of(lycoris, lora), List.of(0.6f, SCALE));
            AdaptedNetworks.assertClose(both.eps(), nano.run().eps(), 1e-3);
            nano.adapt(List.of(), List.of());
            assertSame(plain, nano.run());
        }
    }

    @Test
    void whatTheModelLacksIsListed() throws IOException {
        AdapterFile file = AdapterFile.of("sd1-lora.safetensors");
        Tensor some = new Tensor(List.of(1L, 2L), new float[] {1, 2});
        file.tensors.put("unet.down_blocks.7.conv.lora_A.weight", some);
        file.tensors.put("unet.down_blocks.7.conv.lora_B.weight", new Tensor(List.of(2L, 1L), new float[] {1, 2}));
        file.tensors.put("lora_unet_conv_in.oft_blocks", some);
        try (Checkpoint model = Checkpoint.open(NanoModel.golden("sd1-nano"));
                FittedAdapter fitted =
                        FittedAdapter.of(Adapter.open(file.write(folder.resolve("a.safetensors"))), model)) {
            assertEquals(
                    List.of(
                            "lora_unet_conv_in.oft_blocks",
                            "unet.down_blocks.7.conv.lora_B.weight",
                            "unet.down_blocks.7.conv.lora_A.weight"),
                    fitted.unused());
        }
    }

    private static final String ONE = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q";

    private void assertRefused(AdapterFile file, String... words) throws IOException {
        Path path = file.write(folder.resolve("wrong.safetensors"));
        try (Checkpoint model = Checkpoint.open(NanoModel.golden("sd1-nano"))) {
            ModelFormatException e = assertThrows(
                    ModelFormatException.class,
                    () -> FittedAdapter.of(Adapter.open(path), model).close());
            for (String word : words) {
                assertTrue(e.getMessage().contains(word), e.getMessage());
            }
            assertTrue(e.getMessage().startsWith(path.toString()), e.getMessage());
            assertEquals(1, e.getMessage().lines().count());
        }
    }

    @Test
    void aHalfAloneIsRefused() throws IOException {
        for (String half : List.of(DOWN, UP)) {
            AdapterFile file = AdapterFile.of("sd1-lora.safetensors");
            file.tensors.remove(ONE + half);
            assertRefused(file, ONE + (half.equals(DOWN) ? UP : DOWN), "half");
        }
        for (String part : List.of("hada_w1_a", "hada_w2_b", "hada_t1", "lokr_w2_a", "lokr_w1", "lora_mid.weight")) {
            AdapterFile file = AdapterFile.of("sd1-lycoris.safetensors");
            String gone = file.tensors.keySet().stream()
                    .filter(it -> it.endsWith("." + part))
                    .filter(it -> !part.equals("lora_mid.weight"))
                    .findFirst()
                    .orElse(null);
            if (gone != null) {
                file.tensors.remove(gone);
                assertRefused(file, gone.substring(0, gone.indexOf('.')));
            }
        }
    }

    @Test
    void ranksThatDifferAreRefused() throws IOException {
        AdapterFile file = AdapterFile.of("sd1-lora.safetensors");
        long inputs = file.tensors.get(ONE + DOWN).shape().getLast();
        file.tensors.put(ONE + DOWN, new Tensor(List.of(5L, inputs), new float[5 * (int) inputs]));
        assertRefused(file, ONE + DOWN, ONE + UP, "rank");
    }

    @Test
    void valuesThatAreNoNumbersAreRefused() throws IOException {
        for (float wrong : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
            AdapterFile file = AdapterFile.of("sd1-lora.safetensors");
            file.tensors.get(ONE + UP).values()[3] = wrong;
            assertRefused(file, ONE + UP, "numbers");
        }
        AdapterFile file = AdapterFile.of("sd1-lora.safetensors");
        file.tensors.put(ONE + ".alpha", new Tensor(List.of(), new float[] {Float.NaN}));
        assertRefused(file, ONE + ".alpha");
    }

    @Test
    void shapesOfOtherModelsAreRefused() throws IOException {
        assertRefused(AdapterFile.of("sdxl-lora.safetensors"), "attn2.to_", "another kind of model");
        AdapterFile file = AdapterFile.of("sd1-lora.safetensors");
        int rank = Math.toIntExact(file.tensors.get(ONE + UP).shape().getLast());
        file.tensors.put(ONE + UP, new Tensor(List.of(96L, (long) rank), new float[96 * rank]));
        assertRefused(file, ONE + UP, "[96, " + rank + "]", "[64, 64]");
        AdapterFile lycoris = AdapterFile.of("sd1-lycoris.safetensors");
        String factor = lycoris.tensors.keySet().stream()
                .filter(it -> it.endsWith(".lokr_w1"))
                .findFirst()
                .orElseThrow();
        lycoris.tensors.put(factor, new Tensor(List.of(3L, 3L), new float[9]));
        assertRefused(lycoris, factor);
    }

    @Test
    void whatIsNoAdapterIsRefused() throws IOException {
        assertRefused(AdapterFile.of("sd1-word.safetensors"), "no adapter");
        AdapterFile file = AdapterFile.of("sd1-lora.safetensors").renamed(name -> "transformer.single_blocks." + name);
        assertRefused(file, "another kind of model");
        Path model = NanoModel.golden("sd1-nano");
        assertThrows(ModelFormatException.class, () -> Adapter.open(model));
        Path missing = folder.resolve("missing.safetensors");
        assertTrue(assertThrows(java.nio.file.NoSuchFileException.class, () -> Adapter.open(missing))
                .getMessage()
                .contains(missing.toString()));
        Path odd = folder.resolve("odd.safetensors");
        Files.writeString(odd, "no adapter at all");
        assertThrows(ModelFormatException.class, () -> Adapter.open(odd));
    }

    @ParameterizedTest
    @CsvSource({"sd1, sd1-word.safetensors", "sd1, sd1-word.pt", "sd1, sd1-word.bin", "sdxl, sdxl-word.safetensors"})
    void wordsGiveWhatPyTorchGives(String family, String file) throws IOException {
        try (AdaptedNetworks nano = nano(family);
                Checkpoint expected = Checkpoint.open(golden(family + "-adapted"))) {
            TextualInversion word = TextualInversion.open(AdapterFile.golden(file));
            assertEquals(file.substring(0, file.indexOf('.')), word.word());
            assertEquals(2, word.count());
            float[][] vectors = new float[nano.text.size()][];
            for (int i = 0; i < vectors.length; i++) {
                vectors[i] = word.vectors(nano.text, i);
            }
            UnaryOperator<int[]> ids = plain -> {
                int[] changed = plain.clone();
                changed[3] = nano.text.getFirst().vocabulary();
                changed[4] = changed[3] + 1;
                return changed;
            };
            AdaptedNetworks.assertClose(
                    NanoModel.floats(expected, "word.text"),
                    nano.run(ids, vectors).text(),
                    1e-4);
            assertNotEquals(0, nano.run().text()[0]);
        }
    }

    @Test
    void wordsOfOtherWidthsAreRefused() throws IOException {
        AdapterFile wide = new AdapterFile();
        wide.tensors.put("emb_params", new Tensor(List.of(2L, 32L), new float[64]));
        TextualInversion word = TextualInversion.open(wide.write(folder.resolve("wide.safetensors")));
        TextualInversion single = TextualInversion.open(golden("sd1-word"));
        try (AdaptedNetworks sd1 = nano("sd1");
                AdaptedNetworks xl = nano("sdxl")) {
            String message = assertThrows(IllegalArgumentException.class, () -> word.vectors(sd1.text, 0))
                    .getMessage();
            assertTrue(
                    message.contains("wide.safetensors") && message.contains("32") && message.contains("64"), message);
            assertThrows(IllegalArgumentException.class, () -> single.vectors(xl.text, 0));
        }
        AdapterFile uneven = new AdapterFile();
        uneven.tensors.put("clip_l", new Tensor(List.of(2L, 64L), new float[128]));
        uneven.tensors.put("clip_g", new Tensor(List.of(1L, 64L), new float[64]));
        Path file = uneven.write(folder.resolve("uneven.safetensors"));
        assertThrows(ModelFormatException.class, () -> TextualInversion.open(file));
        AdapterFile broken = new AdapterFile();
        broken.tensors.put("emb_params", new Tensor(List.of(1L, 2L), new float[] {1, Float.NaN}));
        Path nan = broken.write(folder.resolve("nan.safetensors"));
        assertThrows(ModelFormatException.class, () -> TextualInversion.open(nan));
        assertThrows(ModelFormatException.class, () -> TextualInversion.open(golden("sd1-lora")));
    }
}
