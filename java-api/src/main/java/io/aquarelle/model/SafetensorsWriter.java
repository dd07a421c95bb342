package io.aquarelle.model;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.StringJoiner;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Writes a safetensors file in any order and from any number of threads: declare all tensors, {@link #write} every part
 * of each once, {@link #commit}.
 *
 * <p>The bytes go to a hidden file in the same folder, which commit brings to the disk and renames over the target.
 * Until then the target stays as it was; {@link #close} without commit, or the end of the process by a signal that lets
 * the JVM shut down, deletes the hidden file.
 */
final class SafetensorsWriter implements Closeable {
    /** A tensor to be written. */
    record Declaration(String name, DataType type, List<Long> shape) {}

    private static final int ALIGNMENT = 8;

    private final Path target;
    private final Path hidden;
    private final FileChannel channel;
    private final List<TensorInfo> tensors;
    private final long size;
    private final AtomicLong written = new AtomicLong();
    private boolean committed;

    /**
     * Creates the hidden file and writes the header.
     *
     * @throws IOException if the folder does not exist or cannot be written to, lacks the space for the whole file, or
     *     the target is something else than a file; every message is one line that names the file
     * @throws IllegalArgumentException if a name occurs twice
     */
    SafetensorsWriter(Path out, List<Declaration> declarations, Map<String, String> metadata) throws IOException {
        target = requireTarget(out);
        byte[] header = header(declarations, metadata);
        tensors = layout(declarations, Long.BYTES + header.length);
        size = tensors.isEmpty()
                ? Long.BYTES + header.length
                : tensors.getLast().offset() + tensors.getLast().byteSize();
        Path folder = target.toAbsolutePath().getParent();
        requireSpace(target, size, Files.getFileStore(folder).getUsableSpace());
        hidden = folder.resolve(
                ".aquarelle-%016x.part".formatted(ThreadLocalRandom.current().nextLong()));
        try {
            channel = FileChannel.open(hidden, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
        } catch (AccessDeniedException e) {
            throw new AccessDeniedException(out.toString(), null, "you may not write to its folder; choose another");
        } catch (IOException e) {
            throw failure(e);
        }
        hidden.toFile().deleteOnExit();
        try {
            var start = ByteBuffer.allocate(Long.BYTES + header.length).order(ByteOrder.LITTLE_ENDIAN);
            write(0, start.putLong(header.length).put(header).flip());
        } catch (Throwable e) {
            close();
            throw e;
        }
    }

    /** Follows a link, so that a rename replaces the file that it points to. */
    private static Path requireTarget(Path out) throws IOException {
        if (Files.exists(out)) {
            if (!Files.isRegularFile(out)) {
                throw new IOException(out + " is not a file; choose another name");
            }
            return out.toRealPath();
        }
        if (!Files.isDirectory(out.toAbsolutePath().getParent())) {
            throw new NoSuchFileException(out.toString(), null, "its folder does not exist; create it first");
        }
        return out;
    }

    static void requireSpace(Path out, long needed, long free) throws IOException {
        if (free < needed) {
            throw new IOException(String.format(
                    Locale.ROOT,
                    "%s needs %.2f GB, but its disk has only %.2f GB left; free some or choose another folder",
                    out,
                    needed / 1e9,
                    free / 1e9));
        }
    }

    private static byte[] header(List<Declaration> declarations, Map<String, String> metadata) {
        var names = new HashSet<String>();
        var members = new StringJoiner(",", "{", "}");
        if (!metadata.isEmpty()) {
            var entries = new StringJoiner(",", "{", "}");
            metadata.forEach((key, value) -> entries.add(Json.quote(key) + ":" + Json.quote(value)));
            members.add("\"__metadata__\":" + entries);
        }
        for (TensorInfo tensor : layout(declarations, 0)) {
            if (!names.add(tensor.name())) {
                throw new IllegalArgumentException("tensor '" + tensor.name() + "' occurs twice");
            }
            members.add(Json.quote(tensor.name()) + ":{\"dtype\":\"" + tensor.type() + "\",\"shape\":"
                    + tensor.shape().toString().replace(" ", "") + ",\"data_offsets\":[" + tensor.offset() + ","
                    + (tensor.offset() + tensor.byteSize()) + "]}");
        }
        byte[] text = members.toString().getBytes(StandardCharsets.UTF_8);
        return (members + " ".repeat(-text.length & ALIGNMENT - 1)).getBytes(StandardCharsets.UTF_8);
    }

    private static List<TensorInfo> layout(List<Declaration> declarations, long start) {
        var tensors = new ArrayList<TensorInfo>();
        long offset = start;
        for (Declaration declaration : declarations) {
            long elements = declaration.shape().stream().reduce(1L, Math::multiplyExact);
            long bytes = declaration.type().bytes(elements);
            tensors.add(new TensorInfo(declaration.name(), declaration.type(), declaration.shape(), offset, bytes));
            offset = Math.addExact(offset, bytes);
        }
        return List.copyOf(tensors);
    }

    /** The tensors in the order of their declaration, which is also their order in the file. */
    List<TensorInfo> tensors() {
        return tensors;
    }

    /**
     * Writes a part of a tensor, from any thread.
     *
     * @param position of the part in the tensor, in bytes
     */
    void write(TensorInfo tensor, long position, ByteBuffer bytes) throws IOException {
        if (position < 0 || position > tensor.byteSize() - bytes.remaining()) {
            throw new IllegalArgumentException(bytes.remaining() + " bytes at " + position + " lie outside tensor '"
                    + tensor.name() + "' of " + tensor.byteSize());
        }
        write(tensor.offset() + position, bytes);
    }

    private void write(long position, ByteBuffer bytes) throws IOException {
        long at = position;
        try {
            while (bytes.hasRemaining()) {
                at += channel.write(bytes, at);
            }
        } catch (IOException e) {
            throw failure(e);
        }
        written.addAndGet(at - position);
    }

    /**
     * Puts the finished file in its place.
     *
     * @throws IllegalStateException if a part was not written
     */
    void commit() throws IOException {
        if (written.get() != size) {
            throw new IllegalStateException(written + " of " + size + " bytes of " + target + " were written");
        }
        try {
            channel.force(true);
            channel.close();
            Files.move(hidden, target, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            throw failure(e);
        }
        committed = true;
    }

    /** Names the target where the system names the hidden file or nothing. */
    private IOException failure(IOException cause) {
        String reason = cause instanceof FileSystemException named ? named.getReason() : cause.getMessage();
        return new IOException(target + " cannot be written: " + (reason == null ? cause : reason), cause);
    }

    /** Gives up a file that was not committed. */
    @Override
    public void close() throws IOException {
        channel.close();
        if (!committed) {
            Files.deleteIfExists(hidden);
        }
    }
}
