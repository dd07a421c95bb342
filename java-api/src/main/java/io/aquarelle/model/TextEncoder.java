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

/** The CLIP text tower of a model: token ids to hidden states (Radford et al. 2021, arXiv 2103.00020). */
public final class TextEncoder extends Network {
    private final int width;
    private final int layers;
    private final int vocabulary;
    private final int maxTokens;

    private TextEncoder(Engine engine, Weights weights, String prefix, int heads) throws ModelFormatException {
        super("the text encoder", weights, (arena, result, error) -> {
            MemorySegment options = aq_text_encoder_options.allocate(arena);
            aq_text_encoder_options.prefix(options, arena.allocateFrom(prefix));
            aq_text_encoder_options.heads(options, heads);
            return Aquarelle.aq_text_encoder_create(engine.handle(), weights.handle(), options, result, error);
        });
        long self = handle();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment info = aq_text_encoder_info.allocate(arena);
            NativeCalls.run((scratch, error) -> Aquarelle.aq_text_encoder_get_info(self, info, error));
            width = aq_text_encoder_info.width(info);
            layers = aq_text_encoder_info.layers(info);
            vocabulary = aq_text_encoder_info.vocabulary(info);
            maxTokens = aq_text_encoder_info.max_tokens(info);
        }
    }

    /**
     * Finds the tower in the weights.
     *
     * @param prefix what stands before "embeddings.token_embedding.weight" in its tensors' names
     * @param heads attention heads, or 0 for 64 channels each
     * @throws ModelFormatException if tensors are missing or do not fit together
     */
    public static TextEncoder create(Engine engine, Weights weights, String prefix, int heads)
            throws ModelFormatException {
        return new TextEncoder(engine, weights, prefix, heads);
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

    /**
     * Encodes chunks of tokens, each by itself.
     *
     * @param tokens ids [chunks][length], all of one length
     * @param skipLayers layers left out at the end; "clip skip" n is n - 1 here
     * @param control to cancel the call, or null
     * @return hidden states [chunks][length][width] after the final LayerNorm
     * @throws IllegalArgumentException if an id or a length is out of range
     */
    public synchronized float[] encode(int[][] tokens, int skipLayers, @Nullable CallControl control) {
        int length = tokens.length == 0 ? 0 : tokens[0].length;
        for (int[] chunk : tokens) {
            requireLength("a chunk of tokens", chunk.length, length);
        }
        int[] flat = Arrays.stream(tokens).flatMapToInt(Arrays::stream).toArray();
        float[] output = new float[outputLength(tokens.length, length, width)];
        long self = handle();
        NativeCalls.run((arena, error) -> {
            MemorySegment result = arena.allocate(ValueLayout.JAVA_FLOAT, output.length);
            MemorySegment call = aq_text_encoder_call.allocate(arena);
            aq_text_encoder_call.tokens(call, arena.allocateFrom(ValueLayout.JAVA_INT, flat));
            aq_text_encoder_call.token_count(call, flat.length);
            aq_text_encoder_call.output(call, result);
            aq_text_encoder_call.output_count(call, output.length);
            aq_text_encoder_call.chunks(call, tokens.length);
            aq_text_encoder_call.length(call, length);
            aq_text_encoder_call.skip_layers(call, skipLayers);
            int status = Aquarelle.aq_text_encoder_encode(self, call, segment(control), error);
            MemorySegment.copy(result, ValueLayout.JAVA_FLOAT, 0, output, 0, output.length);
            return status;
        });
        return output;
    }
}
