package io.aquarelle.model;

import io.aquarelle.bindings.Aquarelle;
import io.aquarelle.bindings.aq_image_encoder_call;
import io.aquarelle.bindings.aq_image_encoder_info;
import io.aquarelle.bindings.aq_image_encoder_options;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/**
 * CLIP's tower of pictures (Radford et al. 2021, arXiv 2103.00020): pictures to embeddings, or to the tokens of an IP-Adapter
 * Plus whose {@code image_proj.*} are among the weights.
 */
public final class ImageEncoder extends Network {
    private final int side;
    private final int width;

    private ImageEncoder(Engine engine, Weights weights, int heads) throws ModelFormatException {
        super("the image encoder", weights, (arena, result, error) -> {
            MemorySegment options = aq_image_encoder_options.allocate(arena);
            aq_image_encoder_options.prefix(options, arena.allocateFrom(""));
            aq_image_encoder_options.heads(options, heads);
            return Aquarelle.aq_image_encoder_create(engine.handle(), weights.handle(), options, result, error);
        });
        long self = handle();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment info = aq_image_encoder_info.allocate(arena);
            NativeCalls.run((scratch, error) -> Aquarelle.aq_image_encoder_get_info(self, info, error));
            side = aq_image_encoder_info.side(info);
            width = aq_image_encoder_info.width(info);
        }
    }

    /**
     * Finds the tower in the weights, by the names of Hugging Face.
     *
     * @param heads of its attention; 0 for 16, as in ViT-L, ViT-H and ViT-bigG
     * @throws ModelFormatException if tensors are missing or do not fit together
     */
    public static ImageEncoder create(Engine engine, Weights weights, int heads) throws ModelFormatException {
        return new ImageEncoder(engine, weights, heads);
    }

    /** Pixels of a side of the square picture that it takes. */
    public int side() {
        return side;
    }

    /** Width of the embedding, or of all tokens together. */
    public int width() {
        return width;
    }

    /**
     * The embedding of a picture, or its tokens one behind the other.
     *
     * @param planes [3][side][side], less CLIP's mean and divided by its deviation
     * @return [width]
     * @throws IllegalArgumentException if the array has the wrong length
     * @throws InsufficientMemoryException if the activations do not fit into memory
     */
    public synchronized float[] encode(float[] planes, @Nullable CallControl control) {
        requireLength("planes", planes.length, 3, side, side);
        float[] output = new float[width];
        long self = handle();
        NativeCalls.run((arena, error) -> {
            MemorySegment result = arena.allocate(ValueLayout.JAVA_FLOAT, width);
            MemorySegment call = aq_image_encoder_call.allocate(arena);
            aq_image_encoder_call.pictures(call, NativeCalls.copy(arena, planes));
            aq_image_encoder_call.output(call, result);
            aq_image_encoder_call.picture_count(call, planes.length);
            aq_image_encoder_call.output_count(call, width);
            aq_image_encoder_call.images(call, 1);
            int status = Aquarelle.aq_image_encoder_encode(self, call, segment(control), error);
            MemorySegment.copy(result, ValueLayout.JAVA_FLOAT, 0, output, 0, width);
            return status;
        });
        return output;
    }
}
