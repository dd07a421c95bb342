package io.aquarelle.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Models whose files are whole and whose networks are not: tensors gone, renamed, exchanged or of other shapes. Native code
 * makes and runs a network of each, or refuses it; the process lives. {@code -Daquarelle.mutants=N} tries N a model.
 */
class DamagedNetworksTest {
    private static final int MUTANTS = Integer.getInteger("aquarelle.mutants", 600);
    private static final Pattern NUMBER = Pattern.compile("\\.(\\d+)\\.");
    private static final long[] SIDES = {0, 1, 2, 3, 4, 5, 8, 16, 31, 32, 33, 48, 64, 77, 128, 1 << 20, 1L << 40};

    private Engine engine;

    @BeforeEach
    void open() {
        engine = Engine.create(EngineOptions.ofThreads(1));
    }

    @AfterEach
    void close() {
        engine.close();
    }

    @ParameterizedTest
    @ValueSource(strings = {"sd1-nano", "sd2-nano", "sdxl-nano"})
    void runOrAreRefused(String name) throws IOException {
        int good = 0;
        try (Checkpoint whole = Checkpoint.open(NanoModel.golden(name))) {
            List<String> networks = List.of(ModelSpec.UNET_PREFIX, ModelSpec.VAE_PREFIX, "cond");
            assertEquals(3, networks.stream().filter(it -> runs(whole, it)).count());
            for (int i = 0; i < MUTANTS; i++) {
                String network = networks.get(i % 3);
                var random = new SplittableRandom(i);
                try (Checkpoint mutant = mutant(whole, network, random)) {
                    good += runs(mutant, network) ? 1 : 0;
                } catch (RuntimeException | Error e) {
                    fail("mutant " + i + " of " + name, e);
                }
            }
        }
        // Both ends happen, or the mutations test nothing.
        int run = good;
        assertTrue(run > MUTANTS / 50, () -> "only " + run + " ran");
        assertTrue(run < MUTANTS * 3 / 4, () -> "as many as " + run + " ran");
    }

    /** Whether a network is made and does its work; a ModelFormatException is the only other end. */
    private boolean runs(Checkpoint model, String network) {
        try (Weights weights = Weights.of(model)) {
            ModelSpec spec = ModelSpec.of(model);
            if (network.equals(ModelSpec.UNET_PREFIX)) {
                try (UNet unet = UNet.create(engine, weights, network, spec.heads())) {
                    var condition = new UNet.Condition(
                            new float[2 * unet.contextWidth()],
                            2,
                            new float[unet.labelWidth()],
                            new float[unet.guidanceWidth()]);
                    unet.evaluate(new float[unet.inChannels() * 64], new float[] {1}, condition, 8, 8, null);
                }
            } else if (network.equals(ModelSpec.VAE_PREFIX)) {
                try (Autoencoder vae = Autoencoder.create(engine, weights, network)) {
                    if (vae.hasDecoder()) {
                        vae.decode(new float[vae.latentChannels() * 4], 1, 2, 2, null);
                    }
                    if (vae.hasEncoder()) {
                        int side = 2 * vae.factor();
                        vae.encode(new float[vae.imageChannels() * side * side], 1, 2, 2, null);
                    }
                }
            } else {
                for (TextTower tower : spec.towers()) {
                    try (TextEncoder text = TextEncoder.create(engine, weights, tower)) {
                        int[] tokens = new int[Math.min(5, text.maxTokens())];
                        text.encode(new int[][] {tokens}, 0, null);
                    }
                }
            }
            return true;
        } catch (ModelFormatException e) {
            assertEquals(1, e.getMessage().lines().count(), e.getMessage());
            assertTrue(e.getMessage().length() < 1000, e.getMessage());
            return false;
        }
    }

    /** One to three changes in the tensors of a network. */
    private static Checkpoint mutant(Checkpoint whole, String network, SplittableRandom random) {
        Map<String, String> names = new LinkedHashMap<>();
        whole.tensors().keySet().forEach(name -> names.put(name, name));
        Map<String, TensorSource> replaced = new HashMap<>();
        Arena arena = Arena.ofShared();
        for (int n = random.nextInt(1, 4); n > 0; n--) {
            List<String> all =
                    names.keySet().stream().filter(it -> it.startsWith(network)).toList();
            if (all.isEmpty()) {
                break;
            }
            String name = all.get(random.nextInt(all.size()));
            switch (random.nextInt(6)) {
                case 0 -> names.remove(name);
                case 1 -> { // all of a block, or of a part of it
                    int end = name.length();
                    for (int up = random.nextInt(1, 4); up > 0 && end > network.length(); up--) {
                        end = name.lastIndexOf('.', end - 1);
                    }
                    String block = name.substring(0, Math.max(end, network.length())) + ".";
                    if (block.length() > network.length() + 1) {
                        names.keySet().removeIf(it -> it.startsWith(block));
                    }
                }
                case 2 -> { // two tensors exchanged
                    String other = all.get(random.nextInt(all.size()));
                    String place = names.get(name);
                    names.put(name, names.get(other));
                    names.put(other, place);
                }
                case 3 -> // another number in a name
                    NUMBER.matcher(names.get(name)).results().findFirst().ifPresent(number -> {
                        String old = names.get(name);
                        int other = random.nextInt(4) == 0 ? random.nextInt() >>> 1 : random.nextInt(12);
                        String renamed = old.substring(0, number.start(1)) + other + old.substring(number.end(1));
                        if (!names.containsValue(renamed)) {
                            names.put(name, renamed);
                        }
                    });
                default -> {
                    TensorInfo info = replaced.containsKey(name)
                            ? replaced.get(name).info()
                            : whole.tensors().get(name);
                    replaced.put(name, reshaped(info, arena, random));
                }
            }
        }
        try (Checkpoint changed = whole.with(replaced, arena)) {
            return changed.renamed(names);
        }
    }

    /** Zeros in another shape, or a name for more than any file holds where they would be too many. */
    private static TensorSource reshaped(TensorInfo info, Arena arena, SplittableRandom random) {
        List<Long> shape = new ArrayList<>(info.shape());
        switch (random.nextInt(5)) {
            case 0 -> shape.add(random.nextInt(shape.size() + 1), 1L);
            case 1 -> shape.removeLast();
            case 2 -> shape.add(shape.removeFirst());
            default -> shape.set(random.nextInt(shape.size()), SIDES[random.nextInt(SIDES.length)]);
        }
        DataType type = random.nextInt(4) == 0 ? DataType.F32 : info.type();
        long count = shape.stream().reduce(1L, (a, b) -> a * b);
        if (count > 1 << 22) {
            return reshaped(info, arena, random); // no file of a sane size holds it: readers refuse it
        }
        TensorInfo changed = new TensorInfo(info.name(), type, shape);
        return new TensorSource.Plain(changed, arena.allocate(Math.max(1, changed.byteSize()), 64));
    }
}
