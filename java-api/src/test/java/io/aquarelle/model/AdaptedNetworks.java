package io.aquarelle.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.model.UNet.Condition;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;

/** The networks of a small model, closed with it, and what they make of the golden inputs with adapters. */
final class AdaptedNetworks implements AutoCloseable {
    /** What the golden prompt becomes. */
    record Result(float[] text, float[] eps) {}

    final String family;
    final Checkpoint model;
    final List<TextEncoder> text = new ArrayList<>();
    final UNet unet;

    AdaptedNetworks(Engine engine, String family, Checkpoint model) throws IOException {
        this.family = family;
        this.model = model;
        ModelSpec spec = ModelSpec.of(model);
        try (Weights weights = Weights.of(model)) {
            for (TextTower tower : spec.towers()) {
                text.add(TextEncoder.create(engine, weights, tower));
            }
            unet = UNet.create(engine, weights, ModelSpec.UNET_PREFIX, spec.heads());
        }
    }

    Result run() throws IOException {
        return run(UnaryOperator.identity(), new float[2][0]);
    }

    Result run(UnaryOperator<int[]> ids, float[][] words) throws IOException {
        try (Checkpoint golden = Checkpoint.open(NanoModel.golden(family + "-nano-golden"))) {
            int[][] tokens = {ids.apply(NanoModel.ids(golden, "ids.cond"))};
            float[] hidden = new float[77 * unet.contextWidth()];
            int start = 0;
            for (int i = 0; i < text.size(); i++) {
                TextEncoder tower = text.get(i);
                float[] part = tower.encode(tokens, words[i], tower.tower().skipLayers(0), null)
                        .hidden();
                for (int token = 0; token < 77; token++) {
                    System.arraycopy(
                            part, token * tower.width(), hidden, token * unet.contextWidth() + start, tower.width());
                }
                start += tower.width();
            }
            float[] label = unet.labelWidth() > 0 ? NanoModel.floats(golden, "adm.cond") : new float[0];
            float[] eps = unet.evaluate(
                    NanoModel.floats(golden, "unet.x"),
                    new float[] {500},
                    new Condition(hidden, 77, label, new float[0]),
                    16,
                    16,
                    null);
            return new Result(hidden, eps);
        }
    }

    void adapt(List<FittedAdapter> adapters, List<Float> scales) {
        text.forEach(tower -> tower.adapt(adapters, scales));
        unet.adapt(adapters, scales);
    }

    /** With one adapter, of which nothing may be left over. */
    Result adapted(Path file, float scale) throws IOException {
        try (FittedAdapter fitted = FittedAdapter.of(Adapter.open(file), model)) {
            assertEquals(List.of(), fitted.unused());
            adapt(List.of(fitted), List.of(scale));
        }
        return run();
    }

    @Override
    public void close() {
        text.forEach(TextEncoder::close);
        unet.close();
        model.close();
    }

    static void assertClose(float[] expected, float[] actual, double limit) {
        assertEquals(expected.length, actual.length);
        double largest = 0;
        double error = 0;
        for (int i = 0; i < expected.length; i++) {
            largest = Math.max(largest, Math.abs(expected[i]));
            error = Math.max(error, Math.abs(expected[i] - actual[i]));
        }
        assertTrue(error <= limit * largest, "off by " + error / largest + " of the largest value");
    }
}
