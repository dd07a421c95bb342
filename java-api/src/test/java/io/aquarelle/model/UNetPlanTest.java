package io.aquarelle.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.model.UNet.Condition;
import io.aquarelle.model.UNet.Evaluation;
import io.aquarelle.plan.Action;
import io.aquarelle.plan.Unit;
import io.aquarelle.plan.Unit.Kind;
import io.aquarelle.plan.UnitSelection;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Plans through Java against what PyTorch computed with saved activations injected. */
class UNetPlanTest {
    private static final double FLOAT32_ORDER = 1e-4;

    private Checkpoint model;
    private Checkpoint golden;
    private Checkpoint plans;
    private Engine engine;
    private UNet unet;
    private FeatureCache cache;

    @BeforeEach
    void open() throws IOException {
        model = Checkpoint.open(NanoModel.golden("sd1-nano"));
        golden = Checkpoint.open(NanoModel.golden("sd1-nano-golden"));
        plans = Checkpoint.open(NanoModel.golden("sd1-nano-plans"));
        engine = Engine.create(EngineOptions.ofThreads(2));
        try (Weights weights = Weights.of(model)) {
            unet = UNet.create(
                    engine, weights, ModelSpec.UNET_PREFIX, ModelSpec.of(model).heads());
        }
        cache = FeatureCache.of(unet);
    }

    @AfterEach
    void close() {
        cache.close();
        unet.close();
        engine.close();
        plans.close();
        golden.close();
        model.close();
    }

    private List<Action> actions(UnitSelection which, Action action) {
        List<Action> actions = new ArrayList<>(Collections.nCopies(unet.units().size(), Action.COMPUTE));
        which.among(unet.units()).forEach(place -> actions.set(place, action));
        return actions;
    }

    private Evaluation evaluate(String latent, float timestep, List<Action> actions) {
        Condition condition = Condition.ofText(NanoModel.floats(golden, "text.cond"), 77);
        return unet.evaluate(
                NanoModel.floats(golden, latent),
                new float[] {timestep},
                condition,
                16,
                16,
                actions,
                List.of(cache),
                null);
    }

    @Test
    void unitsHaveTheirKinds() {
        assertEquals("input_blocks.0", unet.units().getFirst().name());
        assertEquals("out", unet.units().getLast().name());
        for (Unit unit : unet.units()) {
            Kind expected = unit.name().endsWith(".attn1")
                    ? Kind.SELF_ATTENTION
                    : unit.name().endsWith(".attn2")
                            ? Kind.CROSS_ATTENTION
                            : unit.name().endsWith(".ff") ? Kind.FEED_FORWARD : null;
            assertTrue(expected == null || unit.kind() == expected, unit.toString());
        }
        assertEquals(
                13,
                unet.units().stream().filter(unit -> unit.kind() == Kind.BLOCK).count());
    }

    @Test
    void cachedCallsAreThoseOfTheGoldenFile() {
        for (var selection : List.of(
                List.of("reuse.encoder", UnitSelection.encoder()),
                List.of("reuse.layer0", UnitSelection.decoderLayer(0)),
                List.of("reuse.layer2", UnitSelection.decoderLayer(2)),
                List.of("reuse.cross", UnitSelection.named("cross")),
                List.of("reuse.self", UnitSelection.named("self")),
                List.of("reuse.ff", UnitSelection.named("ff")))) {
            String name = (String) selection.getFirst();
            UnitSelection which = (UnitSelection) selection.getLast();
            evaluate("unet.x", 999, actions(which, Action.STORE));
            Evaluation cached = evaluate("sample.noise", 1, actions(which, Action.REUSE));
            float[] expected = NanoModel.floats(plans, name);
            double largest = 0;
            for (float value : expected) {
                largest = Math.max(largest, Math.abs(value));
            }
            assertArrayEquals(expected, cached.output(), (float) (FLOAT32_ORDER * largest), name);
            assertEquals(cached.work(), unet.estimate(1, 16, 16, 77, actions(which, Action.REUSE)), name);
        }
    }

    /** With the encoder's outputs given, the decoder depends on nothing but the timestep and the text. */
    @Test
    void reusingTheEncoderDrawsWhatItSaw() {
        Evaluation seen = evaluate("unet.x", 500, List.of());
        float[] other = evaluate("sample.noise", 1, actions(UnitSelection.encoder(), Action.STORE))
                .output();
        for (int blocks = 0; blocks < 6; blocks++) {
            UnitSelection which = UnitSelection.encoder(blocks);
            evaluate("unet.x", 500, actions(which, Action.STORE));
            Evaluation cached = evaluate("sample.noise", 500, actions(which, Action.REUSE));
            assertArrayEquals(seen.output(), cached.output(), blocks + " blocks of the decoder");
            assertFalse(Arrays.equals(other, cached.output()));
            assertTrue(cached.work().run() < seen.work().run());
            // What is left are the decoder's other blocks and the last convolution.
            int left = blocks;
            long computed = unet.units().stream()
                    .filter(unit -> unit.kind().works())
                    .filter(unit -> unit.name().equals("out")
                            || IntStream.range(left, 6)
                                    .anyMatch(i -> unit.name().startsWith("output_blocks." + i + ".")))
                    .count();
            assertEquals(computed, cached.work().run());
        }
    }

    @Test
    void actionsThatCannotBeFollowedAreRefused() {
        var failure = assertThrows(
                IllegalArgumentException.class,
                () -> evaluate("unet.x", 1, actions(UnitSelection.named("cross"), Action.REUSE)));
        assertTrue(failure.getMessage().contains("attn2' is to be reused before"), failure.getMessage());
        assertThrows(IllegalArgumentException.class, () -> evaluate("unet.x", 1, List.of(Action.COMPUTE)));
        cache.close();
        var closed = assertThrows(
                IllegalStateException.class,
                () -> evaluate("unet.x", 1, actions(UnitSelection.named("cross"), Action.STORE)));
        assertTrue(closed.getMessage().contains("the feature cache is closed"), closed.getMessage());
    }
}
