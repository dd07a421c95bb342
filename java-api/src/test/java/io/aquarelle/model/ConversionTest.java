package io.aquarelle.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.model.StoredTypes.Choice;
import io.aquarelle.model.StoredTypes.Rule;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.Function;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class ConversionTest {
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final String KERNEL = "model.diffusion_model.middle_block.0.in_layers.2.weight";
    private static final String MATRIX = "model.diffusion_model.middle_block.1.proj_in.weight";
    private static final String BIAS = "model.diffusion_model.middle_block.1.proj_in.bias";
    private static final String TIME = "model.diffusion_model.time_embed.0.weight";
    private static final String VAE = "first_stage_model.decoder.mid.block_1.conv1.weight";
    private static final String IDS = "cond_stage_model.transformer.text_model.embeddings.position_ids";

    @TempDir
    private Path folder;

    // Values

    /** A block as ggml-common.h declares it, expanded by hand. */
    @Test
    void q8BlocksHoldAHalfAndThirtyTwoBytes() {
        float[] values = randoms(64 * 32);
        values[40] = 100; // the largest of its block
        MemorySegment blocks = stored(values, DataType.Q8_0);
        for (int i = 0; i < values.length; i++) {
            float scale = Float.float16ToFloat(blocks.get(SHORT, i / 32 * 34L));
            float value = scale * blocks.get(ValueLayout.JAVA_BYTE, i / 32 * 34L + 2 + i % 32);
            assertEquals(values[i], value, 0.6 * scale);
        }
        assertEquals(100 / 127f, Float.float16ToFloat(blocks.get(SHORT, 34)), 1e-3);
    }

    @Test
    void q4BlocksHoldAHalfAndThirtyTwoNibbles() {
        float[] values = randoms(64 * 32);
        MemorySegment blocks = stored(values, DataType.Q4_0);
        for (int i = 0; i < values.length; i++) {
            float scale = Float.float16ToFloat(blocks.get(SHORT, i / 32 * 18L));
            int both = blocks.get(ValueLayout.JAVA_BYTE, i / 32 * 18L + 2 + i % 16) & 0xff;
            float value = scale * ((i % 32 < 16 ? both & 15 : both >> 4) - 8);
            assertEquals(values[i], value, 1.01 * Math.abs(scale));
        }
    }

    /** Limits are a little above what the types lose on normal values, so that a wrong row or block shows. */
    @ParameterizedTest
    @CsvSource({
        "F32,0",
        "F16,0.0003",
        "BF16,0.002",
        "Q8_0,0.006",
        "Q6_K,0.02",
        "Q5_K,0.04",
        "Q5_1,0.05",
        "Q5_0,0.05",
        "Q4_K,0.08",
        "Q4_1,0.1",
        "Q4_0,0.1",
        "IQ4_NL,0.09",
        "Q3_K,0.18",
        "Q2_K,0.35"
    })
    void valuesComeBackAsNearlyAsTheirTypeAllows(DataType type, double limit) {
        float[] values = randoms(3 << 17); // more than a chunk of native code
        float[] back = floats(type, stored(values, type));
        double error = 0;
        double size = 0;
        for (int i = 0; i < values.length; i++) {
            error += Math.pow(back[i] - values[i], 2);
            size += Math.pow(values[i], 2);
        }
        double lost = Math.sqrt(error / size);
        assertTrue(lost <= limit && lost >= limit / 5, type + " loses " + lost);
    }

    @Test
    void eightBitFloatsAreWhatPyTorchSaysTheyAre() throws Exception {
        try (var stored = Checkpoint.open(TorchReaderTest.resource("float8.pt"));
                var values = Checkpoint.open(TorchReaderTest.resource("float8-as-f32.safetensors"))) {
            for (String name : List.of("e4m3", "e5m2")) {
                TensorInfo tensor = stored.tensors().get(name);
                short[] halves = stored.readable(tensor).toArray(SHORT);
                float[] expected = values.data(values.tensors().get(name)).toArray(FLOAT);
                for (int i = 0; i < 256; i++) {
                    assertEquals(expected[i], Float.float16ToFloat(halves[i]), name + " " + i);
                }
            }
        }
    }

    @Test
    void doublesAreRead() throws Exception {
        try (var stored = Checkpoint.open(TorchReaderTest.resource("all-kinds.ckpt"))) {
            TensorInfo tensor = stored.tensors().get("f64");
            double[] values =
                    stored.data(tensor).toArray(ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN));
            float[] floats = stored.readable(tensor).toArray(FLOAT);
            for (int i = 0; i < 4; i++) {
                assertEquals((float) values[i], floats[i]);
            }
        }
    }

    @Test
    void valuesThatAreNoNumbersOrTooLargeAreRefused() {
        for (float value : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
            float[] values = randoms(256);
            values[200] = value;
            for (DataType type : StoredTypes.WRITABLE) {
                if (type != DataType.F32) {
                    assertThrows(IllegalArgumentException.class, () -> stored(values, type), type + " " + value);
                }
            }
        }
        float[] large = {1e5f};
        assertThrows(IllegalArgumentException.class, () -> stored(large, DataType.F16));
        assertEquals(1e5f, floats(DataType.BF16, stored(large, DataType.BF16))[0], 1e3);
    }

    @Test
    void typesThatCannotBeWrittenAndBlocksThatAreNotFullAreRefused() {
        MemorySegment values = Arena.ofAuto().allocate(256 * 4);
        MemorySegment blocks = Arena.ofAuto().allocate(DataType.IQ1_S.bytes(256));
        assertThrows(
                IllegalArgumentException.class,
                () -> NumberTypes.convert(DataType.F32, values, DataType.IQ1_S, blocks));
        assertThrows(
                IllegalArgumentException.class,
                () -> NumberTypes.convert(DataType.F32, values.asSlice(0, 400), DataType.Q8_0, blocks.asSlice(0, 34)));
        assertThrows(
                IllegalArgumentException.class, () -> NumberTypes.convert(DataType.I32, values, DataType.F16, blocks));
    }

    @ParameterizedTest
    @EnumSource
    void nativeCodeAgreesOnTheSizeOfBlocks(DataType type) throws Exception {
        if (type.isQuantised()) {
            byte[] file = new RawGguf(3, 1, 0)
                    .tensor("t", type.nativeType(), 0, 2L * type.block(), 3)
                    .data(32, (int) type.bytes(6L * type.block()));
            try (var model = Checkpoint.open(Files.write(folder.resolve("model.gguf"), file))) {
                Weights.of(model).close();
            }
        }
    }

    // Which type a tensor gets

    @Test
    void tensorsGetTheTypeThatSuitsThem() throws Exception {
        try (var model = model(DataType.F32)) {
            var types = choices(model, StoredTypes.of(DataType.Q4_K));
            assertEquals(DataType.Q4_K, types.get(KERNEL).type());
            assertEquals(DataType.Q5_0, types.get(MATRIX).type());
            assertEquals(
                    "has rows of 64, which do not fill blocks of 256",
                    types.get(MATRIX).reason());
            assertEquals(DataType.F32, types.get(BIAS).type());
            assertEquals("is a vector", types.get(BIAS).reason());
            assertEquals(DataType.F16, types.get(TIME).type());
            assertEquals(DataType.Q8_0, types.get(VAE).type());
            assertEquals("embeddings and the VAE keep 8 bits", types.get(VAE).reason());
            assertEquals(DataType.I64, types.get(IDS).type());
            assertEquals(DataType.F16, types.get("odd.weight").type());
            assertEquals(
                    "has rows of 36, which do not fill blocks of 256",
                    types.get("odd.weight").reason());
        }
    }

    @Test
    void rulesComeBeforeTheTypeOfAll() throws Exception {
        try (var model = model(DataType.F32)) {
            var types = choices(
                    model,
                    StoredTypes.of(DataType.Q8_0)
                            .with(new Rule(Pattern.compile("time_embed"), DataType.Q4_0))
                            .with(new Rule(Pattern.compile("^first_stage_model\\..*conv1"), DataType.Q4_K))
                            .with(new Rule(Pattern.compile("."), DataType.BF16)));
            assertEquals(DataType.Q4_0, types.get(TIME).type());
            assertEquals(DataType.Q5_0, types.get(VAE).type());
            assertEquals(DataType.BF16, types.get(KERNEL).type());
            assertEquals(DataType.BF16, types.get(BIAS).type());
        }
    }

    @Test
    void kernelsStayHalvesForOtherPrograms() throws Exception {
        try (var model = model(DataType.F32)) {
            var types = choices(model, StoredTypes.of(DataType.Q8_0).keepingKernels());
            assertEquals(DataType.F16, types.get(KERNEL).type());
            assertEquals("is a convolution kernel", types.get(KERNEL).reason());
            assertEquals(DataType.Q8_0, types.get(MATRIX).type());
        }
    }

    @Test
    void halvesAreUsedOnlyWhereTheyHoldAllValues() throws Exception {
        try (var model = model(DataType.F32)) {
            var types = choices(model, StoredTypes.of(DataType.F16));
            assertEquals(DataType.F16, types.get(BIAS).type());
            assertEquals(DataType.F32, types.get("large.weight").type());
            assertEquals(
                    "has values too large for f16", types.get("large.weight").reason());
        }
    }

    // Files

    @ParameterizedTest
    @EnumSource(names = {"Q4_0", "Q8_0", "Q4_K", "IQ4_NL", "F16", "BF16", "F32"})
    void ggufFilesHoldWhatWasChosen(DataType type) throws Exception {
        Path out = folder.resolve("out.gguf");
        try (var model = model(DataType.F32)) {
            List<Choice> choices = Conversion.write(model, StoredTypes.of(type), out, (done, total) -> {});
            try (var written = Checkpoint.open(out);
                    var loaded = Conversion.load(model, StoredTypes.of(type), (done, total) -> {})) {
                assertEquals(model.metadata(), written.metadata());
                assertEquals(
                        choices.stream().map(Choice::result).toList(),
                        List.copyOf(written.tensors().values()));
                assertEquals(written.tensors(), loaded.tensors());
                for (TensorInfo tensor : written.tensors().values()) {
                    assertArrayEquals(
                            written.data(tensor).toArray(ValueLayout.JAVA_BYTE),
                            loaded.data(tensor).toArray(ValueLayout.JAVA_BYTE),
                            tensor.name());
                    assertEquals(0, written.data(tensor).address() % 32);
                }
            }
        }
    }

    @Test
    void aModelInMemoryOutlivesTheOneItIsMadeOf() throws Exception {
        var model = model(DataType.F32);
        byte[] bias = model.data(model.tensors().get(BIAS)).toArray(ValueLayout.JAVA_BYTE);
        var loaded = Conversion.load(model, StoredTypes.of(DataType.Q8_0), (done, total) -> {});
        model.close();
        assertArrayEquals(bias, loaded.data(loaded.tensors().get(BIAS)).toArray(ValueLayout.JAVA_BYTE));
        MemorySegment kernel = loaded.data(loaded.tensors().get(KERNEL));
        loaded.close();
        assertThrows(IllegalStateException.class, () -> kernel.get(ValueLayout.JAVA_BYTE, 0));
    }

    @Test
    void safetensorsFilesHoldPlainTypesOnly() throws Exception {
        Path out = folder.resolve("out.safetensors");
        try (var model = model(DataType.F32)) {
            Conversion.write(model, StoredTypes.of(DataType.BF16), out, (done, total) -> {});
            try (var written = Checkpoint.open(out)) {
                assertEquals(DataType.BF16, written.tensors().get(KERNEL).type());
            }
            byte[] before = Files.readAllBytes(out);
            var e = assertThrows(
                    IllegalArgumentException.class,
                    () -> Conversion.write(model, StoredTypes.of(DataType.Q8_0), out, (done, total) -> {}));
            assertTrue(e.getMessage().contains("q8_0") && e.getMessage().contains("GGUF"), e.getMessage());
            assertArrayEquals(before, Files.readAllBytes(out));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"out.ckpt", "out", "gguf"})
    void otherEndingsAreRefused(String name) throws Exception {
        try (var model = model(DataType.F32)) {
            assertThrows(
                    IllegalArgumentException.class,
                    () -> Conversion.write(model, StoredTypes.unchanged(), folder.resolve(name), (done, total) -> {}));
        }
    }

    @Test
    void aTensorThatIsNoNumberIsNamedAndNothingIsLeft() throws Exception {
        try (var model = write(Map.of("bad.weight", new float[] {1, Float.NaN}), shape -> List.of(1L, 2L))) {
            Path out = folder.resolve("out.gguf");
            var e = assertThrows(
                    ModelFormatException.class,
                    () -> Conversion.write(model, StoredTypes.of(DataType.BF16), out, (done, total) -> {}));
            assertTrue(e.getMessage().contains("'bad.weight'"), e.getMessage());
        }
        try (Stream<Path> files = Files.list(folder)) {
            assertEquals(
                    List.of("model.safetensors"),
                    files.map(file -> file.getFileName().toString()).toList());
        }
    }

    @Test
    void progressReachesItsEndAndMayStopIt() throws Exception {
        try (var model = model(DataType.F32)) {
            long[] last = new long[2];
            Conversion.write(model, StoredTypes.of(DataType.Q8_0), folder.resolve("a.gguf"), (done, total) -> {
                assertTrue(done > last[0] && done <= total);
                last[0] = done;
                last[1] = total;
            });
            assertEquals(last[1], last[0]);
            Path out = folder.resolve("b.gguf");
            assertThrows(
                    UnsupportedOperationException.class,
                    () -> Conversion.write(model, StoredTypes.of(DataType.Q8_0), out, (done, total) -> {
                        throw new UnsupportedOperationException();
                    }));
            try (Stream<Path> files = Files.list(folder)) {
                assertEquals(2, files.count());
            }
        }
    }

    // Helpers

    private Checkpoint model(DataType type) throws IOException {
        Map<String, float[]> tensors = new LinkedHashMap<>();
        tensors.put(KERNEL, randoms(4 * 256 * 9));
        tensors.put(MATRIX, randoms(64 * 64));
        tensors.put(BIAS, randoms(64));
        tensors.put(TIME, randoms(64 * 64));
        tensors.put(VAE, randoms(32 * 32 * 9));
        tensors.put("odd.weight", randoms(4 * 36));
        float[] large = randoms(64 * 64);
        large[77] = -70_000;
        tensors.put("large.weight", large);
        tensors.put(IDS, new float[6]);
        return write(tensors, name -> switch (name) {
            case KERNEL -> List.of(4L, 256L, 3L, 3L);
            case VAE -> List.of(32L, 32L, 3L, 3L);
            case BIAS -> List.of(64L);
            case "odd.weight" -> List.of(4L, 4L, 3L, 3L);
            case IDS -> List.of(1L, 3L);
            default -> List.of(64L, 64L);
        });
    }

    private Checkpoint write(Map<String, float[]> tensors, Function<String, List<Long>> shape) throws IOException {
        Path file = folder.resolve("model.safetensors");
        List<TensorInfo> infos = tensors.keySet().stream()
                .map(name -> new TensorInfo(name, name.equals(IDS) ? DataType.I64 : DataType.F32, shape.apply(name)))
                .toList();
        try (var writer = new SafetensorsWriter(file, infos, Map.of("made", "by hand"))) {
            for (TensorInfo info : infos) {
                var bytes = ByteBuffer.allocate((int) info.byteSize()).order(ByteOrder.LITTLE_ENDIAN);
                bytes.asFloatBuffer().put(tensors.get(info.name()));
                writer.write(info, 0, bytes);
            }
            writer.commit();
        }
        return Checkpoint.open(file);
    }

    private static Map<String, Choice> choices(Checkpoint model, StoredTypes types) {
        return types.choose(model).stream()
                .collect(Collectors.toMap(it -> it.tensor().name(), it -> it));
    }

    private static float[] randoms(int count) {
        var random = new SplittableRandom(count);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    private static MemorySegment stored(float[] values, DataType type) {
        MemorySegment from = Arena.ofAuto().allocateFrom(FLOAT, values);
        MemorySegment to = Arena.ofAuto().allocate(type.bytes(values.length));
        NumberTypes.convert(DataType.F32, from, type, to);
        return to;
    }

    private static float[] floats(DataType type, MemorySegment stored) {
        long count = stored.byteSize() / type.blockBytes() * type.block();
        MemorySegment to = Arena.ofAuto().allocate(count * Float.BYTES);
        NumberTypes.convert(type, stored, DataType.F32, to);
        return to.toArray(FLOAT);
    }
}
