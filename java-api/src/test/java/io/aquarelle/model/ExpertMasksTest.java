package io.aquarelle.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.model.UNet.Condition;
import io.aquarelle.model.UNet.Evaluation;
import io.aquarelle.plan.Call;
import io.aquarelle.plan.ExpertLayers;
import io.aquarelle.plan.Run;
import io.aquarelle.plan.StepPlan;
import io.aquarelle.plan.TemporalExperts;
import io.aquarelle.plan.Unit;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Masks of ALTER against a PyTorch walk through diffusers' blocks, and the file that PyTorch wrote. */
class ExpertMasksTest {
    private static final double FLOAT32_ORDER = 1e-4;

    @TempDir
    Path folder;

    private static BitSet mask(float[] rows, int row, int layers) {
        BitSet mask = new BitSet();
        for (int layer = 0; layer < layers; layer++) {
            mask.set(layer, rows[row * layers + layer] == 1);
        }
        return mask;
    }

    private static StepPlan plan(BitSet mask, List<Unit> units, boolean unpopped) {
        var experts = new TemporalExperts(ExpertLayers.of(), List.of(mask), List.of(0), unpopped);
        return new Run(List.of(new Call(0, 0, 500, false)), List.of(units), false)
                .plan(experts)
                .getFirst();
    }

    @ParameterizedTest
    @ValueSource(strings = {"sd1", "sdxl"})
    void skippedLayersGiveWhatTheOracleComputes(String family) throws IOException {
        try (Checkpoint model = Checkpoint.open(NanoModel.golden(family + "-nano"));
                Checkpoint inputs = Checkpoint.open(NanoModel.golden(family + "-nano-golden"));
                Checkpoint golden = Checkpoint.open(NanoModel.golden("alter-golden"));
                Engine engine = Engine.create(EngineOptions.ofThreads(2));
                Weights weights = Weights.of(model);
                UNet unet = UNet.create(
                        engine,
                        weights,
                        ModelSpec.UNET_PREFIX,
                        ModelSpec.of(model).heads())) {
            float[] label = unet.labelWidth() > 0 ? NanoModel.floats(inputs, "adm.cond") : new float[0];
            var condition = new Condition(NanoModel.floats(inputs, "text.cond"), 77, label, new float[0]);
            int layers = ExpertLayers.of().among(unet.units()).size();
            float[] masks = NanoModel.floats(golden, family + ".masks");
            float[] plain = null;
            for (String kind : List.of("popped", "unpopped")) {
                float[] expected = NanoModel.floats(golden, family + "." + kind);
                int length = 4 * 16 * 16;
                for (int row = 0; row < masks.length / layers; row++) {
                    BitSet mask = mask(masks, row, layers);
                    StepPlan plan = plan(mask, unet.units(), kind.equals("unpopped"));
                    float[] latent = NanoModel.floats(inputs, "unet.x");
                    Evaluation call = unet.evaluate(
                            latent, new float[] {500}, condition, 16, 16, plan.actions(), List.of(), null);
                    float[] wanted = Arrays.copyOfRange(expected, row * length, (row + 1) * length);
                    double largest = 0;
                    for (float value : wanted) {
                        largest = Math.max(largest, Math.abs(value));
                    }
                    assertArrayEquals(wanted, call.output(), (float) (FLOAT32_ORDER * largest), kind + " " + row);
                    // A ResBlock is one unit that works, a transformer block three.
                    List<Integer> left = IntStream.range(0, layers)
                            .filter(layer -> !mask.get(layer))
                            .boxed()
                            .toList();
                    List<Integer> places = ExpertLayers.of().among(unet.units());
                    assertEquals(
                            left.stream()
                                    .mapToInt(layer ->
                                            unet.units().get(places.get(layer)).kind() == Unit.Kind.RESNET ? 1 : 3)
                                    .sum(),
                            call.work().skipped());
                    assertEquals(
                            call.work(),
                            unet.estimate(1, 16, 16, 77, plan.actions()),
                            "the multiply-adds that the mask implies");
                    if (left.isEmpty()) {
                        plain = unet.evaluate(latent, new float[] {500}, condition, 16, 16, null);
                        assertArrayEquals(plain, call.output());
                    }
                }
            }
            assertTrue(plain != null);
        }
    }

    @Test
    void theFileOfTheAuthorsCodeIsRead() throws IOException {
        TemporalExperts experts = ExpertMasks.read(NanoModel.golden("sd1-nano-pruning_mask", ".pth"));
        try (Checkpoint golden = Checkpoint.open(NanoModel.golden("alter-golden"))) {
            float[] masks = NanoModel.floats(golden, "experts");
            float[] route = NanoModel.floats(golden, "route");
            int layers = masks.length / 10;
            assertEquals(21, layers);
            assertEquals(1000, experts.route().size());
            assertEquals(10, experts.masks().size(), "equal rows are one expert");
            for (int t = 0; t < 1000; t++) {
                assertEquals(
                        mask(masks, (int) route[t], layers), experts.masks().get(experts.expert(t)), "at " + t);
            }
            assertFalse(experts.unpopped());
        }
    }

    private static List<Unit> units(String family) throws IOException {
        try (Checkpoint model = Checkpoint.open(NanoModel.golden(family + "-nano"));
                Engine engine = Engine.create(EngineOptions.ofThreads(1));
                Weights weights = Weights.of(model);
                UNet unet = UNet.create(
                        engine,
                        weights,
                        ModelSpec.UNET_PREFIX,
                        ModelSpec.of(model).heads())) {
            return unet.units();
        }
    }

    @Test
    void masksSurviveTheWayThroughAFile() throws IOException {
        TemporalExperts experts = ExpertMasks.read(NanoModel.golden("sd1-nano-pruning_mask", ".pth"));
        List<Unit> sd1 = units("sd1");
        Path file = folder.resolve("masks.safetensors");
        for (boolean unpopped : new boolean[] {false, true}) {
            ExpertMasks.write(experts.withUnpopped(unpopped), sd1, file);
            TemporalExperts read = ExpertMasks.read(file);
            assertEquals(experts.masks(), read.masks());
            assertEquals(experts.route(), read.route());
            assertEquals(unpopped, read.unpopped());
            assertEquals(experts.layers().among(sd1), read.layers().among(sd1));
        }
        List<Unit> sdxl = units("sdxl");
        var failure = assertThrows(
                IllegalArgumentException.class, () -> experts.layers().among(sdxl));
        assertTrue(failure.getMessage().contains("another model"), failure.getMessage());
        assertThrows(IllegalArgumentException.class, () -> ExpertMasks.write(experts, sdxl, file));
    }

    private void refused(byte[] file, String words) throws IOException {
        Path path = Files.write(folder.resolve("masks.bin"), file);
        var failure = assertThrows(ModelFormatException.class, () -> ExpertMasks.read(path), words);
        assertTrue(failure.getMessage().contains(words), failure.getMessage());
        assertTrue(failure.getMessage().startsWith(path.toString()), failure.getMessage());
        assertEquals(1, failure.getMessage().lines().count());
    }

    private static byte[] safetensors(String masks, String route, String layers) {
        String header = "{\"__metadata__\":{\"alter.layers\":\"" + layers + "\"},"
                + RawSafetensors.tensor("alter.masks", masks, "[1,2]", 0, 2) + ","
                + RawSafetensors.tensor("alter.route", route, "[1]", 2, 6) + "}";
        return RawSafetensors.file(header, 6); // bytes 0, 1, 2, ...: masks 0 and 1, a route of 0x05040302
    }

    @Test
    void filesThatHoldNoMasksAreRefused() throws IOException {
        refused(safetensors("U8", "I32", "a,b"), "timestep 0 is routed to expert 84148994");
        refused(safetensors("U8", "I32", "a,b,c"), "names not its 2 layers");
        refused(safetensors("I8", "I32", "a,b"), "no tensor 'alter.masks' of U8");
        refused(safetensors("U8", "F32", "a,b"), "no tensor 'alter.route' of I32");
        refused(Files.readAllBytes(NanoModel.golden("sd1-nano-plans")), "holds no masks");
        byte[] masks = Files.readAllBytes(NanoModel.golden("sd1-nano-pruning_mask", ".pth"));
        byte[] half = masks.clone();
        // A mask of 0.5: the first value 1.0f that is stored.
        for (int i = 0; i < half.length - 4; i++) {
            if (half[i] == 0 && half[i + 1] == 0 && half[i + 2] == (byte) 0x80 && half[i + 3] == 0x3f) {
                half[i + 3] = 0x3e;
                break;
            }
        }
        refused(half, "masks are 0 or 1");
        refused(Arrays.copyOf(masks, 1000), "incomplete");
    }
}
