package io.aquarelle.model;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;

/**
 * Reads the header of a GGUF file, versions 2 and 3, little-endian (ggml's docs/gguf.md):
 *
 * <pre>
 * "GGUF", u32 version, u64 tensors, u64 entries
 * an entry:  text key, u32 type, value                        text: u64 length, UTF-8
 * a tensor:  text name, u32 rank, u64 dimensions (fastest first), u32 type, u64 offset
 * zeros up to a multiple of general.alignment (32), then the data, from which offsets count
 * </pre>
 *
 * <p>ggml divides the fastest dimension into blocks, which a 3 x 3 kernel does not fill. Such a kernel is therefore
 * stored as the matrix of its rows, and {@code comfy.gguf.orig_shape.NAME} (the key of ComfyUI-GGUF) has its shape.
 */
final class GgufReader {
    static final String MAGIC = "GGUF";
    static final String ORIGINAL_SHAPE = "comfy.gguf.orig_shape.";
    static final String ALIGNMENT_KEY = "general.alignment";
    static final int DEFAULT_ALIGNMENT = 32;

    /** Numbers of the types of entries. */
    static final int UINT32 = 4;

    static final int INT32 = 5;
    static final int STRING = 8;
    static final int ARRAY = 9;

    private static final int MAX_ENTRIES = 100_000;
    private static final int MAX_DEPTH = 4;
    private static final int MAX_SHOWN = 16;

    /** Bytes of a value by its type's number; 0 for texts and lists. */
    private static final int[] WIDTHS = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

    /** A tensor as the header describes it, its bytes counted from the start of the data. */
    private record Entry(TensorInfo info, long begin) {
        long end() {
            return begin + info.byteSize();
        }
    }

    private final Path path;
    private final MemorySegment file;
    private final ByteCursor in;
    private final Map<String, List<Long>> originalShapes = new HashMap<>();
    private long alignment = DEFAULT_ALIGNMENT;

    private GgufReader(Path path, MemorySegment file) {
        this.path = path;
        this.file = file;
        in = new ByteCursor(path, file);
    }

    /**
     * @param path for messages only
     * @param file all bytes of the file
     */
    static ModelContents read(Path path, MemorySegment file) throws ModelFormatException {
        return new GgufReader(path, file).read();
    }

    private ModelContents read() throws ModelFormatException {
        in.skip(MAGIC.length());
        requireVersion(in.i32());
        long tensorCount = count(in.i64(), "tensors", ModelContents.MAX_TENSORS);
        long entryCount = count(in.i64(), "entries", MAX_ENTRIES);
        var metadata = new LinkedHashMap<String, String>();
        for (long i = 0; i < entryCount; i++) {
            String key = in.utf8(in.i64());
            String value = entry(key);
            if (!key.startsWith(ORIGINAL_SHAPE) && metadata.put(key, value) != null) {
                throw in.damaged("has the key " + quote(key) + " twice");
            }
        }
        var entries = new ArrayList<Entry>();
        for (long i = 0; i < tensorCount; i++) {
            entries.add(tensor());
        }
        long padding = Math.floorMod(-in.position(), alignment);
        if (!entries.isEmpty()) {
            in.skip(padding);
        }
        return new ModelContents(place(entries, in.position()), metadata);
    }

    private void requireVersion(int version) throws ModelFormatException {
        if (version == 2 || version == 3) {
            return;
        }
        if (Integer.reverseBytes(version) == 2 || Integer.reverseBytes(version) == 3) {
            throw new ModelFormatException(path, "is a big-endian GGUF file; convert it on the machine it is for");
        }
        throw new ModelFormatException(
                path,
                "is a GGUF file of version " + Integer.toUnsignedString(version)
                        + ", 2 and 3 are known; convert it again with a newer program");
    }

    private long count(long count, String what, int limit) throws ModelFormatException {
        if (count < 0 || count > limit) {
            throw in.damaged("claims " + Long.toUnsignedString(count) + " " + what + ", more than " + limit);
        }
        return count;
    }

    /** Reads the value of a key, keeps what this reader needs of it, and returns it as text. */
    private String entry(String key) throws ModelFormatException {
        int type = in.i32();
        if (key.equals(ALIGNMENT_KEY)) {
            if (type != UINT32) {
                throw in.damaged("has a " + ALIGNMENT_KEY + " that is no 32 bit number");
            }
            alignment = in.u32();
            if (Long.bitCount(alignment) != 1) {
                throw in.damaged("has the " + ALIGNMENT_KEY + " " + alignment + ", which is no power of two");
            }
            return Long.toString(alignment);
        }
        if (key.startsWith(ORIGINAL_SHAPE)) {
            originalShape(key.substring(ORIGINAL_SHAPE.length()), type);
            return "";
        }
        return value(type, 0);
    }

    private void originalShape(String tensor, int type) throws ModelFormatException {
        if (type != ARRAY || in.i32() != INT32) {
            throw in.damaged("has an original shape of tensor " + quote(tensor) + " that is no list of numbers");
        }
        long rank = count(in.i64(), "dimensions of tensor " + quote(tensor), ModelContents.MAX_RANK);
        var shape = new ArrayList<Long>();
        for (long d = 0; d < rank; d++) {
            shape.add((long) in.i32());
        }
        if (originalShapes.put(tensor, shape) != null) {
            throw in.damaged("has the original shape of tensor " + quote(tensor) + " twice");
        }
    }

    private String value(int type, int depth) throws ModelFormatException {
        return switch (type) {
            case 0 -> Integer.toString(in.u8());
            case 1 -> Byte.toString((byte) in.u8());
            case 2 -> Integer.toString(in.u16());
            case 3 -> Short.toString((short) in.u16());
            case UINT32 -> Long.toString(in.u32());
            case INT32 -> Integer.toString(in.i32());
            case 6 -> Float.toString(Float.intBitsToFloat(in.i32()));
            case 7 -> Boolean.toString(in.u8() != 0);
            case STRING -> in.utf8(in.i64());
            case ARRAY -> list(depth);
            case 10 -> Long.toUnsignedString(in.i64());
            case 11 -> Long.toString(in.i64());
            case 12 -> Double.toString(Double.longBitsToDouble(in.i64()));
            default -> throw in.damaged("has an entry of the unknown type " + Integer.toUnsignedString(type));
        };
    }

    /** Shows the start of a list and passes over the rest, such as a vocabulary. */
    private String list(int depth) throws ModelFormatException {
        if (depth == MAX_DEPTH) {
            throw in.damaged("has lists in lists more than " + MAX_DEPTH + " deep");
        }
        int type = in.i32();
        long length = in.i64();
        if (type < 0 || type >= WIDTHS.length) {
            throw in.damaged("has a list of the unknown type " + Integer.toUnsignedString(type));
        }
        // A text or list takes at least its length, so a false length is seen before time is spent on it.
        if (length < 0 || length > in.remaining() / Math.max(1, WIDTHS[type])) {
            throw in.damaged("has a list of " + Long.toUnsignedString(length) + " elements, more than its bytes");
        }
        var shown = new StringJoiner(", ", "[", length > MAX_SHOWN ? ", ... " + length + " in all]" : "]");
        for (long i = 0; i < length; i++) {
            if (i < MAX_SHOWN) {
                shown.add(value(type, depth + 1));
            } else if (WIDTHS[type] > 0) {
                in.skip((length - i) * WIDTHS[type]);
                break;
            } else if (type == STRING) {
                in.skip(in.i64());
            } else {
                list(depth + 1);
            }
        }
        return shown.toString();
    }

    private Entry tensor() throws ModelFormatException {
        String name = in.utf8(in.i64());
        if (name.indexOf('\0') >= 0) {
            throw damaged(name, "has a name with a NUL character");
        }
        long rank = in.u32();
        if (rank > ModelContents.MAX_RANK) {
            throw damaged(name, "has " + rank + " dimensions, more than " + ModelContents.MAX_RANK);
        }
        var shape = new ArrayList<Long>();
        for (int d = 0; d < rank; d++) {
            long length = in.i64();
            if (length < 0) {
                throw damaged(name, "has a dimension of " + Long.toUnsignedString(length));
            }
            shape.add(length);
        }
        Collections.reverse(shape);
        DataType type = type(name, in.i32());
        long offset = in.i64();
        if (offset < 0 || offset % alignment != 0) {
            throw damaged(
                    name, "has the offset " + Long.toUnsignedString(offset) + ", which is no multiple of " + alignment);
        }
        return new Entry(info(name, type, shape), offset);
    }

    private TensorInfo info(String name, DataType type, List<Long> stored) throws ModelFormatException {
        List<Long> shape = originalShapes.getOrDefault(name, stored);
        try {
            var info = new TensorInfo(name, type, shape);
            if (info.elements() != new TensorInfo(name, type, stored).elements()) {
                throw damaged(name, "has the shape " + stored + ", but originally " + shape);
            }
            return info;
        } catch (IllegalArgumentException e) {
            throw in.damaged("has tensor " + quote(name) + ", whose " + e.getMessage());
        }
    }

    private DataType type(String tensor, int number) throws ModelFormatException {
        for (DataType type : DataType.values()) {
            if (type.nativeType() == number && number >= 0) {
                return type;
            }
        }
        throw new ModelFormatException(
                path,
                "has tensor " + quote(tensor) + " of the unknown type " + Integer.toUnsignedString(number)
                        + "; convert the model to a type that this version knows, such as Q8_0");
    }

    /** Tensors must lie inside the file and apart from each other; returns them in their order in the header. */
    private Map<String, TensorSource> place(List<Entry> entries, long dataStart) throws ModelFormatException {
        long dataSize = file.byteSize() - dataStart;
        var byOffset = new ArrayList<>(entries);
        byOffset.sort(Comparator.comparingLong(Entry::begin));
        long end = 0;
        for (Entry entry : byOffset) {
            if (entry.begin < end && entry.info.byteSize() > 0) {
                throw damaged(entry.info.name(), "overlaps another tensor");
            }
            if (entry.begin > dataSize - entry.info.byteSize()) {
                throw new ModelFormatException(
                        path,
                        "is incomplete: tensor " + quote(entry.info.name()) + " has " + entry.info.byteSize()
                                + " bytes at " + entry.begin + " of the data, which are " + dataSize
                                + "; download or convert it again");
            }
            end = Math.max(end, entry.end());
        }
        var tensors = new LinkedHashMap<String, TensorSource>();
        for (Entry entry : entries) {
            MemorySegment bytes = file.asSlice(dataStart + entry.begin, entry.info.byteSize());
            if (tensors.put(entry.info.name(), new TensorSource.Plain(entry.info, bytes)) != null) {
                throw damaged(entry.info.name(), "occurs twice");
            }
        }
        return tensors;
    }

    private ModelFormatException damaged(String tensor, String problem) {
        return in.damaged("has tensor " + quote(tensor) + ", which " + problem);
    }

    private static String quote(String name) {
        return "'" + Json.shorten(name) + "'";
    }
}
