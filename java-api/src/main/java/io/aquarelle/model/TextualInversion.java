package io.aquarelle.model;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A word with token embeddings of its own, one or more in a row (Gal et al., arXiv 2208.01618): a file of A1111's web UI
 * ({@code .pt} or {@code emb_params}), of diffusers ({@code learned_embeds}), or one for the two text encoders of SDXL
 * ({@code clip_l}, {@code clip_g}). Immutable; the file is read once.
 */
public final class TextualInversion {
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final int MAX_VECTORS = 1000;
    private static final int MAX_WIDTH = 16384;

    /** What files call the vectors of the encoders of SDXL. */
    private static final Map<String, String> PAIRS = Map.of(
            "clip_l", "clip_l",
            "clip_g", "clip_g",
            "text_encoders_0", "clip_l",
            "text_encoders_1", "clip_g");

    private static final String ONLY = "";

    private final Path path;
    private final String word;
    private final int count;
    private final Map<String, float[]> vectors; // by encoder

    private TextualInversion(Path path, String word, int count, Map<String, float[]> vectors) {
        this.path = path;
        this.word = word;
        this.count = count;
        this.vectors = vectors;
    }

    /** Reads a file whose name without ending is the word; see {@link #open(Path, String)}. */
    public static TextualInversion open(Path file) throws IOException {
        String name = String.valueOf(file.getFileName());
        int dot = name.lastIndexOf('.');
        return open(file, dot > 0 ? name.substring(0, dot) : name);
    }

    /**
     * Reads a file.
     *
     * @param word what stands for its vectors in prompts, in any case
     * @throws ModelFormatException if it holds no token embeddings, or is damaged
     * @throws IOException if it cannot be read
     */
    public static TextualInversion open(Path file, String word) throws IOException {
        if (word.isBlank()) {
            throw new IllegalArgumentException("a word for " + file + " is empty");
        }
        try (Arena arena = Arena.ofShared()) {
            List<TensorSource> tensors =
                    new ArrayList<>(ModelReader.read(file, arena).tensors().values());
            boolean pair =
                    tensors.stream().anyMatch(it -> PAIRS.containsKey(it.info().name()));
            Map<String, float[]> vectors = new LinkedHashMap<>();
            int count = 0;
            for (TensorSource tensor : tensors) {
                String encoder = pair ? PAIRS.get(tensor.info().name()) : ONLY;
                if (encoder == null) {
                    continue;
                }
                int rows = rows(file, tensor.info());
                if (!vectors.isEmpty() && rows != count || vectors.containsKey(encoder)) {
                    throw new ModelFormatException(
                            file,
                            "has tensor '" + Json.shorten(tensor.info().name()) + "' of shape "
                                    + tensor.info().shape()
                                    + " beside others; one word has one tensor, or clip_l and clip_g of as many rows");
                }
                count = rows;
                vectors.put(encoder, values(file, tensor));
            }
            if (vectors.isEmpty()) {
                throw new ModelFormatException(file, "holds no token embeddings");
            }
            return new TextualInversion(file, word, count, vectors);
        } catch (NoSuchFileException e) {
            throw new NoSuchFileException(file.toString(), null, "there is no such file; check the path");
        }
    }

    /** One word's tensor in a file that holds more. */
    static TextualInversion of(Path file, String word, TensorSource tensor) throws ModelFormatException {
        return new TextualInversion(file, word, rows(file, tensor.info()), Map.of(ONLY, values(file, tensor)));
    }

    private static int rows(Path file, TensorInfo info) throws ModelFormatException {
        List<Long> shape = info.shape();
        boolean fits = info.type().isFloat() && (shape.size() == 1 || shape.size() == 2);
        long rows = fits && shape.size() == 2 ? shape.getFirst() : 1;
        if (!fits || rows < 1 || rows > MAX_VECTORS || shape.getLast() < 1 || shape.getLast() > MAX_WIDTH) {
            throw new ModelFormatException(
                    file,
                    "has tensor '" + Json.shorten(info.name()) + "' of type "
                            + info.type().label() + " and shape " + shape + ", which are no token embeddings");
        }
        return (int) rows;
    }

    private static float[] values(Path file, TensorSource tensor) throws ModelFormatException {
        try (Arena arena = Arena.ofConfined()) {
            TensorInfo info = tensor.info();
            MemorySegment floats = arena.allocate(Float.BYTES * info.elements());
            NumberTypes.convert(info.type(), tensor.values(arena), DataType.F32, floats);
            float[] values = floats.toArray(FLOAT);
            for (float value : values) {
                if (!Float.isFinite(value)) {
                    throw new IllegalArgumentException();
                }
            }
            return values;
        } catch (IllegalArgumentException e) {
            throw new ModelFormatException(
                    file,
                    "has tensor '" + Json.shorten(tensor.info().name())
                            + "' with values that are no numbers; it is damaged");
        }
    }

    /** The file that it was read from. */
    public Path path() {
        return path;
    }

    /** What stands for the vectors in a prompt. */
    public String word() {
        return word;
    }

    /** How many vectors stand in its place. */
    public int count() {
        return count;
    }

    /**
     * The vectors for one of a model's text encoders, [count][width].
     *
     * @param encoders of the model
     * @param index of the one
     * @throws IllegalArgumentException if they have another width, or there are none for it
     */
    public float[] vectors(List<TextEncoder> encoders, int index) {
        TextEncoder encoder = encoders.get(index);
        boolean pair = !vectors.containsKey(ONLY);
        // The second encoder of SDXL is the only one of its refiner, and the one whose pooled embedding is used.
        String name = !pair && encoders.size() == 1 ? ONLY : encoder.tower().pooled() ? "clip_g" : "clip_l";
        float[] found = vectors.get(name);
        int width = (found == null ? vectors.values().iterator().next() : found).length / count;
        if (found == null || width != encoder.width()) {
            throw new IllegalArgumentException(path + " has token embeddings of width " + width
                    + (found == null ? " only" : "") + ", but a text encoder takes " + encoder.width()
                    + "; it was made for another kind of model");
        }
        return found.clone();
    }

    @Override
    public String toString() {
        return word;
    }
}
