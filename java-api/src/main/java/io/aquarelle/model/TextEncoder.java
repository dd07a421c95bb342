package io.aquarelle.model;

import io.aquarelle.bindings.Aquarelle;
import io.aquarelle.bindings.aq_text_encoder_call;
import io.aquarelle.bindings.aq_text_encoder_info;
import io.aquarelle.bindings.aq_text_encoder_options;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A CLIP text tower of a model: token ids to hidden states and a pooled embedding (Radford et al. 2021, arXiv
 * 2103.00020; OpenCLIP: Cherti et al. 2022, arXiv 2212.07143).
 */
public final class TextEncoder extends Network {
    /**
     * What a tower makes of tokens.
     *
     * @param hidden hidden states [chunks][length][width]
     * @param pooled pooled embeddings [chunks][pooledWidth], or empty where the UNet takes none
     */
    public record Encoding(float[] hidden, float[] pooled) {}

    private final TextTower tower;
    private final int width;
    private final int layers;
    private final int vocabulary;
    private final int maxTokens;
    private final int pooledWidth;

    private TextEncoder(Engine engine, Weights weights, TextTower tower) throws ModelFormatException {
        super("the text encoder", weights, (arena, result, error) -> {
            MemorySegment options = aq_text_encoder_options.allocate(arena);
            aq_text_encoder_options.prefix(options, arena.allocateFrom(tower.prefix()));
            aq_text_encoder_options.heads(options, tower.heads());
            aq_text_encoder_options.gelu(options, tower.gelu().ordinal());
            return Aquarelle.aq_text_encoder_create(engine.handle(), weights.handle(), options, result, error);
        });
        this.tower = tower;
        long self = handle();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment info = aq_text_encoder_info.allocate(arena);
            NativeCalls.run((scratch, error) -> Aquarelle.aq_text_encoder_get_info(self, info, error));
            width = aq_text_encoder_info.width(info);
            layers = aq_text_encoder_info.layers(info);
            vocabulary = aq_text_encoder_info.vocabulary(info);
            maxTokens = aq_text_encoder_info.max_tokens(info);
            pooledWidth = aq_text_encoder_info.pooled_width(info);
        }
    }

    /**
     * Finds the tower in the weights.
     *
     * @throws ModelFormatException if tensors are missing or do not fit together
     */
    public static TextEncoder create(Engine engine, Weights weights, TextTower tower) throws ModelFormatException {
        return new TextEncoder(engine, weights, tower);
    }

    /** Where it lies and what is taken from it. */
    public TextTower tower() {
        return tower;
    }

    /** Channels of a hidden state. */
    public int width() {
        return width;
    }

    /** Layers of the tower. */
    public int layers() {
        return layers;
    }

    /** Token ids run from 0 to this number less one. */
    public int vocabulary() {
        return vocabulary;
    }

    /** Tokens in the longest chunk. */
    public int maxTokens() {
        return maxTokens;
    }

    /** Channels of a pooled embedding. */
    public int pooledWidth() {
        return pooledWidth;
    }

    /**
     * Encodes chunks of tokens, each by itself.
     *
     * @param tokens ids [chunks][length], all of one length
     * @param skipLayers layers left out of the hidden states at the end; see {@link TextTower#skipLayers}
     * @param control to cancel the call, or null
     * @throws IllegalArgumentException if an id or a length is out of range
     */
    public Encoding encode(int[][] tokens, int skipLayers, @Nullable CallControl control) {
        return encode(tokens, new float[0], skipLayers, control);
    }

    /**
     * The same with token embeddings beside the vocabulary's, for textual inversion.
     *
     * @param words embeddings [words][width] of the ids from {@link #vocabulary} on
     */
    public synchronized Encoding encode(int[][] tokens, float[] words, int skipLayers, @Nullable CallControl control) {
        int length = tokens.length == 0 ? 0 : tokens[0].length;
        for (int[] chunk : tokens) {
            requireLength("a chunk of tokens", chunk.length, length);
        }
        int[] flat = Arrays.stream(tokens).flatMapToInt(Arrays::stream).toArray();
        float[] hidden = new float[outputLength(tokens.length, length, width)];
        float[] pooled = new float[tower.pooled() ? outputLength(tokens.length, pooledWidth) : 0];
        long self = handle();
        NativeCalls.run((arena, error) -> {
            MemorySegment hiddenResult = arena.allocate(ValueLayout.JAVA_FLOAT, hidden.length);
            MemorySegment pooledResult =
                    tower.pooled() ? arena.allocate(ValueLayout.JAVA_FLOAT, pooled.length) : MemorySegment.NULL;
            MemorySegment call = aq_text_encoder_call.allocate(arena);
            aq_text_encoder_call.tokens(call, arena.allocateFrom(ValueLayout.JAVA_INT, flat));
            aq_text_encoder_call.token_count(call, flat.length);
            aq_text_encoder_call.output(call, hiddenResult);
            aq_text_encoder_call.output_count(call, hidden.length);
            aq_text_encoder_call.pooled(call, pooledResult);
            aq_text_encoder_call.pooled_count(call, pooled.length);
            aq_text_encoder_call.chunks(call, tokens.length);
            aq_text_encoder_call.length(call, length);
            aq_text_encoder_call.skip_layers(call, skipLayers);
            aq_text_encoder_call.final_norm(call, tower.finalNorm() ? 1 : 0);
            aq_text_encoder_call.words(call, NativeCalls.copy(arena, words));
            aq_text_encoder_call.word_count(call, words.length / width);
            int status = Aquarelle.aq_text_encoder_encode(self, call, segment(control), error);
            MemorySegment.copy(hiddenResult, ValueLayout.JAVA_FLOAT, 0, hidden, 0, hidden.length);
            MemorySegment.copy(pooledResult, ValueLayout.JAVA_FLOAT, 0, pooled, 0, pooled.length);
            return status;
        });
        return new Encoding(hidden, pooled);
    }
}
