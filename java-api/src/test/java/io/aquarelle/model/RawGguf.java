package io.aquarelle.model;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/** Bytes of GGUF files put together by hand, right or wrong. */
final class RawGguf {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    /** The start of a file that says how much follows. */
    RawGguf(int version, long tensors, long entries) {
        raw("GGUF").i32(version).i64(tensors).i64(entries);
    }

    RawGguf raw(String text) {
        out.writeBytes(text.getBytes(StandardCharsets.ISO_8859_1));
        return this;
    }

    RawGguf i32(int value) {
        out.writeBytes(ByteBuffer.allocate(4)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(value)
                .array());
        return this;
    }

    RawGguf i64(long value) {
        out.writeBytes(ByteBuffer.allocate(8)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(value)
                .array());
        return this;
    }

    RawGguf text(String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        i64(bytes.length);
        out.writeBytes(bytes);
        return this;
    }

    /** An entry whose value is text. */
    RawGguf entry(String key, String value) {
        return text(key).i32(8).text(value);
    }

    /** A tensor; lengths fastest first. */
    RawGguf tensor(String name, int type, long offset, long... lengths) {
        text(name).i32(lengths.length);
        for (long length : lengths) {
            i64(length);
        }
        return i32(type).i64(offset);
    }

    /** Zeros up to the alignment, and as many bytes 0, 1, 2, ... */
    byte[] data(int alignment, int count) {
        out.writeBytes(new byte[Math.floorMod(-out.size(), alignment)]);
        for (int i = 0; i < count; i++) {
            out.write(i);
        }
        return out.toByteArray();
    }
}
