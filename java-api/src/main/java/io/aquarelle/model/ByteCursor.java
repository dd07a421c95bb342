package io.aquarelle.model;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** Reads a file's little-endian values one after the other, and never beyond its end. */
final class ByteCursor {
    /** Of all texts together; keeps the memory that a hostile file takes small. */
    private static final long MAX_TEXT = 100_000_000;

    private static final long MAX_LINE = 100_000;

    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Path path;
    private final MemorySegment bytes;
    private long at;
    private long textBytes;

    /** {@code path} is for messages only. */
    ByteCursor(Path path, MemorySegment bytes) {
        this.path = path;
        this.bytes = bytes;
    }

    long position() {
        return at;
    }

    long remaining() {
        return bytes.byteSize() - at;
    }

    void skip(long count) throws ModelFormatException {
        advance(count);
    }

    int u8() throws ModelFormatException {
        return bytes.get(ValueLayout.JAVA_BYTE, advance(1)) & 0xff;
    }

    int u16() throws ModelFormatException {
        return bytes.get(SHORT, advance(2)) & 0xffff;
    }

    int i32() throws ModelFormatException {
        return bytes.get(INT, advance(4));
    }

    long u32() throws ModelFormatException {
        return i32() & 0xffff_ffffL;
    }

    /** Also for unsigned numbers: those of 2^63 and more are negative here. */
    long i64() throws ModelFormatException {
        return bytes.get(LONG, advance(8));
    }

    /** The next bytes, where they lie. */
    MemorySegment slice(long count) throws ModelFormatException {
        return bytes.asSlice(advance(count), count);
    }

    String utf8(long length) throws ModelFormatException {
        MemorySegment bytes = slice(length);
        textBytes += length;
        if (textBytes > MAX_TEXT) {
            throw damaged("has more than " + MAX_TEXT + " bytes of text");
        }
        byte[] text = bytes.toArray(ValueLayout.JAVA_BYTE);
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(text))
                    .toString();
        } catch (CharacterCodingException e) {
            throw damaged("has a text that is not UTF-8");
        }
    }

    /** The text up to a line feed, which is passed over. */
    String line() throws ModelFormatException {
        long length = 0;
        while (length < remaining() && bytes.get(ValueLayout.JAVA_BYTE, at + length) != '\n') {
            if (++length > MAX_LINE) {
                throw damaged("has a line of more than " + MAX_LINE + " bytes where a name or number is due");
            }
        }
        String line = utf8(length);
        skip(1);
        return line;
    }

    private long advance(long count) throws ModelFormatException {
        if (count < 0 || count > remaining()) {
            throw damaged("ends where " + Long.toUnsignedString(count) + " more bytes are due, at byte " + at);
        }
        long start = at;
        at += count;
        return start;
    }

    ModelFormatException damaged(String problem) {
        return new ModelFormatException(path, problem + "; the file is damaged: download or convert it again");
    }
}
