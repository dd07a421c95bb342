package io.aquarelle.model;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.ClosedByInterruptException;
import java.nio.file.AccessDeniedException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;

/**
 * An open model: the names, types and shapes of its tensors and, mapped into memory, their values. One of
 *
 * <ul>
 *   <li>a safetensors file, or the {@code .index.json} of one in shards,
 *   <li>a checkpoint of PyTorch ({@code .ckpt}, {@code .pt}, {@code .pth}, {@code .bin}), zip archive or pickles; it is
 *       read as data, nothing in it is run,
 *   <li>a GGUF file,
 *   <li>a folder of diffusers,
 * </ul>
 *
 * recognised by its contents. Whatever the names of its networks' tensors are (CompVis, diffusers, Hugging Face, OpenCLIP),
 * here they are those of CompVis.
 *
 * <p>Opening reads only headers; pages of weights come from the disk, and may leave memory again, as they are used. The
 * files must not be shortened or overwritten while they are open: the system then answers an access beyond its new end
 * with an {@link InternalError} in Java and ends the process in native code. Replacing one by a rename is safe.
 *
 * <p>{@link #retain} gives another checkpoint on the same mapping, to be closed by itself; the last one to close unmaps
 * the files. Closing one twice takes nothing from the others, which native code may be reading from. All methods may be
 * called from any thread.
 */
public final class Checkpoint implements AutoCloseable {
    /** What all checkpoints on one model share; its lock guards their number, which of them are closed, and copies. */
    private static final class Mapping {
        final Arena arena;
        final ModelContents contents;
        final Map<String, TensorInfo> tensors;
        final Map<String, MemorySegment> copies = new HashMap<>();
        final Runnable closing; // what these tensors need besides
        int checkpoints;

        Mapping(Arena arena, ModelContents contents, Runnable closing) {
            this.arena = arena;
            this.contents = contents;
            this.closing = closing;
            var infos = new LinkedHashMap<String, TensorInfo>();
            contents.tensors().forEach((name, tensor) -> infos.put(name, tensor.info()));
            tensors = Collections.unmodifiableMap(infos);
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
     * Maps the files of a model and checks their headers.
     *
     * @throws ModelFormatException if it is not a model or is damaged
     * @throws NoSuchFileException if there is no such file
     * @throws IOException if it cannot be read; every message is one line that names the file
     */
    public static Checkpoint open(Path model) throws IOException {
        return open(ModelFiles.of(model));
    }

    /**
     * Maps a model whose networks come from several files.
     *
     * @throws ModelFormatException if one is not a model or is damaged
     * @throws NoSuchFileException if one is missing
     * @throws IOException if one cannot be read; every message is one line that names the file
     */
    public static Checkpoint open(ModelFiles files) throws IOException {
        Arena arena = Arena.ofShared();
        try {
            List<CanonicalModel.Part> parts = new ArrayList<>();
            for (ModelFiles.Source file : files.sources()) {
                CanonicalModel.Part part = new CanonicalModel.Part(read(file.path(), arena), file.use());
                CanonicalModel.requireUse(file.path(), part);
                parts.add(part);
            }
            return new Checkpoint(files.model(), new Mapping(arena, CanonicalModel.of(files.model(), parts), () -> {}));
        } catch (Throwable e) {
            arena.close();
            throw e;
        }
    }

    /** Tensors in {@code arena} in place of this checkpoint's of the same names, which stays open as long as that. */
    Checkpoint with(Map<String, TensorSource> replaced, Arena arena) {
        return with(replaced, arena, () -> {});
    }

    /** The same with what is to be done when the last one of it closes. */
    Checkpoint with(Map<String, TensorSource> replaced, Arena arena, Runnable closing) {
        Checkpoint base = retain();
        var tensors = new LinkedHashMap<>(mapping.contents.tensors());
        tensors.replaceAll((name, tensor) -> replaced.getOrDefault(name, tensor));
        return new Checkpoint(path, new Mapping(arena, new ModelContents(tensors, mapping.contents.metadata()), () -> {
            base.close();
            closing.run();
        }));
    }

    /** Some of this checkpoint's tensors under other names; this stays open as long as that. */
    Checkpoint renamed(Map<String, String> names) {
        var tensors = new LinkedHashMap<String, TensorSource>();
        names.forEach((from, to) -> {
            TensorSource tensor = mapping.contents.tensors().get(from);
            tensors.put(to, new TensorSource.Relabelled(tensor.info().named(to), tensor));
        });
        Checkpoint base = retain();
        return new Checkpoint(
                path,
                new Mapping(Arena.ofShared(), new ModelContents(tensors, mapping.contents.metadata()), base::close));
    }

    /** This checkpoint's tensors and some of another's, of other names; both stay open as long as that. */
    Checkpoint beside(Checkpoint other, Predicate<String> names) {
        var tensors = new LinkedHashMap<>(mapping.contents.tensors());
        other.mapping.contents.tensors().forEach((name, tensor) -> {
            if (names.test(name)) {
                tensors.put(name, tensor);
            }
        });
        Checkpoint first = retain();
        Checkpoint second = other.retain();
        return new Checkpoint(
                path, new Mapping(Arena.ofShared(), new ModelContents(tensors, mapping.contents.metadata()), () -> {
                    first.close();
                    second.close();
                }));
    }

    private static ModelContents read(Path file, Arena arena) throws IOException {
        try {
            return ModelReader.read(file, arena);
        } catch (ClosedByInterruptException e) {
            throw new IOException(file + " was not opened: the thread was interrupted", e);
        } catch (NoSuchFileException e) {
            throw new NoSuchFileException(file.toString(), null, "there is no such file; check the path");
        } catch (AccessDeniedException e) {
            throw new AccessDeniedException(file.toString(), null, "you may not read it; change its permissions");
        }
    }

    /** The file or folder as it was named to {@link #open}. */
    public Path path() {
        return path;
    }

    /** All tensors by name, in file order; unmodifiable, and usable after {@link #close}. */
    public Map<String, TensorInfo> tensors() {
        return mapping.tensors;
    }

    /** What the file says about itself, in file order; unmodifiable, and usable after {@link #close}. */
    public Map<String, String> metadata() {
        return mapping.contents.metadata();
    }

    /**
     * The values of a tensor, little-endian and without padding: a read-only view of the file, or of a copy where the
     * file has them in another order, that lives until the last checkpoint on it is closed. Formats promise no alignment,
     * so read it by unaligned layouts.
     *
     * @throws IllegalArgumentException if the tensor is not one of {@link #tensors}
     * @throws IllegalStateException after {@link #close}
     */
    public MemorySegment data(TensorInfo tensor) {
        TensorSource source = source(tensor);
        if (!source.copies()) {
            return source.values(mapping.arena);
        }
        synchronized (mapping) {
            requireOpen();
            return mapping.copies.computeIfAbsent(
                    tensor.name(), name -> source.values(mapping.arena).asReadOnly());
        }
    }

    /** The values of a tensor in the type that native code reads it as, see {@link NumberTypes#readable}. */
    MemorySegment readable(TensorInfo tensor) {
        DataType type = NumberTypes.readable(tensor.type());
        MemorySegment values = data(tensor);
        boolean aligned = !type.isQuantised() || values.address() % Integer.BYTES == 0;
        if (type == tensor.type() && aligned) {
            return values;
        }
        synchronized (mapping) {
            requireOpen();
            return mapping.copies.computeIfAbsent(tensor.name() + "\0" + type, name -> {
                MemorySegment copy = mapping.arena.allocate(type.bytes(tensor.elements()), TensorSource.ALIGNMENT);
                NumberTypes.convert(tensor.type(), values, type, copy);
                return copy.asReadOnly();
            });
        }
    }

    /** Where the values of a tensor come from, for who copies them elsewhere. */
    TensorSource source(TensorInfo tensor) {
        synchronized (mapping) {
            requireOpen();
        }
        if (!tensor.equals(tensors().get(tensor.name()))) {
            throw new IllegalArgumentException("tensor '" + tensor.name() + "' is not one of " + path);
        }
        return mapping.contents.tensors().get(tensor.name());
    }

    /**
     * Lets pages of the named tensors leave this process's memory, for who will not read them soon. They come back by
     * themselves, from the system's cache or the disk; whoever reads them meanwhile just waits for that.
     *
     * @throws IllegalStateException after {@link #close}
     */
    public void unload(Predicate<String> names) {
        synchronized (mapping) {
            requireOpen();
            mapping.contents.tensors().forEach((name, source) -> {
                if (names.test(name)) {
                    unload(source);
                }
            });
        }
    }

    /** The same for one tensor. */
    void unload(TensorInfo tensor) {
        synchronized (mapping) {
            unload(source(tensor));
        }
    }

    private void unload(TensorSource source) {
        if (!source.copies()) {
            MemorySegment values = source.values(mapping.arena);
            if (values.isMapped()) {
                values.unload();
            }
        }
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

    /** Unmaps the files if no other checkpoint is open on it. Without effect when closed already. */
    @Override
    public void close() {
        synchronized (mapping) {
            if (closed) {
                return;
            }
            if (mapping.checkpoints == 1) {
                mapping.arena.close();
                mapping.closing.run();
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
