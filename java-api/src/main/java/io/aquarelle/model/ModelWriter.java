package io.aquarelle.model;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Writes a model file in any order and from any number of threads: declare all tensors, {@link #write} every part of
 * each once, {@link #commit}. Formats differ in their headers and in where tensors lie.
 *
 * <p>The bytes go to a hidden file in the same folder, which commit brings to the disk and renames over the target.
 * Until then the target stays as it was; {@link #close} without commit, or the end of the process by a signal that lets
 * the JVM shut down, deletes the hidden file.
 */
abstract class ModelWriter implements Closeable {
    /**
     * Where everything goes.
     *
     * @param header the start of the file
     * @param tensors in file order
     * @param offsets of their first bytes, from the start of the file
     * @param size of the whole file; what nothing is written to is zero
     */
    record Layout(byte[] header, List<TensorInfo> tensors, List<Long> offsets, long size) {}

    private final Path target;
    private final Path hidden;
    private final FileChannel channel;
    private final Layout layout;
    private final Map<String, Long> offsets = new HashMap<>();
    private final AtomicLong written = new AtomicLong();
    private boolean committed;

    /**
     * Creates the hidden file and writes the header.
     *
     * @throws IOException if the folder does not exist or cannot be written to, lacks the space for the whole file, or
     *     the target is something else than a file; every message is one line that names the file
     */
    ModelWriter(Path out, Layout layout) throws IOException {
        this.layout = layout;
        target = requireTarget(out);
        for (int i = 0; i < layout.tensors.size(); i++) {
            offsets.put(layout.tensors.get(i).name(), layout.offsets.get(i));
        }
        Path folder = target.toAbsolutePath().getParent();
        requireSpace(target, layout.size, Files.getFileStore(folder).getUsableSpace());
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
            write(0, ByteBuffer.wrap(layout.header));
            long end = layout.tensors.isEmpty()
                    ? layout.header.length
                    : layout.offsets.getLast() + layout.tensors.getLast().byteSize();
            if (layout.size > end) {
                channel.write(ByteBuffer.allocate(1), layout.size - 1);
            }
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

    /** @throws IllegalArgumentException if a name occurs twice */
    static void requireDistinctNames(List<TensorInfo> tensors) {
        var names = new HashSet<String>();
        for (TensorInfo tensor : tensors) {
            if (!names.add(tensor.name())) {
                throw new IllegalArgumentException("tensor '" + tensor.name() + "' occurs twice");
            }
        }
    }

    /** The tensors in the order of their declaration, which is also their order in the file. */
    final List<TensorInfo> tensors() {
        return layout.tensors;
    }

    /**
     * Writes a part of a tensor, from any thread.
     *
     * @param position of the part in the tensor, in bytes
     */
    final void write(TensorInfo tensor, long position, ByteBuffer bytes) throws IOException {
        if (position < 0 || position > tensor.byteSize() - bytes.remaining()) {
            throw new IllegalArgumentException(bytes.remaining() + " bytes at " + position + " lie outside tensor '"
                    + tensor.name() + "' of " + tensor.byteSize());
        }
        write(offsets.get(tensor.name()) + position, bytes);
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
    final void commit() throws IOException {
        long needed = layout.header.length
                + layout.tensors.stream().mapToLong(TensorInfo::byteSize).sum();
        if (written.get() != needed) {
            throw new IllegalStateException(written + " of " + needed + " bytes of " + target + " were written");
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
    public final void close() throws IOException {
        channel.close();
        if (!committed) {
            Files.deleteIfExists(hidden);
        }
    }
}
