package io.aquarelle.model;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The entries of a zip archive where they lie in the file (PKWARE's APPNOTE 6.3.10, with zip64). Only entries stored as
 * they are: {@code torch.save} writes no others, and so no entry is larger than the file.
 */
final class ZipEntries {
    static final String MAGIC = "PK\3\4";

    private static final int LOCAL_HEADER = 0x04034b50;
    private static final int CENTRAL_HEADER = 0x02014b50;
    private static final int END = 0x06054b50;
    private static final int END64_LOCATOR = 0x07064b50;
    private static final int END64 = 0x06064b50;
    private static final int END_BYTES = 22;
    private static final int LOCATOR_BYTES = 20;
    private static final int MAX_COMMENT = 0xffff;
    private static final int MAX_ENTRIES = 2 * ModelContents.MAX_TENSORS;
    private static final long IN_ZIP64 = 0xffff_ffffL;
    private static final int ZIP64_FIELD = 1;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Path path;
    private final MemorySegment file;

    private ZipEntries(Path path, MemorySegment file) {
        this.path = path;
        this.file = file;
    }

    /** Entries by name, in the order of the archive's directory; {@code path} is for messages only. */
    static Map<String, MemorySegment> read(Path path, MemorySegment file) throws ModelFormatException {
        return new ZipEntries(path, file).read();
    }

    private ByteCursor at(long position) throws ModelFormatException {
        var in = new ByteCursor(path, file);
        in.skip(position);
        return in;
    }

    private Map<String, MemorySegment> read() throws ModelFormatException {
        long end = findEnd();
        ByteCursor in = at(end);
        in.skip(10);
        long count = in.u16();
        in.skip(4);
        long directory = in.u32();
        if (end >= LOCATOR_BYTES && file.get(INT, end - LOCATOR_BYTES) == END64_LOCATOR) {
            in = at(end - LOCATOR_BYTES + 8);
            in = at(in.i64());
            if (in.i32() != END64) {
                throw in.damaged("has no directory where its end says");
            }
            in.skip(28);
            count = in.i64();
            in.skip(8);
            directory = in.i64();
        }
        if (count < 0 || count > MAX_ENTRIES) {
            throw in.damaged("claims " + Long.toUnsignedString(count) + " entries, more than " + MAX_ENTRIES);
        }
        in = at(directory);
        var entries = new LinkedHashMap<String, MemorySegment>();
        for (long i = 0; i < count; i++) {
            entry(in, entries);
        }
        return entries;
    }

    /** A comment of unknown length may follow the record that ends an archive. */
    private long findEnd() throws ModelFormatException {
        long last = file.byteSize() - END_BYTES;
        for (long at = last; at >= Math.max(0, last - MAX_COMMENT); at--) {
            if (file.get(INT, at) == END) {
                return at;
            }
        }
        throw new ModelFormatException(
                path, "is incomplete: it begins as a zip archive, but has no directory; download it again");
    }

    private void entry(ByteCursor in, Map<String, MemorySegment> entries) throws ModelFormatException {
        if (in.i32() != CENTRAL_HEADER) {
            throw in.damaged("has no entry where its directory should have one");
        }
        in.skip(4);
        int flags = in.u16();
        int method = in.u16();
        in.skip(8);
        long packed = in.u32();
        long size = in.u32();
        int nameLength = in.u16();
        int extraLength = in.u16();
        int commentLength = in.u16();
        in.skip(8);
        long offset = in.u32();
        String name = in.utf8(nameLength);
        for (int left = extraLength; left > 0; ) {
            if (left < 4) { // some programs pad with less than a field
                in.skip(left);
                break;
            }
            int id = in.u16();
            int length = in.u16();
            left -= 4 + length;
            if (left < 0) {
                throw in.damaged("has the entry '" + Json.shorten(name) + "' with a field beyond its end");
            }
            if (id != ZIP64_FIELD) {
                in.skip(length);
                continue;
            }
            long start = in.position();
            size = size == IN_ZIP64 ? in.i64() : size;
            packed = packed == IN_ZIP64 ? in.i64() : packed;
            offset = offset == IN_ZIP64 ? in.i64() : offset;
            in.skip(start + length - in.position());
        }
        in.skip(commentLength);
        if (name.endsWith("/")) {
            return;
        }
        if (method != 0 || packed != size) {
            throw new ModelFormatException(
                    path,
                    "has the compressed entry '" + Json.shorten(name)
                            + "', which PyTorch never writes; unpack it and save it again with torch.save");
        }
        if ((flags & 1) != 0) {
            throw new ModelFormatException(path, "has the encrypted entry '" + Json.shorten(name) + "'; decrypt it");
        }
        if (entries.put(name, bytes(name, offset, size)) != null) {
            throw in.damaged("has the entry '" + Json.shorten(name) + "' twice");
        }
    }

    private MemorySegment bytes(String name, long offset, long size) throws ModelFormatException {
        ByteCursor in = at(offset);
        if (in.i32() != LOCAL_HEADER) {
            throw in.damaged("has no entry '" + Json.shorten(name) + "' where its directory says");
        }
        in.skip(22);
        int nameLength = in.u16();
        int extraLength = in.u16();
        in.skip(nameLength + extraLength);
        return in.slice(size);
    }
}
