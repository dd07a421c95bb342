package io.aquarelle.model;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorCompletionService;
import java.util.concurrent.Executors;
import java.util.function.LongConsumer;

/**
 * Full-size checkpoints with random weights: real tensor names (CompVis) and shapes, no trained values. They take the
 * time and memory of real ones, so they serve for timing and for comparing programs number by number.
 */
public final class RandomCheckpoint {
    /** Told on the calling thread how much of the file is written. */
    @FunctionalInterface
    public interface Progress {
        void written(long bytes, long total);
    }

    /** Values a task: large enough to hide its cost, small enough that buffers do not matter. */
    private static final int BLOCK = 1 << 20;

    private RandomCheckpoint() {}

    /**
     * Writes a checkpoint as a safetensors file. The same family, type and seed give the same bytes everywhere. The
     * weights keep activations in scale: matrices and kernels have variance 1 / inputs, biases and embeddings a
     * standard deviation of 0.02, norms are 1.
     *
     * <p>All processors work on it. The file appears when it is complete; until then an older one stays, and when this
     * fails, is interrupted, or {@code progress} throws, nothing of the new one is left.
     *
     * @param type F32, F16 or BF16
     * @throws IOException if the disk lacks space or the file cannot be written
     * @throws IllegalArgumentException for another type
     */
    public static void write(ModelFamily family, DataType type, long seed, Path out, Progress progress)
            throws IOException {
        String name = family.name().toLowerCase(Locale.ROOT);
        var metadata = Map.of("description", name + " with random weights, seed " + seed);
        int threads = Runtime.getRuntime().availableProcessors();
        write(RandomArchitecture.tensors(family), type, seed, out, metadata, threads, progress);
    }

    static void write(
            List<RandomTensor> tensors,
            DataType type,
            long seed,
            Path out,
            Map<String, String> metadata,
            int threads,
            Progress progress)
            throws IOException {
        if (!EnumSet.of(DataType.F32, DataType.F16, DataType.BF16).contains(type)) {
            throw new IllegalArgumentException("random weights come as F32, F16 or BF16, not " + type);
        }
        var declarations = tensors.stream()
                .map(tensor -> new TensorInfo(tensor.name(), type, tensor.shape()))
                .toList();
        try (var writer = new SafetensorsWriter(out, declarations, metadata);
                var workers = Executors.newFixedThreadPool(
                        threads, Thread.ofPlatform().daemon().factory())) {
            try {
                long total = writer.tensors().stream()
                        .mapToLong(TensorInfo::byteSize)
                        .sum();
                runAll(blocks(tensors, writer, seed), workers, bytes -> progress.written(bytes, total));
            } finally {
                workers.shutdownNow();
            }
            writer.commit();
        }
    }

    /** Tasks that fill and write a block of values each and give the number of its bytes. */
    private static List<Callable<Long>> blocks(List<RandomTensor> tensors, SafetensorsWriter writer, long seed) {
        var blocks = new ArrayList<Callable<Long>>();
        long stream = RandomTensor.mix(seed);
        long values = 0;
        for (int t = 0; t < tensors.size(); t++) {
            RandomTensor tensor = tensors.get(t);
            TensorInfo place = writer.tensors().get(t);
            long count = place.elements();
            for (long start = 0; start < count; start += BLOCK) {
                long first = start;
                long valuesBefore = values;
                int length = (int) Math.min(BLOCK, count - first);
                blocks.add(() -> {
                    try (Arena arena = Arena.ofConfined()) {
                        MemorySegment block = arena.allocate(place.type().bytes(length), Long.BYTES);
                        tensor.fill(block, place.type(), stream, valuesBefore + first);
                        writer.write(place, place.type().bytes(first), block.asByteBuffer());
                        return block.byteSize();
                    }
                });
            }
            values += count;
        }
        return blocks;
    }

    private static void runAll(List<Callable<Long>> blocks, Executor workers, LongConsumer progress)
            throws IOException {
        var running = new ExecutorCompletionService<Long>(workers);
        blocks.forEach(running::submit);
        long bytes = 0;
        try {
            for (int i = 0; i < blocks.size(); i++) {
                bytes += running.take().get();
                progress.accept(bytes);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("interrupted");
        } catch (ExecutionException e) {
            if (e.getCause() instanceof IOException failure) {
                throw failure;
            }
            throw new IllegalStateException(e.getCause());
        }
    }
}
