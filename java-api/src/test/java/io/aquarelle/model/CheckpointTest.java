package io.aquarelle.model;

import static io.aquarelle.model.RawSafetensors.file;
import static io.aquarelle.model.RawSafetensors.tensor;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.zip.CRC32;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

class CheckpointTest {
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    @TempDir
    private Path folder;

    // Real files; the numbers were read from them by Python's safetensors and zlib

    @Test
    void aRealModelReadsAsPythonReadsIt() throws Exception {
        try (var model = Checkpoint.open(golden("sd1-nano"))) {
            assertEquals(730, model.tensors().size());
            assertEquals(
                    Map.of(
                            "family",
                            "sd1",
                            "note",
                            "random weights, test use only",
                            "clip_heads",
                            "4",
                            "num_heads",
                            "8"),
                    model.metadata());
            assertEquals(
                    "model.diffusion_model.time_embed.0.weight",
                    model.tensors().keySet().iterator().next());

            var kernel = model.tensors().get("model.diffusion_model.input_blocks.0.0.weight");
            assertEquals(DataType.F16, kernel.type());
            assertEquals(List.of(32L, 4L, 3L, 3L), kernel.shape());
            assertEquals(0x6eed57c5L, crc(model.data(kernel)));
            // [3][2][1][0]
            assertEquals(0.1845703125f, half(model.data(kernel), ((3 * 4 + 2) * 3 + 1) * 3));

            var bias = model.data(model.tensors().get("first_stage_model.decoder.conv_out.bias"));
            assertEquals(6, bias.byteSize());
            assertEquals(-0.0103912353515625f, half(bias, 0));
            assertEquals(0.0216217041015625f, half(bias, 1));
            assertEquals(-0.051422119140625f, half(bias, 2));

            var tokens =
                    model.tensors().get("cond_stage_model.transformer.text_model.embeddings.token_embedding.weight");
            assertEquals(List.of(1000L, 64L), tokens.shape());
            assertEquals(0x340c6400L, crc(model.data(tokens)));
        }
    }

    @Test
    void realTensorsOfOtherTypesReadAsPythonReadsThem() throws Exception {
        try (var golden = Checkpoint.open(golden("sd1-nano-golden"))) {
            assertEquals(18, golden.tensors().size());
            assertEquals("0.18215", golden.metadata().get("vae_scale"));

            var ids = golden.tensors().get("ids.cond");
            assertEquals(DataType.I64, ids.type());
            assertEquals(List.of(1L, 77L), ids.shape());
            assertEquals(998, golden.data(ids).getAtIndex(LONG, 0));
            assertEquals(506, golden.data(ids).getAtIndex(LONG, 5));
            assertEquals(0x385b6246L, crc(golden.data(ids)));

            var sigmas = golden.tensors().get("sample.sigmas");
            assertEquals(DataType.F32, sigmas.type());
            assertArrayEquals(
                    new float[] {14.61464f, 5.092408f, 2.2797306f, 1.1628646f, 0.5711889f, 0.02916716f, 0},
                    golden.data(sigmas).toArray(FLOAT));

            var text = golden.tensors().get("text.cond");
            assertEquals(-0.0013830714160576463f, golden.data(text).getAtIndex(FLOAT, 5 * 64 + 7));
            assertEquals(0x8ff7ff05L, crc(golden.data(text)));
            assertEquals(0x146bbf54L, crc(golden.data(golden.tensors().get("unet.eps.h24w8.t321"))));
        }
    }

    // Data

    @Test
    void dataIsTheTensorsPartOfTheFileAndReadOnly() throws Exception {
        Path path = write(file("{" + tensor("a", "U8", "[3]", 0, 3) + "," + tensor("b", "F32", "[1]", 3, 7) + "}", 7));
        try (var model = Checkpoint.open(path)) {
            MemorySegment b = model.data(model.tensors().get("b"));

            assertArrayEquals(new byte[] {3, 4, 5, 6}, b.toArray(ValueLayout.JAVA_BYTE));
            assertTrue(b.isReadOnly());
            assertEquals(path, model.path());
        }
    }

    @Test
    void aTensorOfAnotherFileIsRefused() throws Exception {
        try (var model = Checkpoint.open(write(file("{" + tensor("a", "U8", "[3]", 0, 3) + "}", 3)))) {
            var other = new TensorInfo("a", DataType.I8, List.of(3L));
            var stranger = new TensorInfo("x", DataType.U8, List.of(3L));

            assertThrows(IllegalArgumentException.class, () -> model.data(other));
            assertThrows(IllegalArgumentException.class, () -> model.data(stranger));
        }
    }

    @Test
    void tensorsAndMetadataCannotBeChanged() throws Exception {
        try (var model = Checkpoint.open(write(file("{\"__metadata__\":{\"a\":\"b\"}}", 0)))) {
            assertThrows(
                    UnsupportedOperationException.class, () -> model.tensors().clear());
            assertThrows(
                    UnsupportedOperationException.class, () -> model.metadata().clear());
        }
    }

    @Test
    void filesBeyondTwoGigabytesAreMapped() throws Exception {
        long size = 5L << 30;
        Path path = folder.resolve("large.safetensors");
        String header = "{" + tensor("a", "F16", "[" + (size / 2 - 1) + "]", 0, size - 2) + ","
                + tensor("b", "F16", "[1]", size - 2, size) + "}";
        try (var channel = FileChannel.open(
                path, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE, StandardOpenOption.SPARSE)) {
            byte[] start = file(header, 0);
            channel.write(ByteBuffer.wrap(start));
            channel.write(ByteBuffer.wrap(new byte[] {7, 9}), start.length + size - 2);
        }
        try (var model = Checkpoint.open(path)) {
            assertEquals(size - 2, model.data(model.tensors().get("a")).byteSize());
            assertArrayEquals(
                    new byte[] {7, 9}, model.data(model.tensors().get("b")).toArray(ValueLayout.JAVA_BYTE));
        }
    }

    // Closing

    @Test
    void theLastToCloseUnmaps() throws Exception {
        var first = Checkpoint.open(write(file("{" + tensor("a", "U8", "[3]", 0, 3) + "}", 3)));
        var second = first.retain();
        var a = first.tensors().get("a");
        MemorySegment data = first.data(a);

        first.close();
        assertEquals(1, data.get(ValueLayout.JAVA_BYTE, 1));
        assertEquals(2, second.data(a).get(ValueLayout.JAVA_BYTE, 2));
        var e = assertThrows(IllegalStateException.class, () -> first.data(a));
        assertTrue(e.getMessage().contains(first.path().toString()), e.getMessage());
        assertThrows(IllegalStateException.class, first::retain);

        second.close();
        assertThrows(IllegalStateException.class, () -> data.get(ValueLayout.JAVA_BYTE, 1));
        assertThrows(IllegalStateException.class, () -> second.data(a));
        assertThrows(IllegalStateException.class, second::retain);
        assertEquals(1, second.tensors().size());
    }

    @Test
    void closingTwiceTakesNothingFromTheOthers() throws Exception {
        var first = Checkpoint.open(write(file("{" + tensor("a", "U8", "[3]", 0, 3) + "}", 3)));
        try (var second = first.retain()) {
            first.close();
            first.close();
            assertEquals(2, second.data(second.tensors().get("a")).get(ValueLayout.JAVA_BYTE, 2));
        }
        assertThrows(IllegalStateException.class, first::retain);
    }

    @Test
    void checkpointsOnManyThreadsAreCounted() throws Exception {
        var model = Checkpoint.open(write(file("{" + tensor("a", "U8", "[3]", 0, 3) + "}", 3)));
        var a = model.tensors().get("a");
        MemorySegment data = model.data(a);
        try (var threads = Executors.newFixedThreadPool(4)) {
            var done = new ArrayList<Future<?>>();
            for (int t = 0; t < 4; t++) {
                var mine = model.retain();
                done.add(threads.submit(() -> {
                    for (int i = 0; i < 10_000; i++) {
                        try (var own = mine.retain()) {
                            assertEquals(2, own.data(a).get(ValueLayout.JAVA_BYTE, 2));
                        }
                    }
                    mine.close();
                }));
            }
            for (var thread : done) {
                thread.get();
            }
        }
        assertEquals(3, model.data(a).byteSize());
        model.close();
        assertThrows(IllegalStateException.class, () -> data.get(ValueLayout.JAVA_BYTE, 1));
    }

    // What cannot be opened

    @Test
    void aMissingFileIsNamed() {
        Path path = folder.resolve("missing.safetensors");
        var e = assertThrows(NoSuchFileException.class, () -> Checkpoint.open(path));

        assertEquals(path + ": there is no such file; check the path", e.getMessage());
    }

    @Test
    void aFolderIsNoModel() {
        var e = assertThrows(ModelFormatException.class, () -> Checkpoint.open(folder));

        assertTrue(e.getMessage().startsWith(folder + " is a folder"), e.getMessage());
    }

    @Test
    void anEmptyFileIsNoModel() throws Exception {
        Path path = write(new byte[0]);
        var e = assertThrows(ModelFormatException.class, () -> Checkpoint.open(path));

        assertTrue(e.getMessage().startsWith(path + " is empty"), e.getMessage());
    }

    @Test
    @DisabledOnOs(OS.WINDOWS)
    void anUnreadableFileIsNamed() throws Exception {
        Path path = write(file("{}", 0));
        Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("---------"));
        assumeFalse(Files.isReadable(path), "this user may read everything");
        var e = assertThrows(AccessDeniedException.class, () -> Checkpoint.open(path));

        assertEquals(path + ": you may not read it; change its permissions", e.getMessage());
    }

    @Test
    @DisabledOnOs(OS.WINDOWS)
    @Timeout(value = 30, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
    void pipesAndDevicesAreRefusedAtOnce() throws Exception {
        Path pipe = folder.resolve("pipe");
        assertEquals(0, new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor());

        for (Path path : List.of(pipe, Path.of("/dev/zero"))) {
            var e = assertThrows(ModelFormatException.class, () -> Checkpoint.open(path));
            assertTrue(e.getMessage().startsWith(path + " is a pipe or a device"), e.getMessage());
        }
    }

    @Test
    void aRefusedFileIsNotKeptOpen() throws Exception {
        Path path = write(file("{}", 1));
        assertThrows(ModelFormatException.class, () -> Checkpoint.open(path));
        Files.delete(path);

        assertFalse(Files.exists(path));
        if (Files.isReadable(Path.of("/proc/self/maps"))) {
            assertFalse(Files.readString(Path.of("/proc/self/maps")).contains(path.toString()));
        }
    }

    private Path write(byte[] bytes) throws IOException {
        return Files.write(folder.resolve("model.safetensors"), bytes);
    }

    private static Path golden(String name) throws Exception {
        return Path.of(CheckpointTest.class
                .getResource("golden/" + name + ".safetensors")
                .toURI());
    }

    private static float half(MemorySegment data, long index) {
        return Float.float16ToFloat(data.getAtIndex(SHORT, index));
    }

    private static long crc(MemorySegment data) {
        var crc = new CRC32();
        crc.update(data.asByteBuffer());
        return crc.getValue();
    }
}
