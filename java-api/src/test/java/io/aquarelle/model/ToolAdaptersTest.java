package io.aquarelle.model;

import static io.aquarelle.model.AdaptedNetworks.assertClose;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.model.AdaptedNetworks.Result;
import io.aquarelle.model.EditableModel.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.IntUnaryOperator;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Files that other programs wrote against what these programs compute with them; see make_adapters.py. */
class ToolAdaptersTest extends EngineTest {
    private static Path file(String name) {
        Path whole = AdapterFile.golden("tools-golden.safetensors").resolveSibling(name);
        return Files.isDirectory(whole)
                ? whole.resolve("adapter_model.safetensors")
                : whole.resolveSibling(name + ".safetensors");
    }

    private AdaptedNetworks nano() throws IOException {
        return new AdaptedNetworks(engine, "sd1", Checkpoint.open(NanoModel.golden("sd1-nano")));
    }

    private static void assertGolden(String name, Result actual, double limit) throws IOException {
        try (Checkpoint expected = Checkpoint.open(AdapterFile.golden("tools-golden.safetensors"))) {
            assertClose(NanoModel.floats(expected, name + ".text"), actual.text(), limit);
            assertClose(NanoModel.floats(expected, name + ".eps"), actual.eps(), limit);
        }
    }

    /** Thin products are exact; what is none becomes F16 as the model's weights are. */
    @ParameterizedTest
    @CsvSource({
        "peft-patterns, 1e-4",
        "peft-bias, 1e-4",
        "peft-dora, 2e-3",
        "peft-lokr, 2e-3",
        "lycoris-locon, 1e-4",
        "lycoris-tucker, 1e-4",
        "lycoris-loha, 2e-3",
        "lycoris-lokr, 2e-3",
        "lycoris-whole, 2e-3",
        "lycoris-dora, 2e-3",
        "lycoris-dora-inputs, 2e-3",
        "lycoris-full, 2e-3",
        "numbered, 1e-4",
        "numbered-convolutions, 1e-4"
    })
    void filesOfOtherProgramsGiveWhatTheseGive(String name, double limit) throws IOException {
        try (AdaptedNetworks nano = nano()) {
            assertGolden(name, nano.adapted(file(name), 1), limit);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"peft-bias", "peft-dora", "peft-lokr", "lycoris-dora-inputs", "numbered-convolutions"})
    void mergedGivesTheSame(String name) throws IOException {
        try (Checkpoint plain = Checkpoint.open(NanoModel.golden("sd1-nano"));
                Checkpoint wide = Conversion.load(plain, StoredTypes.of(DataType.F32), (bytes, total) -> {});
                AdaptedNetworks merged = new AdaptedNetworks(
                        engine, "sd1", AdapterMerge.of(wide, List.of(new AdapterUse(Adapter.open(file(name)), 1))))) {
            assertGolden(name, merged.run(), 1e-4);
        }
    }

    @Test
    void settingsBesideTheFileCount() throws IOException {
        Path alone = Files.copy(file("peft-lokr"), folder.resolve("adapter_model.safetensors"));
        Path settings = folder.resolve("adapter_config.json");
        try (AdaptedNetworks nano = nano()) {
            float[] ones = nano.adapted(alone, 1).eps();
            Files.writeString(settings, "{\"alpha\": 2, \"r\": 2}");
            assertArrayEquals(ones, nano.adapted(alone, 1).eps());
            Files.writeString(settings, "{\"alpha\": 1, \"r\": 2, \"alpha_pattern\": {\"conv2\": 3}}");
            assertGolden("peft-lokr", nano.adapted(alone, 1), 2e-3);
            Files.writeString(settings, "{\"alpha\": 1, \"alpha_pattern\": {\".*conv(2|1)\": 3}}");
            assertRefused(alone, settings.toString(), ".*conv(2|1)");
            Files.writeString(settings, "{\"alpha\": 1");
            assertRefused(alone, settings.toString(), "JSON");
        }
    }

    private static final Pattern NUMBER = Pattern.compile("unet:(\\d+):(up|down)");

    private static AdapterFile renumbered(AdapterFile file, IntUnaryOperator numbers) {
        return file.renamed(name -> NUMBER.matcher(name)
                .replaceFirst(match -> "unet:" + numbers.applyAsInt(Integer.parseInt(match.group(1))) + ":$2"));
    }

    private static AdapterFile numbered() throws IOException {
        AdapterFile file = AdapterFile.of("numbered.safetensors");
        file.metadata.putAll(Adapter.open(file("numbered")).metadata());
        return file;
    }

    @Test
    void numbersFollowTheOrderOfEitherTransformerBlock() throws IOException {
        // Nine layers a block: four of attention, the gate of the feed-forward, four of attention; or the gate last.
        AdapterFile newer =
                renumbered(numbered(), number -> number % 9 < 4 ? number : number % 9 == 4 ? number + 4 : number - 1);
        try (AdaptedNetworks nano = nano()) {
            Result expected = nano.adapted(file("numbered"), 1);
            Result actual = nano.adapted(newer.write(folder.resolve("newer.safetensors")), 1);
            assertArrayEquals(expected.eps(), actual.eps());
        }
    }

    @Test
    void embeddingsInAnAdapterAreWords() throws IOException {
        List<TextualInversion> words = Adapter.open(file("numbered")).words();
        assertEquals(
                List.of("<s1>", "<s2>"),
                words.stream().map(TextualInversion::word).toList());
        try (AdaptedNetworks nano = nano()) {
            float[] vector = words.getFirst().vectors(nano.text, 0);
            assertEquals(64, vector.length);
            assertEquals(-1, vector[0]);
            assertEquals(1, vector[63]);
        }
    }

    @Test
    void numbersThatFitNoOrderAreRefused() throws IOException {
        AdapterFile gap = renumbered(numbered(), number -> number == 98 ? 99 : number);
        assertRefused(gap, "99 numbered changes", "another kind of model");
        AdapterFile few = numbered();
        few.tensors.keySet().removeIf(name -> name.startsWith("unet:98:"));
        assertRefused(few, "98 numbered changes");
        AdapterFile swapped = renumbered(numbered(), number -> number == 0 ? 4 : number == 4 ? 0 : number);
        assertRefused(swapped, "another kind of model");
        AdapterFile half = numbered();
        half.tensors.remove("unet:3:down");
        assertRefused(half, "unet:3:up", "half");
        AdapterFile unknown = numbered();
        unknown.metadata.put("unet", "[\"Transformer2DModel\"]");
        assertRefused(unknown, "Transformer2DModel");
        AdapterFile silent = numbered();
        silent.metadata.remove("unet");
        assertRefused(silent, "metadata unet");
        AdapterFile wrong = numbered();
        wrong.metadata.put("unet", "[");
        assertRefused(wrong, "JSON");
        AdapterFile word = numbered();
        word.tensors.put("<s1>", new Tensor(List.of(1L, 1L, 2L), new float[2]));
        assertRefused(word, "<s1>");
    }

    @Test
    void unknownKindsAreNamed() throws IOException {
        AdapterFile orthogonal = new AdapterFile();
        orthogonal.tensors.put("lora_unet_conv_in.oft_blocks", new Tensor(List.of(1L, 2L, 2L), new float[4]));
        orthogonal.tensors.put("lora_unet_conv_in.alpha", new Tensor(List.of(), new float[] {1}));
        assertRefused(orthogonal, "holds no adapter", "lora_unet_conv_in.");
    }

    @Test
    void biasesOfLayersWithoutOneAreListed() throws IOException {
        AdapterFile file = AdapterFile.of("peft-bias.safetensors");
        String module = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q.lora_";
        file.tensors.put(module + "A.weight", new Tensor(List.of(1L, 64L), new float[64]));
        file.tensors.put(module + "B.weight", new Tensor(List.of(64L, 1L), new float[64]));
        file.tensors.put(module + "B.bias", new Tensor(List.of(64L), new float[64]));
        try (Checkpoint model = Checkpoint.open(NanoModel.golden("sd1-nano"));
                FittedAdapter fitted =
                        FittedAdapter.of(Adapter.open(file.write(folder.resolve("bias.safetensors"))), model)) {
            assertEquals(List.of(module + "B.bias"), fitted.unused());
        }
    }

    private void assertRefused(AdapterFile file, String... words) throws IOException {
        Path path = file.write(folder.resolve("wrong.safetensors"));
        assertRefused(path, path.toString(), words);
    }

    private void assertRefused(Path path, String start, String... words) throws IOException {
        try (Checkpoint model = Checkpoint.open(NanoModel.golden("sd1-nano"))) {
            var failure = assertThrows(
                    ModelFormatException.class,
                    () -> FittedAdapter.of(Adapter.open(path), model).close());
            assertTrue(failure.getMessage().startsWith(start), failure.getMessage());
            assertEquals(1, failure.getMessage().lines().count());
            for (String word : words) {
                assertTrue(failure.getMessage().contains(word), failure.getMessage());
            }
        }
    }
}
