package io.aquarelle.model;

import io.aquarelle.model.StoredTypes.Choice;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * Stores the tensors of a model in other types, in a file or in memory. All processors work on one tensor after the
 * other, a million values each at a time; a tensor is copied as a whole only where its values lie scattered.
 */
public final class Conversion {
    /** Told on the calling thread how much is done. */
    @FunctionalInterface
    public interface Progress {
        void converted(long bytes, long total);
    }

    private static final String GGUF = ".gguf";
    private static final String SAFETENSORS = ".safetensors";
    private static final int CHUNK = 1 << 20; // values; a multiple of all blocks

    /** Takes the values of a tensor from {@code first} on, from any thread. */
    @FunctionalInterface
    private interface Sink {
        void write(TensorInfo tensor, long first, MemorySegment values) throws IOException;
    }

    private final Checkpoint model;
    private final Progress progress;
    private final long total;
    private long done;

    private Conversion(Checkpoint model, List<Choice> choices, Progress progress) {
        this.model = model;
        this.progress = progress;
        total = choices.stream().mapToLong(choice -> choice.result().byteSize()).sum();
    }

    /**
     * Writes a model as a GGUF or safetensors file, by the ending of its name. The file appears when it is complete; until
     * then an older one stays, and when this fails, is interrupted, or {@code progress} throws, nothing of the new one is
     * left.
     *
     * @return what became of each tensor; those that the format cannot hold are left out
     * @throws ModelFormatException if a tensor has values that are no numbers
     * @throws IOException if the disk lacks space or the file cannot be written
     * @throws IllegalArgumentException if the name has another ending, or the format cannot hold a type
     */
    public static List<Choice> write(Checkpoint model, StoredTypes types, Path out, Progress progress)
            throws IOException {
        boolean gguf = requireEnding(out);
        List<Choice> choices = types.choose(model).stream()
                .map(choice -> gguf ? forGguf(choice) : choice)
                .filter(choice -> !gguf || choice.type().nativeType() >= 0)
                .toList();
        List<TensorInfo> results = choices.stream().map(Choice::result).toList();
        try (ModelWriter writer = gguf
                ? new GgufWriter(out, results, model.metadata())
                : new SafetensorsWriter(out, results, model.metadata())) {
            new Conversion(model, choices, progress).run(choices, (tensor, first, values) -> {
                ByteBuffer bytes = values.asByteBuffer();
                writer.write(tensor, tensor.type().bytes(first), bytes);
            });
            writer.commit();
        }
        return choices;
    }

    /** @throws IllegalArgumentException if a file of that name would be none that {@link #write} can write */
    public static boolean requireEnding(Path out) {
        String name = String.valueOf(out.getFileName()).toLowerCase(Locale.ROOT);
        if (!name.endsWith(GGUF) && !name.endsWith(SAFETENSORS)) {
            throw new IllegalArgumentException(out + " ends neither in " + GGUF + " nor in " + SAFETENSORS
                    + ", which are what can be written; rename it");
        }
        return name.endsWith(GGUF);
    }

    /** 8 bit floats become halves, which hold them all, and doubles floats. */
    private static Choice forGguf(Choice choice) {
        DataType readable = NumberTypes.readable(choice.type());
        return readable == choice.type()
                ? choice
                : new Choice(
                        choice.tensor(),
                        readable,
                        "is " + choice.type().label() + ", which programs on ggml cannot use");
    }

    /**
     * A model in memory with its tensors in other types, those that stay as they are in place. To be closed like any
     * other; {@code model} may be closed before.
     *
     * @throws ModelFormatException if a tensor has values that are no numbers
     * @throws IOException if this is interrupted
     */
    public static Checkpoint load(Checkpoint model, StoredTypes types, Progress progress) throws IOException {
        List<Choice> choices = types.choose(model).stream()
                .filter(choice -> choice.type() != choice.tensor().type())
                .toList();
        Arena arena = Arena.ofShared();
        try {
            Map<String, MemorySegment> places = new HashMap<>();
            Map<String, TensorSource> tensors = new HashMap<>();
            for (Choice choice : choices) {
                TensorInfo result = choice.result();
                MemorySegment place = arena.allocate(result.byteSize(), TensorSource.ALIGNMENT);
                places.put(result.name(), place);
                tensors.put(result.name(), new TensorSource.Plain(result, place.asReadOnly()));
            }
            new Conversion(model, choices, progress)
                    .run(
                            choices,
                            (tensor, first, values) -> MemorySegment.copy(
                                    values,
                                    0,
                                    places.get(tensor.name()),
                                    tensor.type().bytes(first),
                                    values.byteSize()));
            return model.with(tensors, arena);
        } catch (Throwable e) {
            arena.close();
            throw e;
        }
    }

    private void run(List<Choice> choices, Sink sink) throws IOException {
        int threads = Runtime.getRuntime().availableProcessors();
        try (ExecutorService workers = Executors.newFixedThreadPool(
                threads, Thread.ofPlatform().daemon().factory())) {
            try {
                for (Choice choice : choices) {
                    convert(choice, sink, workers);
                    model.unload(choice.tensor());
                    done += choice.result().byteSize();
                    progress.converted(done, total);
                }
            } finally {
                workers.shutdownNow();
            }
        }
    }

    private void convert(Choice choice, Sink sink, ExecutorService workers) throws IOException {
        TensorInfo tensor = choice.tensor();
        TensorInfo result = choice.result();
        try (Arena copies = Arena.ofShared()) {
            MemorySegment values = model.source(tensor).values(copies);
            List<Callable<Void>> chunks = new ArrayList<>();
            for (long start = 0; start < tensor.elements(); start += CHUNK) {
                long first = start;
                long count = Math.min(CHUNK, tensor.elements() - first);
                chunks.add(() -> {
                    try (Arena arena = Arena.ofConfined()) {
                        DataType from = tensor.type();
                        MemorySegment chunk = values.asSlice(from.bytes(first), from.bytes(count));
                        MemorySegment converted = chunk;
                        if (result.type() != from) {
                            converted = arena.allocate(result.type().bytes(count), TensorSource.ALIGNMENT);
                            NumberTypes.convert(from, chunk, result.type(), converted);
                        }
                        sink.write(result, first, converted);
                        return null;
                    }
                });
            }
            await(workers.invokeAll(chunks), tensor);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("interrupted");
        }
    }

    private void await(List<Future<Void>> chunks, TensorInfo tensor) throws IOException, InterruptedException {
        try {
            for (Future<Void> chunk : chunks) {
                chunk.get();
            }
        } catch (ExecutionException e) {
            if (e.getCause() instanceof IOException failure) {
                throw failure;
            }
            if (e.getCause() instanceof IllegalArgumentException failure) {
                throw new ModelFormatException(
                        model.path(),
                        "has tensor '" + Json.shorten(tensor.name()) + "' that cannot be converted: "
                                + failure.getMessage() + "; keep its type by a rule",
                        failure);
            }
            throw new IllegalStateException(e.getCause());
        }
    }
}
