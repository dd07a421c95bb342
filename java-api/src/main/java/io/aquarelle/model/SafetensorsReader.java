package io.aquarelle.model;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Reads the header of a safetensors file: 8 bytes with the header's length N (little-endian), N bytes of JSON, then the
 * data of the tensors.
 *
 * <pre>{@code {"__metadata__": {"key": "text"}, "name": {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]}}}</pre>
 *
 * <p>As the format's reference library does, it refuses files whose tensors overlap, leave bytes between them, or end
 * before the file does: no file in use needs such leniency, and a hole is a place to hide things. Unknown fields of a
 * tensor are ignored. Nothing is read before its bounds are checked.
 */
final class SafetensorsReader {
    /** The format's own limit. */
    static final long MAX_HEADER = 100_000_000;

    /** The first bytes of pictures, read as the length of a header. */
    private static final long PNG = 0x0a1a0a0d474e5089L;

    private static final long JPEG = 0xffd8ff;

    private static final int LENGTH_BYTES = 8;
    private static final String METADATA = "__metadata__";
    private static final String DAMAGED = "; the file is damaged: download or convert it again";
    private static final ValueLayout.OfLong LITTLE_ENDIAN_LONG =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /** A tensor as the header describes it, its bytes counted from the start of the file. */
    private record Entry(TensorInfo info, long begin, long end) {}

    private final Path path;
    private final MemorySegment file;

    private SafetensorsReader(Path path, MemorySegment file) {
        this.path = path;
        this.file = file;
    }

    /**
     * @param path for messages only
     * @param file all bytes of the file
     */
    static ModelContents read(Path path, MemorySegment file) throws ModelFormatException {
        return new SafetensorsReader(path, file).read();
    }

    private ModelContents read() throws ModelFormatException {
        long headerLength = headerLength();
        long dataStart = LENGTH_BYTES + headerLength;
        var entries = new ArrayList<Entry>();
        Map<String, String> metadata = Map.of();
        for (var member : header(headerLength).entrySet()) {
            String name = (String) member.getKey();
            if (name.equals(METADATA)) {
                metadata = metadata(member.getValue());
            } else if (entries.size() == ModelContents.MAX_TENSORS) {
                throw damaged("has more than " + ModelContents.MAX_TENSORS + " tensors");
            } else {
                entries.add(entry(name, member.getValue(), dataStart));
            }
        }
        checkLayout(entries, dataStart);
        var tensors = new LinkedHashMap<String, TensorSource>();
        for (Entry entry : entries) {
            MemorySegment bytes = file.asSlice(entry.begin, entry.end - entry.begin);
            tensors.put(entry.info.name(), new TensorSource.Plain(entry.info, bytes));
        }
        return new ModelContents(tensors, metadata);
    }

    private long headerLength() throws ModelFormatException {
        if (file.byteSize() == 0) {
            throw new ModelFormatException(path, "is empty; download or convert it again");
        }
        if (file.byteSize() < LENGTH_BYTES) {
            throw damaged("has only " + file.byteSize() + " bytes");
        }
        long length = file.get(LITTLE_ENDIAN_LONG, 0);
        if (length >= 2 && length <= Math.min(MAX_HEADER, file.byteSize() - LENGTH_BYTES)) {
            return length;
        }
        if (length == PNG || (length & 0xffffff) == JPEG) {
            throw new ModelFormatException(path, "is a picture, not a model");
        }
        throw new ModelFormatException(
                path,
                "has " + file.byteSize() + " bytes but claims a header of " + Long.toUnsignedString(length)
                        + " bytes; it is not a safetensors file, or is damaged: download or convert it again");
    }

    private Map<?, ?> header(long length) throws ModelFormatException {
        byte[] bytes = file.asSlice(LENGTH_BYTES, length).toArray(ValueLayout.JAVA_BYTE);
        try {
            String text = StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes))
                    .toString();
            if (Json.parse(text) instanceof Map<?, ?> header) {
                return header;
            }
            throw damaged("has a header that is not a JSON object");
        } catch (CharacterCodingException e) {
            throw damaged("has a header that is not UTF-8 text");
        } catch (Json.SyntaxException e) {
            throw damaged("has a header that is not valid JSON: " + e.getMessage());
        }
    }

    private Map<String, String> metadata(@Nullable Object value) throws ModelFormatException {
        var metadata = new LinkedHashMap<String, String>();
        if (!(value instanceof Map<?, ?> entries)) {
            throw damaged("has metadata (" + METADATA + ") that is not an object");
        }
        for (var entry : entries.entrySet()) {
            if (!(entry.getValue() instanceof String text)) {
                throw damaged("has metadata whose value for " + quote(entry.getKey()) + " is not text");
            }
            metadata.put((String) entry.getKey(), text);
        }
        return Collections.unmodifiableMap(metadata);
    }

    private Entry entry(String name, @Nullable Object value, long dataStart) throws ModelFormatException {
        if (name.indexOf('\0') >= 0) {
            throw damaged(name, "has a name with a NUL character");
        }
        if (!(value instanceof Map<?, ?> fields)) {
            throw damaged(name, "is not described by an object");
        }
        List<Long> shape = wholeNumbers(name, "shape", fields.get("shape"));
        List<Long> range = wholeNumbers(name, "data_offsets", fields.get("data_offsets"));
        if (shape.size() > ModelContents.MAX_RANK) {
            throw damaged(name, "has " + shape.size() + " dimensions, more than " + ModelContents.MAX_RANK);
        }
        if (range.size() != 2 || range.get(0) > range.get(1)) {
            throw damaged(name, "has data_offsets that are not a begin and an end");
        }
        if (range.get(1) > file.byteSize() - dataStart) {
            throw new ModelFormatException(
                    path,
                    "is incomplete: tensor " + quote(name) + " ends "
                            + range.get(1) + " bytes after the header, but the file " + (file.byteSize() - dataStart)
                            + "; download or convert it again");
        }
        DataType type = type(name, fields.get("dtype"));
        TensorInfo info;
        try {
            info = new TensorInfo(name, type, shape);
        } catch (IllegalArgumentException e) {
            throw damaged("has tensor " + quote(name) + ", whose " + e.getMessage());
        }
        long given = range.get(1) - range.get(0);
        if (given != info.byteSize()) {
            throw damaged("has tensor " + quote(name) + ", whose shape " + shape + " of type " + type + " takes "
                    + info.byteSize() + " bytes, but " + given + " are given");
        }
        return new Entry(info, dataStart + range.get(0), dataStart + range.get(1));
    }

    private DataType type(String tensor, @Nullable Object value) throws ModelFormatException {
        for (DataType type : DataType.values()) {
            if (!type.isQuantised() && type.name().equals(value)) {
                return type;
            }
        }
        if (!(value instanceof String)) {
            throw damaged(tensor, "has no dtype that is text");
        }
        throw new ModelFormatException(
                path,
                "has tensor " + quote(tensor) + " of the unknown type " + quote(value)
                        + "; convert it to F16 or F32 first");
    }

    private List<Long> wholeNumbers(String tensor, String field, @Nullable Object value) throws ModelFormatException {
        if (!(value instanceof List<?> list)) {
            throw damaged(tensor, "has no list " + field);
        }
        var numbers = new ArrayList<Long>(list.size());
        for (Object element : list) {
            if (!(element instanceof Long number) || number < 0) {
                throw damaged(
                        tensor,
                        "has " + quote(element) + " in its " + field
                                + ", which is not a whole number from 0 to 2^63 - 1");
            }
            numbers.add(number);
        }
        return numbers;
    }

    /** The tensors in order of their offsets must fill the file from {@code dataStart} to its end. */
    private void checkLayout(List<Entry> entries, long dataStart) throws ModelFormatException {
        var byOffset = new ArrayList<>(entries);
        byOffset.sort(Comparator.comparingLong(Entry::begin).thenComparingLong(Entry::end));
        long end = dataStart;
        for (Entry entry : byOffset) {
            String name = entry.info.name();
            if (entry.begin < end) {
                throw damaged(name, "overlaps another tensor");
            }
            if (entry.begin > end) {
                throw damaged(name, "comes after " + (entry.begin - end) + " bytes that belong to no tensor");
            }
            end = entry.end;
        }
        if (end < file.byteSize()) {
            throw damaged("has " + (file.byteSize() - end) + " bytes after the last tensor");
        }
    }

    private ModelFormatException damaged(String problem) {
        return new ModelFormatException(path, problem + DAMAGED);
    }

    private ModelFormatException damaged(String tensor, String problem) {
        return damaged("has tensor " + quote(tensor) + ", which " + problem);
    }

    private static String quote(@Nullable Object name) {
        return "'" + Json.shorten(String.valueOf(name)) + "'";
    }
}
