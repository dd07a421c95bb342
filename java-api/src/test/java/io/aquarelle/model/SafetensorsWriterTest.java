package io.aquarelle.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

class SafetensorsWriterTest {
    private static final List<TensorInfo> TWO = List.of(
            new TensorInfo("odd \"name\"\n", DataType.U8, List.of(3L)),
            new TensorInfo("é", DataType.F16, List.of(2L, 1L)));

    @TempDir
    private Path folder;

    private Path out;

    @BeforeEach
    void nameTheFile() {
        out = folder.resolve("out.safetensors");
    }

    @Test
    void theFileHasTheFormatsBytes() throws Exception {
        var metadata = new LinkedHashMap<>(Map.of("k", "v"));
        writeTwo(metadata);

        String header = "{\"__metadata__\":{\"k\":\"v\"},"
                + "\"odd \\\"name\\\"\\u000a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
                + "\"é\":{\"dtype\":\"F16\",\"shape\":[2,1],\"data_offsets\":[3,7]}}";
        int length = header.getBytes(StandardCharsets.UTF_8).length;
        int padded = (length + 7) / 8 * 8;
        ByteBuffer expected = ByteBuffer.allocate(8 + padded + 7).order(ByteOrder.LITTLE_ENDIAN);
        expected.putLong(padded).put(header.getBytes(StandardCharsets.UTF_8));
        expected.put(" ".repeat(padded - length).getBytes()).put(new byte[] {1, 2, 3, 4, 5, 6, 7});
        assertArrayEquals(expected.array(), Files.readAllBytes(out));
    }

    @Test
    void whatIsWrittenReadsBack() throws Exception {
        writeTwo(Map.of());

        try (var model = Checkpoint.open(out)) {
            assertEquals(
                    List.of("odd \"name\"\n", "é"),
                    new ArrayList<>(model.tensors().keySet()));
            var second = model.tensors().get("é");
            assertEquals(DataType.F16, second.type());
            assertEquals(List.of(2L, 1L), second.shape());
            assertArrayEquals(new byte[] {4, 5, 6, 7}, model.data(second).toArray(ValueLayout.JAVA_BYTE));
            assertEquals(Map.of(), model.metadata());
        }
    }

    @Test
    void anOlderFileStaysUntilTheNewOneIsComplete() throws Exception {
        Files.writeString(out, "old");
        try (var writer = new SafetensorsWriter(out, TWO, Map.of())) {
            writer.write(writer.tensors().get(0), 0, ByteBuffer.wrap(new byte[3]));
            assertEquals("old", Files.readString(out));
        }
        assertEquals("old", Files.readString(out));
        assertEquals(List.of(out), files());

        writeTwo(Map.of());
        assertEquals(List.of(out), files());
        Checkpoint.open(out).close();
    }

    @Test
    void anIncompleteFileIsNotCommitted() throws Exception {
        try (var writer = new SafetensorsWriter(out, TWO, Map.of())) {
            writer.write(writer.tensors().get(0), 0, ByteBuffer.wrap(new byte[3]));
            writer.write(writer.tensors().get(1), 2, ByteBuffer.wrap(new byte[2]));
            assertThrows(IllegalStateException.class, writer::commit);
        }
        assertEquals(List.of(), files());
    }

    @Test
    void nothingIsWrittenOutsideATensor() throws Exception {
        try (var writer = new SafetensorsWriter(out, TWO, Map.of())) {
            var first = writer.tensors().get(0);
            for (long position : new long[] {-1, 2, 3, Long.MAX_VALUE}) {
                assertThrows(
                        IllegalArgumentException.class, () -> writer.write(first, position, ByteBuffer.allocate(2)));
            }
        }
    }

    @Test
    void aNameTwiceIsRefusedAndLeavesNothing() throws Exception {
        var twice = List.of(TWO.get(0), TWO.get(0));

        assertThrows(IllegalArgumentException.class, () -> new SafetensorsWriter(out, twice, Map.of()));
        assertEquals(List.of(), files());
    }

    @Test
    void aFullDiskIsNamedBeforeWriting() throws Exception {
        long exabyte = 1_000_000_000_000_000_000L;
        var huge = List.of(new TensorInfo("t", DataType.U8, List.of(exabyte)));
        var e = assertThrows(IOException.class, () -> new SafetensorsWriter(out, huge, Map.of()));

        assertTrue(e.getMessage().startsWith(out + " needs 1000000000.00 GB, but its disk has only "), e.getMessage());
        assertEquals(List.of(), files());
    }

    @Test
    void aMissingFolderIsNamed() {
        Path lost = folder.resolve("none").resolve("out.safetensors");
        var e = assertThrows(NoSuchFileException.class, () -> new SafetensorsWriter(lost, TWO, Map.of()));

        assertEquals(lost + ": its folder does not exist; create it first", e.getMessage());
    }

    @Test
    void aFolderIsNotReplaced() throws Exception {
        Files.createDirectory(out);
        var e = assertThrows(IOException.class, () -> new SafetensorsWriter(out, TWO, Map.of()));

        assertTrue(e.getMessage().contains("is not a file"), e.getMessage());
        assertTrue(Files.isDirectory(out));
    }

    @Test
    @DisabledOnOs(OS.WINDOWS)
    void aLinkStaysAndItsTargetIsReplaced() throws Exception {
        Path target = Files.writeString(folder.resolve("target.safetensors"), "old");
        Files.createSymbolicLink(out, target);
        writeTwo(Map.of());

        assertTrue(Files.isSymbolicLink(out));
        Checkpoint.open(target).close();
    }

    @Test
    @DisabledOnOs(OS.WINDOWS)
    void devicesAreNotReplaced() {
        assertThrows(IOException.class, () -> new SafetensorsWriter(Path.of("/dev/null"), TWO, Map.of()));
    }

    /** The second tensor in two parts, in reverse order. */
    private void writeTwo(Map<String, String> metadata) throws IOException {
        try (var writer = new SafetensorsWriter(out, TWO, metadata)) {
            writer.write(writer.tensors().get(1), 2, ByteBuffer.wrap(new byte[] {6, 7}));
            writer.write(writer.tensors().get(1), 0, ByteBuffer.wrap(new byte[] {4, 5}));
            writer.write(writer.tensors().get(0), 0, ByteBuffer.wrap(new byte[] {1, 2, 3}));
            writer.commit();
        }
    }

    private List<Path> files() throws IOException {
        try (var files = Files.list(folder)) {
            return files.toList();
        }
    }
}
