package io.aquarelle.model;

import static io.aquarelle.model.RawSafetensors.file;
import static io.aquarelle.model.RawSafetensors.tensor;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;
import org.junit.jupiter.api.Test;

class SafetensorsReaderTest {
    private static final Path PATH = Path.of("some", "model.safetensors");

    // What is read

    @Test
    void tensorsAndMetadataAreReadInFileOrder() throws Exception {
        String header = "{" + tensor("b", "F16", "[2,3]", 4, 16) + ",\"__metadata__\":{\"z\":\"1\",\"y\":\"é\"},"
                + tensor("a", "F32", "[]", 0, 4) + "," + tensor("none", "I64", "[0,7]", 4, 4) + "}   ";
        var read = SafetensorsReader.read(PATH, MemorySegment.ofArray(file(header, 16)));

        assertEquals(
                List.of(
                        new TensorInfo("b", DataType.F16, List.of(2L, 3L)),
                        new TensorInfo("a", DataType.F32, List.of()),
                        new TensorInfo("none", DataType.I64, List.of(0L, 7L))),
                read.tensors().values().stream().map(TensorSource::info).toList());
        assertArrayEquals(new byte[] {4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, bytes(read, "b"));
        assertArrayEquals(new byte[] {0, 1, 2, 3}, bytes(read, "a"));
        assertEquals(List.of("b", "a", "none"), new ArrayList<>(read.tensors().keySet()));
        assertEquals(List.of("z", "y"), new ArrayList<>(read.metadata().keySet()));
        assertEquals("é", read.metadata().get("y"));
    }

    @Test
    void aFileWithoutTensorsIsRead() throws Exception {
        var read = SafetensorsReader.read(PATH, MemorySegment.ofArray(file("{}", 0)));

        assertEquals(Map.of(), read.tensors());
        assertEquals(Map.of(), read.metadata());
    }

    @Test
    void everyTypeIsRead() throws Exception {
        for (DataType type : DataType.values()) {
            if (type.isQuantised()) {
                continue;
            }
            long size = type.bytes(2);
            String header = "{" + tensor("t", type.name(), "[2]", 0, size) + "}";
            var read = SafetensorsReader.read(PATH, MemorySegment.ofArray(file(header, (int) size)));

            assertEquals(type, read.tensors().get("t").info().type());
        }
    }

    @Test
    void unknownFieldsOfATensorAreIgnored() throws Exception {
        String header = "{\"t\":{\"dtype\":\"U8\",\"new\":{\"x\":[1]},\"shape\":[1],\"data_offsets\":[0,1]}}";

        assertEquals(
                1,
                SafetensorsReader.read(PATH, MemorySegment.ofArray(file(header, 1)))
                        .tensors()
                        .size());
    }

    // What is not a safetensors file

    @Test
    void anEmptyFile() {
        refused(new byte[0], "is empty", "download");
    }

    @Test
    void aFileShorterThanTheLength() {
        refused(new byte[7], "only 7 bytes");
    }

    @Test
    void aHeaderLongerThanTheFile() {
        refused(file(3, new byte[2], 0), "10 bytes", "header of 3 bytes", "download");
    }

    @Test
    void aHeaderOfEightExabytesAndMore() {
        refused(file(1L << 60, "{}".getBytes(), 0), "header of 1152921504606846976 bytes");
        refused(file(-1, "{}".getBytes(), 0), "header of 18446744073709551615 bytes");
    }

    @Test
    void aHeaderBeyondTheFormatsLimit() {
        byte[] spaces = new byte[(int) SafetensorsReader.MAX_HEADER + 1];
        refused(file(spaces, 0), "header of 100000001 bytes");
    }

    @Test
    void aHeaderOfNoLength() {
        refused(file("", 0), "header of 0 bytes");
    }

    @Test
    void otherFiles() {
        refused("random bytes, all of them".getBytes(), "not a safetensors file");
    }

    // Headers that are not right

    @Test
    void aHeaderThatIsNotUtf8() {
        refused(file(new byte[] {'{', '"', (byte) 0xC3, '(', '"', ':', '1', '}'}, 0), "not UTF-8");
        refused(file(new byte[] {'{', '"', (byte) 0xED, (byte) 0xA0, (byte) 0x80, '"', ':', '1', '}'}, 0), "not UTF-8");
    }

    @Test
    void aHeaderThatIsNotJson() {
        refused(file("{\"a\":", 0), "not valid JSON", "character 5");
        refused(file("\0\0\0\0", 0), "not valid JSON", "character 0");
    }

    @Test
    void aHeaderThatIsNotAnObject() {
        refused(file("[1, 2]", 0), "not a JSON object");
        refused(file("null", 0), "not a JSON object");
    }

    @Test
    void deepNesting() {
        refused(file("{\"a\":" + "[".repeat(100_000), 0), "levels of brackets");
    }

    @Test
    void aTensorTwice() {
        refused(
                file("{" + tensor("t", "U8", "[1]", 0, 1) + "," + tensor("t", "U8", "[1]", 1, 2) + "}", 2),
                "\"t\" occurs twice");
    }

    @Test
    void tooManyTensors() {
        var header = new StringJoiner(",", "{", "}");
        for (int i = 0; i <= ModelContents.MAX_TENSORS; i++) {
            header.add(tensor("t" + i, "U8", "[0]", 0, 0));
        }
        refused(file(header.toString(), 0), "more than 100000 tensors");
    }

    @Test
    void metadataThatIsNotText() {
        refused(file("{\"__metadata__\":[]}", 0), "metadata", "not an object");
        refused(file("{\"__metadata__\":null}", 0), "metadata", "not an object");
        refused(file("{\"__metadata__\":{\"a\":1}}", 0), "metadata", "'a' is not text");
    }

    // Tensors that are not right

    @Test
    void aTensorThatIsNotAnObject() {
        refused(file("{\"t\":[]}", 0), "tensor 't'", "object");
    }

    @Test
    void aNameThatNativeCodeWouldCutShort() {
        refused(file("{" + tensor("t\\u0000x", "U8", "[1]", 0, 1) + "}", 1), "NUL");
    }

    @Test
    void missingFields() {
        refused(file("{\"t\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1), "tensor 't'", "dtype");
        refused(file("{\"t\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1), "tensor 't'", "shape");
        refused(file("{\"t\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1), "tensor 't'", "data_offsets");
    }

    @Test
    void fieldsOfTheWrongType() {
        refused(file("{\"t\":{\"dtype\":3,\"shape\":[1],\"data_offsets\":[0,1]}}", 1), "tensor 't'", "dtype");
        refused(file("{\"t\":{\"dtype\":\"U8\",\"shape\":1,\"data_offsets\":[0,1]}}", 1), "tensor 't'", "list shape");
        refused(
                file("{\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":{}}}", 1),
                "tensor 't'",
                "list data_offsets");
        refused(file("{\"t\":{\"dtype\":\"U8\",\"shape\":[null],\"data_offsets\":[0,1]}}", 1), "'null' in its shape");
        refused(file("{\"t\":{\"dtype\":\"U8\",\"shape\":[\"1\"],\"data_offsets\":[0,1]}}", 1), "'1' in its shape");
    }

    @Test
    void anUnknownType() {
        refused(file("{" + tensor("t", "F4", "[1]", 0, 1) + "}", 1), "tensor 't'", "unknown type 'F4'", "convert");
    }

    @Test
    void aNegativeNumber() {
        refused(file("{" + tensor("t", "U8", "[-1]", 0, 1) + "}", 1), "tensor 't'", "'-1' in its shape");
        refused(file("{" + tensor("t", "U8", "[1]", -1, 0) + "}", 1), "tensor 't'", "'-1' in its data_offsets");
    }

    @Test
    void aFractionalNumber() {
        refused(file("{" + tensor("t", "U8", "[1.5]", 0, 1) + "}", 1), "tensor 't'", "'1.5' in its shape");
        refused(file("{" + tensor("t", "U8", "[1e0]", 0, 1) + "}", 1), "tensor 't'", "'1.0' in its shape");
    }

    @Test
    void aNumberBeyondALong() {
        refused(file("{" + tensor("t", "U8", "[18446744073709551616]", 0, 1) + "}", 1), "tensor 't'", "in its shape");
    }

    @Test
    void aShapeWhoseProductOverflows() {
        refused(
                file("{" + tensor("t", "U8", "[4294967296,4294967296]", 0, 0) + "}", 0),
                "tensor 't'",
                "larger than any file");
        refused(
                file("{" + tensor("t", "F64", "[2305843009213693952]", 0, 0) + "}", 0),
                "tensor 't'",
                "larger than any file");
    }

    @Test
    void tooManyDimensions() {
        refused(file("{" + tensor("t", "U8", "[1,1,1,1,1,1,1,1,1]", 0, 1) + "}", 1), "tensor 't'", "9 dimensions");
    }

    @Test
    void aSizeThatDoesNotFitTheShape() {
        refused(file("{" + tensor("t", "F16", "[3]", 0, 5) + "}", 5), "tensor 't'", "takes 6 bytes", "5 are given");
    }

    @Test
    void offsetsThatAreNotAPair() {
        refused(
                file("{\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 1),
                "tensor 't'",
                "begin and an end");
        refused(
                file("{\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,2]}}", 1),
                "tensor 't'",
                "begin and an end");
        refused(file("{" + tensor("t", "U8", "[1]", 1, 0) + "}", 1), "tensor 't'", "begin and an end");
    }

    @Test
    void offsetsBeyondTheFile() {
        refused(file("{" + tensor("t", "U8", "[8]", 0, 8) + "}", 7), "incomplete", "tensor 't'", "download");
        long end = Long.MAX_VALUE;
        refused(file("{" + tensor("t", "U8", "[1]", end - 1, end) + "}", 7), "incomplete", "tensor 't'");
    }

    @Test
    void tensorsThatOverlap() {
        String same = tensor("a", "U8", "[4]", 0, 4) + "," + tensor("b", "U8", "[4]", 0, 4);
        String partly = tensor("a", "U8", "[4]", 0, 4) + "," + tensor("b", "U8", "[4]", 3, 7);
        refused(file("{" + same + "}", 4), "tensor 'b'", "overlaps");
        refused(file("{" + partly + "}", 7), "tensor 'b'", "overlaps");
    }

    @Test
    void bytesThatBelongToNoTensor() {
        String gap = tensor("a", "U8", "[4]", 0, 4) + "," + tensor("b", "U8", "[4]", 5, 9);
        refused(file("{" + gap + "}", 9), "tensor 'b'", "after 1 bytes that belong to no tensor");
        refused(file("{" + tensor("a", "U8", "[4]", 0, 4) + "}", 6), "2 bytes after the last tensor");
        refused(file("{}", 1), "1 bytes after the last tensor");
    }

    @Test
    void hostileNamesStayOnOneShortLine() {
        String name = "line\\nnext\\u001b[31m\\u202e" + "x".repeat(100_000);
        refused(file("{" + tensor(name, "U8", "[2]", 0, 1) + "}", 1), "tensor 'line?next?[31m?xxx");
    }

    private static byte[] bytes(ModelContents contents, String tensor) {
        return contents.tensors().get(tensor).values(Arena.ofAuto()).toArray(ValueLayout.JAVA_BYTE);
    }

    private static void refused(byte[] bytes, String... words) {
        var e = assertThrows(
                ModelFormatException.class, () -> SafetensorsReader.read(PATH, MemorySegment.ofArray(bytes)));
        String message = e.getMessage();
        assertTrue(message.startsWith(PATH + " "), message);
        assertTrue(message.contains("download") || message.contains("convert") || message.contains("git lfs"), message);
        assertTrue(message.length() < 500, message);
        assertFalse(message.contains("\n"), message);
        for (String word : words) {
            assertTrue(message.contains(word), () -> "'" + word + "' in: " + message);
        }
    }
}
