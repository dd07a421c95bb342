package io.aquarelle.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GgufReaderTest {
    private static final Path PATH = Path.of("some", "model.gguf");
    private static final int F32 = 0;
    private static final int F16 = 1;
    private static final int Q8_0 = 8;

    // What is read

    @ParameterizedTest
    @ValueSource(ints = {2, 3})
    void tensorsAndMetadataAreRead(int version) throws Exception {
        byte[] file = new RawGguf(version, 2, 6)
                .entry("general.name", "nano")
                .text("small")
                .i32(0)
                .raw("\7")
                .text("negative")
                .i32(5)
                .i32(-3)
                .text("yes")
                .i32(7)
                .raw("\1")
                .text("half")
                .i32(12)
                .i64(Double.doubleToLongBits(0.5))
                .text("list")
                .i32(9)
                .i32(4)
                .i64(3)
                .i32(1)
                .i32(2)
                .i32(3)
                .tensor("b", F16, 32, 3, 2)
                .tensor("a", F32, 0, 2)
                .data(32, 44);
        var read = read(file);

        assertEquals(List.of("b", "a"), List.copyOf(read.tensors().keySet()));
        assertEquals(
                new TensorInfo("b", DataType.F16, List.of(2L, 3L)),
                read.tensors().get("b").info());
        assertArrayEquals(new byte[] {32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43}, bytes(read, "b"));
        assertArrayEquals(new byte[] {0, 1, 2, 3, 4, 5, 6, 7}, bytes(read, "a"));
        assertFalse(read.tensors().get("a").copies());
        assertEquals(
                List.of("general.name=nano", "small=7", "negative=-3", "yes=true", "half=0.5", "list=[1, 2, 3]"),
                read.metadata().entrySet().stream().map(Object::toString).toList());
    }

    @Test
    void anotherAlignmentIsFollowed() throws Exception {
        byte[] file = new RawGguf(3, 1, 1)
                .text("general.alignment")
                .i32(4)
                .i32(8)
                .tensor("a", F32, 8, 1)
                .data(8, 12);
        assertArrayEquals(new byte[] {8, 9, 10, 11}, bytes(read(file), "a"));
    }

    @Test
    void flattenedKernelsGetTheirShapeBack() throws Exception {
        byte[] file = new RawGguf(3, 1, 1)
                .text("comfy.gguf.orig_shape.k")
                .i32(9)
                .i32(5)
                .i64(4)
                .i32(2)
                .i32(32)
                .i32(3)
                .i32(3)
                .tensor("k", Q8_0, 0, 288, 2)
                .data(32, 2 * 9 * 34);
        var read = read(file);

        assertEquals(
                new TensorInfo("k", DataType.Q8_0, List.of(2L, 32L, 3L, 3L)),
                read.tensors().get("k").info());
        assertTrue(read.metadata().isEmpty());
    }

    @Test
    void longListsArePassedOver() throws Exception {
        var file = new RawGguf(3, 1, 2).text("tokens").i32(9).i32(8).i64(1000);
        for (int i = 0; i < 1000; i++) {
            file.text("token" + i);
        }
        file.text("scores").i32(9).i32(6).i64(1000);
        for (int i = 0; i < 1000; i++) {
            file.i32(0);
        }
        var read = read(file.tensor("a", F32, 0, 1).data(32, 4));

        assertTrue(read.metadata().get("tokens").endsWith("token15, ... 1000 in all]"));
        assertArrayEquals(new byte[] {0, 1, 2, 3}, bytes(read, "a"));
    }

    // What is not right

    @Test
    @Timeout(10)
    void countsBeyondAnyModel() {
        refused(new RawGguf(3, Long.MIN_VALUE, 0).data(32, 0), "claims 9223372036854775808 tensors");
        refused(new RawGguf(3, Long.MAX_VALUE, 0).data(32, 0), "claims 9223372036854775807 tensors");
        refused(new RawGguf(3, 0, -1).data(32, 0), "claims 18446744073709551615 entries");
        refused(new RawGguf(3, 50_000, 0).data(32, 0), "ends where");
    }

    @Test
    void otherVersions() {
        refused(new RawGguf(1, 0, 0).data(32, 0), "version 1");
        refused(new RawGguf(4, 0, 0).data(32, 0), "version 4");
        refused(new RawGguf(0x03000000, 0, 0).data(32, 0), "big-endian");
        refused(Arrays.copyOf(new RawGguf(3, 0, 0).data(1, 0), 20), "ends where 8 more bytes are due");
    }

    @Test
    void dimensionsThatCannotBe() {
        refused(new RawGguf(3, 1, 0).tensor("t", F32, 0, -1).data(32, 4), "tensor 't'", "18446744073709551615");
        refused(
                new RawGguf(3, 1, 0).tensor("t", F32, 0, 1L << 32, 1L << 32).data(32, 4),
                "tensor 't'",
                "larger than any file");
        refused(new RawGguf(3, 1, 0).tensor("t", F32, 0, 1L << 61).data(32, 4), "tensor 't'", "larger than any file");
        refused(new RawGguf(3, 1, 0).tensor("t", Q8_0, 0, 33).data(32, 40), "tensor 't'", "blocks of 32");
        refused(new RawGguf(3, 1, 0).tensor("t", F32, 0, new long[9]).data(32, 0), "tensor 't'", "9 dimensions");
    }

    @Test
    void placesOutsideOfTheFile() {
        refused(new RawGguf(3, 1, 0).tensor("t", F32, 32, 1).data(32, 35), "incomplete", "tensor 't'");
        refused(new RawGguf(3, 1, 0).tensor("t", F32, 0, 2).data(32, 7), "incomplete", "tensor 't'");
        refused(new RawGguf(3, 1, 0).tensor("t", F32, -32, 1).data(32, 7), "tensor 't'", "offset");
        refused(new RawGguf(3, 1, 0).tensor("t", F32, Long.MAX_VALUE - 31, 1).data(32, 7), "incomplete", "tensor 't'");
        refused(new RawGguf(3, 1, 0).tensor("t", F32, 4, 1).data(32, 8), "tensor 't'", "no multiple of 32");
    }

    @Test
    void namesAndPlacesTwice() {
        refused(
                new RawGguf(3, 2, 0)
                        .tensor("t", F32, 0, 1)
                        .tensor("t", F32, 32, 1)
                        .data(32, 36),
                "tensor 't'",
                "twice");
        refused(
                new RawGguf(3, 2, 0)
                        .tensor("a", F32, 0, 16)
                        .tensor("b", F32, 32, 1)
                        .data(32, 64),
                "tensor 'b'",
                "overlaps");
        refused(new RawGguf(3, 0, 2).entry("k", "v").entry("k", "v").data(32, 0), "'k' twice");
    }

    @Test
    void typesThatNobodyKnows() {
        refused(new RawGguf(3, 1, 0).tensor("t", 31, 0, 32).data(32, 64), "tensor 't'", "unknown type 31");
        refused(new RawGguf(3, 1, 0).tensor("t", -1, 0, 32).data(32, 64), "tensor 't'", "unknown type 4294967295");
        refused(new RawGguf(3, 0, 1).text("k").i32(13).data(32, 8), "unknown type 13");
        refused(new RawGguf(3, 0, 1).text("k").i32(9).i32(99).i64(1).data(32, 8), "unknown type 99");
    }

    @Test
    void originalShapesThatDoNotFit() {
        for (int[] shape : new int[][] {{2, 32, 3, 2}, {2, -32, 3, -3}, {1, 64, 3, 3, 1, 1, 1, 1, 1}}) {
            var file = new RawGguf(3, 1, 1)
                    .text("comfy.gguf.orig_shape.t")
                    .i32(9)
                    .i32(5)
                    .i64(shape.length);
            for (int length : shape) {
                file.i32(length);
            }
            refused(file.tensor("t", Q8_0, 0, 288, 2).data(32, 612), "tensor 't'");
        }
        refused(new RawGguf(3, 1, 1).entry("comfy.gguf.orig_shape.t", "1").data(32, 0), "tensor 't'", "list");
    }

    @Test
    void alignmentsThatCannotBe() {
        for (int alignment : new int[] {0, 3, -1, 48}) {
            refused(
                    new RawGguf(3, 0, 1)
                            .text("general.alignment")
                            .i32(4)
                            .i32(alignment)
                            .data(32, 0),
                    "general.alignment",
                    "power of two");
        }
        refused(new RawGguf(3, 0, 1).entry("general.alignment", "32").data(32, 0), "general.alignment");
    }

    @Test
    @Timeout(10)
    void listsThatAreLongerThanTheFileOrTooDeep() {
        refused(new RawGguf(3, 0, 1).text("k").i32(9).i32(8).i64(Long.MAX_VALUE).data(32, 99), "more than its bytes");
        refused(new RawGguf(3, 0, 1).text("k").i32(9).i32(0).i64(-1).data(32, 99), "more than its bytes");
        var deep = new RawGguf(3, 0, 1).text("k").i32(9);
        for (int i = 0; i < 10; i++) {
            deep.i32(9).i64(1);
        }
        refused(deep.data(32, 99), "lists in lists");
        refused(new RawGguf(3, 0, 1).i64(Long.MAX_VALUE).data(32, 99), "ends where 9223372036854775807");
        refused(new RawGguf(3, 0, 1).i64(-5).data(32, 99), "ends where 18446744073709551611");
    }

    static ModelContents read(byte[] file) throws ModelFormatException {
        return ModelReader.read(PATH, MemorySegment.ofArray(file));
    }

    private static byte[] bytes(ModelContents contents, String tensor) {
        return contents.tensors().get(tensor).values(Arena.ofAuto()).toArray(ValueLayout.JAVA_BYTE);
    }

    private static void refused(byte[] file, String... words) {
        var e = assertThrows(ModelFormatException.class, () -> read(file));
        assertTrue(e.getMessage().startsWith(PATH + " "), e.getMessage());
        for (String word : words) {
            assertTrue(e.getMessage().contains(word), e.getMessage());
        }
    }
}
