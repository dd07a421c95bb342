package io.aquarelle.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.model.RawTorch.Pickle;
import io.aquarelle.model.RawTorch.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TorchReaderTest {
    private static final Path PATH = Path.of("some", "model.ckpt");
    private static final Tensor BYTES = Tensor.of(DataType.U8, List.of(2L, 3L), new byte[] {1, 2, 3, 4, 5, 6});

    @TempDir
    private Path folder;

    // Files that PyTorch wrote

    @ParameterizedTest
    @ValueSource(strings = {"all-kinds.ckpt", "all-kinds-legacy.ckpt", "all-kinds-protocol4.ckpt"})
    void everyKindOfTensorReadsAsPyTorchReadsIt(String name) throws Exception {
        try (var checkpoint = Checkpoint.open(resource(name));
                var values = Checkpoint.open(resource("all-kinds.safetensors"))) {
            assertEquals(Map.copyOf(values.tensors()), Map.copyOf(checkpoint.tensors()), "names, types and shapes");
            for (TensorInfo tensor : values.tensors().values()) {
                assertArrayEquals(
                        values.data(tensor).toArray(ValueLayout.JAVA_BYTE),
                        checkpoint.data(tensor).toArray(ValueLayout.JAVA_BYTE),
                        tensor.name());
            }
            assertEquals("470000", checkpoint.metadata().get("global_step"));
            assertEquals("1.4.2", checkpoint.metadata().get("pytorch-lightning_version"));
        }
    }

    @Test
    void eightBitFloatsAreRead() throws Exception {
        try (var checkpoint = Checkpoint.open(resource("float8.pt"))) {
            assertEquals(
                    new TensorInfo("e4m3", DataType.F8_E4M3, List.of(256L)),
                    checkpoint.tensors().get("e4m3"));
            assertEquals(
                    new TensorInfo("e5m2", DataType.F8_E5M2, List.of(256L)),
                    checkpoint.tensors().get("e5m2"));
            byte[] bytes = checkpoint.data(checkpoint.tensors().get("e4m3")).toArray(ValueLayout.JAVA_BYTE);
            for (int i = 0; i < 256; i++) {
                assertEquals((byte) i, bytes[i]);
            }
        }
    }

    // Views

    @Test
    void contiguousTensorsAreNotCopied() throws Exception {
        MemorySegment file = MemorySegment.ofArray(RawTorch.zip(Map.of("a", BYTES), Map.of()));
        TensorSource tensor = TorchReader.readZip(PATH, file).tensors().get("a");

        assertFalse(tensor.copies());
        assertArrayEquals(BYTES.values(), bytes(tensor));
    }

    @Test
    void otherStridesAreCopiedInOrder() throws Exception {
        var turned = new Tensor("ByteStorage", List.of(3L, 2L), List.of(1L, 3L), BYTES.values(), 1);
        for (boolean zip : new boolean[] {true, false}) {
            assertArrayEquals(
                    new byte[] {1, 4, 2, 5, 3, 6},
                    bytes(read(zip, Map.of("a", turned)).get("a")));
        }
    }

    // Code, which is never run

    @Test
    void aFunctionOfTheSystemIsRefusedByName() {
        Path proof = folder.resolve("proof");
        for (var function : Map.of(
                        "posix",
                        "system",
                        "os",
                        "system",
                        "builtins",
                        "eval",
                        "subprocess",
                        "Popen",
                        "nt",
                        "system",
                        "__builtin__",
                        "exec",
                        "runpy",
                        "_run_code",
                        "webbrowser",
                        "open")
                .entrySet()) {
            byte[] object = new Pickle()
                    .global(function.getKey(), function.getValue())
                    .text("touch " + proof)
                    .op(0x85, 'R')
                    .end();
            String name = function.getKey() + "." + function.getValue();
            refused(zip(object), "names '" + name + "'", "attack", "nothing was run");
            refused(RawTorch.legacy(object, new Pickle().op(']').end(), List.of()), "names '" + name + "'");
        }
        assertFalse(Files.exists(proof));
    }

    @Test
    void aFunctionNamedThroughTheStackIsRefused() {
        refused(zip(new Pickle().text("os").text("system").op(0x93).end()), "names 'os.system'");
        refused(zip(new Pickle().op('(').text("ls").op('i').raw("os\nsystem\n").end()), "names 'os.system'");
    }

    @Test
    void unknownObjectsOfTrainingFrameworksArePassedOver() throws Exception {
        Pickle pickle = new Pickle().op('}', '(').text("callbacks");
        pickle.global("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint")
                .op(')', 0x81, '}', 'b');
        pickle.text("a").tensor("0", BYTES, 0).op('u');
        var entries = new LinkedHashMap<String, byte[]>();
        entries.put("x/data.pkl", pickle.end());
        entries.put("x/data/0", BYTES.values());

        assertEquals(
                List.of("a"),
                List.copyOf(TorchReader.readZip(PATH, MemorySegment.ofArray(RawTorch.archive(entries, false)))
                        .tensors()
                        .keySet()));
    }

    // Bombs

    @Test
    @Timeout(20)
    void nestedMemosTakeNoMoreThanTheirBytes() {
        // Each list holds the one before ten times: 10^1000 elements for who would walk through them.
        Pickle pickle = new Pickle().op(']', 0x94);
        for (int level = 0; level < 1000; level++) {
            pickle.op(']', '(');
            for (int i = 0; i < 10; i++) {
                pickle.op('j', level & 0xff, level >> 8, 0, 0);
            }
            pickle.op('e', 0x94);
        }
        refused(zip(pickle.end()), "no dictionary of tensors");
        // A dictionary that is its own key and value.
        refused(zip(new Pickle().op('}', 0x94, 'h', 0, 'h', 0, 's', 0x85).end()), "no dictionary of tensors");
    }

    @Test
    @Timeout(20)
    void deepNestingDoesNotEndTheStack() {
        Pickle pickle = new Pickle().op(']');
        for (int i = 0; i < 500_000; i++) {
            pickle.op(0x85);
        }
        refused(zip(pickle.end()), "no dictionary of tensors");
    }

    @Test
    @Timeout(60)
    void moreStepsThanAnyCheckpointTakesAreRefused() {
        byte[] pickle = new byte[Unpickler.MAX_STEPS + 10];
        Arrays.fill(pickle, (byte) '}');
        refused(zip(pickle), "more than " + Unpickler.MAX_STEPS + " steps");
    }

    @Test
    @Timeout(20)
    void oneListInManyDictionariesIsRefused() {
        Pickle pickle = new Pickle().op(']', 'q', 0, '(');
        for (int i = 0; i < 20_000; i++) {
            pickle.op('K', 1, 'K', 2, 0x86);
        }
        pickle.op('e', '0');
        for (int i = 0; i < 20_000; i++) {
            pickle.global("collections", "OrderedDict").op('h', 0, 0x85, 'R');
        }
        refused(zip(pickle.op('}').end()), "more than " + Unpickler.MAX_STEPS + " copied values");
    }

    @Test
    void aZipBombIsRefusedBeforeItIsUnpacked() {
        byte[] bomb = RawTorch.archive(Map.of("x/data.pkl", new byte[50_000_000]), true);

        assertTrue(bomb.length < 100_000);
        refused(bomb, "compressed entry 'x/data.pkl'", "torch.save");
    }

    @Test
    void aTensorLargerThanItsStorageIsRefused() {
        var wide = new Tensor("ByteStorage", List.of(1L << 40), List.of(0L), new byte[1], 1);
        refused(RawTorch.zip(Map.of("a", wide), Map.of()), "tensor 'a'", "more values than its storage");

        var many = new LinkedHashMap<String, byte[]>();
        Pickle pickle = new Pickle().op('}', '(');
        var turned = new Tensor("ByteStorage", List.of(100L, 100L), List.of(1L, 100L), new byte[10_000], 1);
        for (int i = 0; i < 300; i++) {
            pickle.text("t" + i).tensor("0", turned, 0);
        }
        many.put("x/data.pkl", pickle.op('u').end());
        many.put("x/data/0", turned.values());
        refused(RawTorch.archive(many, false), "share their values");
    }

    // Numbers that are not right

    @Test
    void dimensionsStridesAndOffsetsStayInTheStorage() {
        refused(tensor(List.of(-1L), List.of(1L), 0), "tensor 'a'", "negative");
        refused(tensor(List.of(2L), List.of(-1L), 0), "tensor 'a'", "negative");
        refused(tensor(List.of(7L), List.of(1L), 0), "tensor 'a'", "outside of its storage");
        refused(tensor(List.of(6L), List.of(1L), 1), "tensor 'a'", "outside of its storage");
        refused(tensor(List.of(2L), List.of(6L), 0), "tensor 'a'", "outside of its storage");
        refused(tensor(List.of(1L), List.of(1L), -1), "tensor 'a'", "outside of its storage");
        refused(tensor(List.of(1L), List.of(1L), Long.MAX_VALUE), "tensor 'a'", "outside of its storage");
        refused(tensor(List.of(2L, 2L), List.of(Long.MAX_VALUE, 1L), 1), "tensor 'a'", "outside of its storage");
        refused(tensor(List.of(1L << 32, 1L << 32), List.of(0L, 0L), 0), "tensor 'a'", "larger than any file");
        refused(tensor(List.of(2L), List.of(1L, 1L), 0), "tensor 'a'", "1 dimensions and 2 strides");
        refused(tensor(List.of(1L, 1L, 1L, 1L, 1L, 1L, 1L, 1L, 1L), List.of(), 0), "tensor 'a'", "9 dimensions");
    }

    @Test
    void storagesMustBeThereAndLongEnough() {
        Pickle pickle = new Pickle().op('}').text("a").tensor("0", BYTES, 0).op('s');
        byte[] object = pickle.end();
        refused(RawTorch.archive(Map.of("x/data.pkl", object), false), "lacks the storage '0'");
        var entries = new LinkedHashMap<String, byte[]>();
        entries.put("x/data.pkl", object);
        entries.put("x/data/0", new byte[5]);
        refused(RawTorch.archive(entries, false), "storage '0' of 5 bytes");
        refused(RawTorch.legacy(object, new Pickle().op(']').end(), List.of()), "lacks the storage '0'");
        byte[] keys = new Pickle().op(']', '(').text("0").text("0").op('e').end();
        refused(RawTorch.legacy(object, keys, List.of(BYTES, BYTES)), "storage twice");
    }

    @Test
    void aNameTwiceIsRefused() {
        Pickle pickle = new Pickle().op('}', '(');
        pickle.text("a").tensor("0", BYTES, 0).text("a").tensor("0", BYTES, 0);
        var entries = new LinkedHashMap<String, byte[]>();
        entries.put("x/data.pkl", pickle.op('u').end());
        entries.put("x/data/0", BYTES.values());
        refused(RawTorch.archive(entries, false), "tensor 'a'", "twice");
    }

    @Test
    void anEntryTwiceIsRefused() {
        var entries = new LinkedHashMap<String, byte[]>();
        entries.put("x/data.pkl", new Pickle().op('}').end());
        entries.put("x/data.pk_", new Pickle().op(']').end());
        String archive = new String(RawTorch.archive(entries, false), StandardCharsets.ISO_8859_1);
        refused(archive.replace(".pk_", ".pkl").getBytes(StandardCharsets.ISO_8859_1), "'x/data.pkl' twice");
    }

    @Test
    void aLineWithoutEndIsRefused() {
        refused(zip(new Pickle().op('c').raw("x".repeat(200_000)).end()), "line of more than 100000 bytes");
    }

    @Test
    void damagedContainersAreRefused() {
        byte[] zip = RawTorch.zip(Map.of("a", BYTES), Map.of());
        refused(Arrays.copyOf(zip, zip.length - 30), "incomplete");
        refused(RawTorch.archive(Map.of("readme.txt", new byte[3]), false), "no PyTorch checkpoint");
        refused(new Pickle().text("hello").end(), "no PyTorch checkpoint");
        refused(zip(new Pickle().op('(', 'Q').end()), "takes more values than it made");
        refused(zip(new Pickle().op('h', 9).end()), "refers to value 9");
        refused(zip(new Pickle().op(0xff).end()), "unknown opcode 255");
        refused(zip(new Pickle().op('X', 255, 255, 255, 255).end()), "ends where 4294967295 more bytes are due");
    }

    private static byte[] tensor(List<Long> shape, List<Long> strides, long offset) {
        var tensor = new Tensor("ByteStorage", shape, strides, new byte[6], 1);
        var entries = new LinkedHashMap<String, byte[]>();
        entries.put(
                "x/data.pkl",
                new Pickle()
                        .op('}')
                        .text("a")
                        .tensor("0", tensor, offset)
                        .op('s')
                        .end());
        entries.put("x/data/0", tensor.values());
        return RawTorch.archive(entries, false);
    }

    private static byte[] zip(byte[] object) {
        return RawTorch.archive(Map.of("x/data.pkl", object), false);
    }

    private static Map<String, TensorSource> read(boolean zip, Map<String, Tensor> tensors) throws Exception {
        byte[] file = zip ? RawTorch.zip(tensors, Map.of()) : RawTorch.legacy(tensors, Map.of());
        return ModelReader.read(PATH, MemorySegment.ofArray(file)).tensors();
    }

    private static byte[] bytes(TensorSource tensor) {
        return tensor.values(Arena.ofAuto()).toArray(ValueLayout.JAVA_BYTE);
    }

    private static void refused(byte[] file, String... words) {
        var e = assertThrows(ModelFormatException.class, () -> ModelReader.read(PATH, MemorySegment.ofArray(file)));
        assertTrue(e.getMessage().startsWith(PATH + " "), e.getMessage());
        for (String word : words) {
            assertTrue(e.getMessage().contains(word), e.getMessage());
        }
    }

    static Path resource(String name) throws Exception {
        return Path.of(TorchReaderTest.class.getResource("formats/" + name).toURI());
    }
}
