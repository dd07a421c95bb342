package io.aquarelle.model;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Map;

/**
 * An open model file: the names, types and shapes of its tensors and, mapped into memory, their values.
 *
 * <p>Opening reads only the header; pages of weights come from the disk, and may leave memory again, as they are used.
 * The file must not be shortened or overwritten while it is open: the system then answers an access beyond its new end
 * with an {@link InternalError} in Java and ends the process in native code. Replacing it by a rename is safe.
 *
 * <p>{@link #retain} gives another checkpoint on the same mapping, to be closed by itself; the last one to close unmaps
 * the file. Closing one twice takes nothing from the others, which native code may be reading from. All methods may be
 * called from any thread.
 */
public final class Checkpoint implements AutoCloseable {
    /** What all checkpoints on one file share; its lock guards their number and which of them are closed. */
    private static final class Mapping {
        final Arena arena;
        final MemorySegment file;
        final SafetensorsReader.Header header;
        int checkpoints;

        Mapping(Arena arena, MemorySegment file, SafetensorsReader.Header header) {
            this.arena = arena;
            this.file = file;
            this.header = header;
        }
    }

    private final Path path;
    private final Mapping mapping;
    private boolean closed;

    private Checkpoint(Path path, Mapping mapping) {
        this.path = path;
        this.mapping = mapping;
        mapping.checkpoints++;
    }

    /**
     * Maps a safetensors file and checks its header.
     *
     * @throws ModelFormatException if it is not a model file or is damaged
     * @throws NoSuchFileException if there is no such file
     * @throws IOException if it cannot be read; every message is one line that names the file
     */
    public static Checkpoint open(Path file) throws IOException {
        try {
            requireRegularFile(file);
            return map(file);
        } catch (ClosedByInterruptException e) {
            throw new IOException(file + " was not opened: the thread was interrupted", e);
        } catch (NoSuchFileException e) {
            throw new NoSuchFileException(file.toString(), null, "there is no such file; check the path");
        } catch (AccessDeniedException e) {
            throw new AccessDeniedException(file.toString(), null, "you may not read it; change its permissions");
        }
    }

    /** Opening a pipe or a device could wait for ever or have effects, so what the file is comes first. */
    private static void requireRegularFile(Path file) throws IOException {
        var attributes = Files.readAttributes(file, BasicFileAttributes.class);
        if (attributes.isDirectory()) {
            throw new ModelFormatException(file, "is a folder; name a .safetensors file in it");
        }
        if (!attributes.isRegularFile()) {
            throw new ModelFormatException(file, "is a pipe or a device; name a .safetensors file");
        }
    }

    private static Checkpoint map(Path file) throws IOException {
        Arena arena = Arena.ofShared();
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            MemorySegment bytes = mapped(file, channel, arena);
            return new Checkpoint(file, new Mapping(arena, bytes, SafetensorsReader.read(file, bytes)));
        } catch (Throwable e) {
            arena.close();
            throw e;
        }
    }

    private static MemorySegment mapped(Path file, FileChannel channel, Arena arena) throws IOException {
        try {
            return channel.map(MapMode.READ_ONLY, 0, channel.size(), arena);
        } catch (ClosedChannelException e) {
            throw e;
        } catch (IOException e) {
            String size = Files.size(file) / 1_000_000 + " MB";
            throw new IOException(file + " cannot be mapped; raise the limit on virtual memory above its " + size, e);
        }
    }

    /** The file as it was named to {@link #open}. */
    public Path path() {
        return path;
    }

    /** All tensors by name, in file order; unmodifiable, and usable after {@link #close}. */
    public Map<String, TensorInfo> tensors() {
        return mapping.header.tensors();
    }

    /** What the file says about itself, in file order; unmodifiable, and usable after {@link #close}. */
    public Map<String, String> metadata() {
        return mapping.header.metadata();
    }

    /**
     * The values of a tensor, little-endian and without padding: a read-only view of the file that lives until the last
     * checkpoint on it is closed. The format promises no alignment, so read it by unaligned layouts.
     *
     * @throws IllegalArgumentException if the tensor is not one of {@link #tensors}
     * @throws IllegalStateException after {@link #close}
     */
    public MemorySegment data(TensorInfo tensor) {
        synchronized (mapping) {
            requireOpen();
        }
        if (!tensor.equals(tensors().get(tensor.name()))) {
            throw new IllegalArgumentException("tensor '" + tensor.name() + "' is not one of " + path);
        }
        return mapping.file.asSlice(tensor.offset(), tensor.byteSize());
    }

    /**
     * Another checkpoint on the same mapping, for whoever needs the data longer than this one is open.
     *
     * @throws IllegalStateException after {@link #close}
     */
    public Checkpoint retain() {
        synchronized (mapping) {
            requireOpen();
            return new Checkpoint(path, mapping);
        }
    }

    /** Unmaps the file if no other checkpoint is open on it. Without effect when closed already. */
    @Override
    public void close() {
        synchronized (mapping) {
            if (closed) {
                return;
            }
            if (mapping.checkpoints == 1) {
                mapping.arena.close();
            }
            mapping.checkpoints--;
            closed = true;
        }
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException(path + " is closed");
        }
    }
}
