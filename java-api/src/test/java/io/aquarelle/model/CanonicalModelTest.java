package io.aquarelle.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.model.CanonicalModel.Network;
import io.aquarelle.model.CanonicalModel.Part;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Names of networks against those that diffusers' own converters give (formats/make_formats.py). */
class CanonicalModelTest {
    private static final Path PATH = Path.of("model");

    /** A tensor of diffusers and the one of CompVis that it is made of. */
    record Pair(String folder, String name, String compVis, String form) {}

    static List<Pair> pairs(String file) throws IOException {
        var in = CanonicalModelTest.class.getResourceAsStream("formats/" + file + "-names.tsv.gz");
        try (var lines = new BufferedReader(new InputStreamReader(new GZIPInputStream(in), StandardCharsets.UTF_8))) {
            return lines.lines()
                    .map(line -> line.split("\t"))
                    .map(fields -> new Pair(fields[0], fields[1], fields[2], fields[3]))
                    .toList();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"sd1", "sd2", "sdxl", "pruned"})
    void namesOfDiffusersBecomeThoseOfCompVis(String model) throws Exception {
        List<Pair> pairs = pairs(model);
        Map<String, TensorSource> tensors = new LinkedHashMap<>();
        Map<String, Integer> numbers = new LinkedHashMap<>();
        for (Pair pair : pairs) {
            String name = pair.folder + "." + pair.name;
            List<Long> shape = name.endsWith("weight") && !pair.form.equals("same") ? List.of(2L, 2L) : List.of(2L);
            numbers.put(name, numbers.size());
            tensors.put(name, tensor(name, shape, numbers.get(name)));
        }
        Map<String, TensorSource> actual = canonical(tensors, activations(pairs));

        Set<String> expected = new LinkedHashSet<>();
        for (Pair pair : pairs) {
            expected.add(pair.compVis);
            TensorSource found = actual.get(pair.compVis);
            int number = numbers.get(pair.folder + "." + pair.name);
            assertTrue(found != null, () -> pair.name + " is not found as " + pair.compVis);
            List<Integer> values = values(found);
            switch (pair.form) {
                case "same" -> assertEquals(List.of(number, number + 1000), values, pair.name);
                case "kernel" ->
                    assertEquals(List.of(2L, 2L, 1L, 1L), found.info().shape(), pair.name);
                case "transposed" ->
                    assertEquals(List.of(number, number + 2000, number + 1000, number + 3000), values, pair.name);
                default -> {
                    int size = values.size() / 3;
                    int part = List.of("query", "key", "value").indexOf(pair.form) * size;
                    assertEquals(List.of(number, number + 1000), values.subList(part, part + 2), pair.name);
                }
            }
        }
        assertEquals(expected, actual.keySet());
    }

    private static Map<String, String> activations(List<Pair> pairs) {
        Map<String, String> activations = new LinkedHashMap<>();
        for (Pair pair : pairs) {
            if (pair.folder.startsWith("text")) {
                boolean open = pair.compVis.contains(".model.");
                activations.put(pair.folder + ".hidden_act", open ? "gelu" : "quick_gelu");
            }
        }
        return activations;
    }

    @Test
    void namesOfCompVisStay() throws Exception {
        for (String model : List.of("sd1", "sd2", "sdxl")) {
            Map<String, TensorSource> tensors = new LinkedHashMap<>();
            for (Pair pair : pairs(model)) {
                tensors.put(pair.compVis, tensor(pair.compVis, List.of(2L), 0));
            }
            tensors.put("model_ema.decay", tensor("model_ema.decay", List.of(2L), 0));
            tensors.put("control_model.out.2.weight", tensor("control_model.out.2.weight", List.of(2L), 0));
            Map<String, TensorSource> actual = canonical(tensors, Map.of());

            assertEquals(tensors.keySet(), actual.keySet());
            tensors.forEach((name, tensor) -> assertSame(tensor, actual.get(name)));
        }
    }

    @Test
    void olderNamesOfTheVaesAttentionAreKnown() throws Exception {
        Map<String, TensorSource> tensors = diffusers(
                "sd1",
                pair -> pair.name
                        .replaceAll("(attentions\\.0\\.)to_q", "$1query")
                        .replaceAll("(attentions\\.0\\.)to_k", "$1key")
                        .replaceAll("(attentions\\.0\\.)to_v", "$1value")
                        .replaceAll("(attentions\\.0\\.)to_out\\.0", "$1proj_attn"));

        assertEquals(compVis("sd1"), canonical(tensors, Map.of()).keySet());
    }

    @Test
    void networksAloneAreFound() throws Exception {
        Set<String> all = compVis("sd1");
        for (var network : Map.of(
                        "model.diffusion_model.", Network.UNET,
                        "first_stage_model.", Network.VAE,
                        "cond_stage_model.transformer.", Network.TEXT)
                .entrySet()) {
            String prefix = network.getKey();
            Map<String, TensorSource> alone = new LinkedHashMap<>();
            for (String name : all) {
                if (name.startsWith(prefix)) {
                    String rest = name.substring(prefix.length());
                    alone.put(rest, tensor(rest, List.of(2L), 0));
                }
            }
            Set<String> expected = new LinkedHashSet<>(all);
            expected.removeIf(name -> !name.startsWith(prefix));
            assertEquals(expected, canonical(alone, Map.of()).keySet());
        }
    }

    @Test
    void textTowersOfOldCheckpointsAreFound() throws Exception {
        Map<String, TensorSource> tensors = new LinkedHashMap<>();
        for (String name : compVis("sd1")) {
            String old = name.replace("transformer.text_model.", "transformer.");
            tensors.put(old, tensor(old, List.of(2L), 0));
        }
        assertEquals(compVis("sd1"), canonical(tensors, Map.of()).keySet());
    }

    @Test
    void stableDiffusionCppsNamesOfTheSecondTowerAreFound() throws Exception {
        Map<String, TensorSource> tensors = new LinkedHashMap<>();
        for (Pair pair : pairs("sdxl")) {
            String name = pair.compVis.replace("conditioner.embedders.0.", "cond_stage_model.");
            if (pair.folder.equals("text_encoder_2")) {
                String rest = pair.form.equals("transposed") ? "text_model.text_projection" : pair.name;
                name = "cond_stage_model.1.transformer." + rest.replaceAll("[qkv]_proj", "in_proj");
            }
            tensors.put(name, tensor(name, List.of(2L), 0));
        }
        assertEquals(compVis("sdxl"), canonical(tensors, Map.of()).keySet());
    }

    @Test
    void aLaterPartsNetworkIsUsedInPlaceOfAnEarlierOnes() throws Exception {
        Map<String, TensorSource> whole = new LinkedHashMap<>();
        for (String name : compVis("sd1")) {
            whole.put(name, tensor(name, List.of(2L), 1));
        }
        whole.put("first_stage_model.old", tensor("first_stage_model.old", List.of(2L), 1));
        Map<String, TensorSource> other = diffusers("sd1", pair -> pair.name);
        Map<String, TensorSource> joined = CanonicalModel.of(
                        PATH,
                        List.of(
                                new Part(new ModelContents(whole, Map.of("a", "1")), Set.of()),
                                new Part(new ModelContents(other, Map.of("a", "2", "b", "2")), Set.of(Network.VAE))))
                .tensors();

        assertEquals(compVis("sd1"), joined.keySet());
        joined.forEach((name, tensor) -> assertEquals(
                name.startsWith("first_stage_model.") ? 0 : 1, values(tensor).getFirst(), name));
    }

    @Test
    void aTensorUnderTwoNamesIsRefused() throws Exception {
        Map<String, TensorSource> tensors = diffusers("sd1", pair -> pair.name);
        String twice = "vae.decoder.mid_block.attentions.0.query.bias";
        tensors.put(twice, tensor(twice, List.of(2L), 0));

        var e = assertThrows(ModelFormatException.class, () -> canonical(tensors, Map.of()));
        assertTrue(e.getMessage().contains("first_stage_model.decoder.mid.attn_1.q.bias"), e.getMessage());
    }

    @Test
    @Timeout(20)
    void endlessNetworksAndBlocksAreRefusedOrPassedOver() throws Exception {
        Map<String, TensorSource> towers = new LinkedHashMap<>();
        Map<String, TensorSource> blocks = diffusers("sd1", pair -> pair.name);
        for (int i = 0; i < 20_000; i++) {
            String tower = i + ".token_embedding.weight";
            towers.put(tower, tensor(tower, List.of(2L), 0));
            String block = "unet.down_blocks." + i + ".resnets." + i + ".norm1.weight";
            blocks.putIfAbsent(block, tensor(block, List.of(2L), 0));
        }
        assertThrows(ModelFormatException.class, () -> canonical(towers, Map.of()));
        assertTrue(canonical(blocks, Map.of()).keySet().containsAll(compVis("sd1")));
    }

    @Test
    void aMissingPartOfAJoinedMatrixIsRefused() throws Exception {
        List<Pair> pairs = pairs("sdxl");
        Map<String, TensorSource> tensors = diffusers("sdxl", pair -> pair.name);
        tensors.remove("text_encoder_2.text_model.encoder.layers.0.self_attn.k_proj.weight");

        var e = assertThrows(ModelFormatException.class, () -> canonical(tensors, activations(pairs)));
        assertTrue(e.getMessage().contains("resblocks.0.attn.in_proj_weight"), e.getMessage());
    }

    private static Map<String, TensorSource> diffusers(String model, Function<Pair, String> name) throws IOException {
        Map<String, TensorSource> tensors = new LinkedHashMap<>();
        for (Pair pair : pairs(model)) {
            String full = pair.folder + "." + name.apply(pair);
            List<Long> shape = pair.form.equals("transposed") ? List.of(2L, 2L) : List.of(2L);
            tensors.put(full, tensor(full, shape, 0));
        }
        return tensors;
    }

    private static Set<String> compVis(String model) throws IOException {
        Set<String> names = new LinkedHashSet<>();
        pairs(model).forEach(pair -> names.add(pair.compVis));
        return names;
    }

    private static Map<String, TensorSource> canonical(Map<String, TensorSource> tensors, Map<String, String> metadata)
            throws ModelFormatException {
        return CanonicalModel.of(PATH, List.of(new Part(new ModelContents(tensors, metadata), Set.of())))
                .tensors();
    }

    /** Values n, n + 1000, n + 2000... */
    private static TensorSource tensor(String name, List<Long> shape, int n) {
        int[] values = new int[shape.size() == 1 ? 2 : 4];
        for (int i = 0; i < values.length; i++) {
            values[i] = n + 1000 * i;
        }
        return new TensorSource.Plain(new TensorInfo(name, DataType.I32, shape), MemorySegment.ofArray(values));
    }

    private static List<Integer> values(TensorSource tensor) {
        List<Integer> values = new ArrayList<>();
        for (int value : tensor.values(Arena.ofAuto()).toArray(ValueLayout.JAVA_INT_UNALIGNED)) {
            values.add(value);
        }
        return values;
    }
}
