package io.aquarelle.model;

import io.aquarelle.bindings.Aquarelle;
import io.aquarelle.bindings.aq_upscaler_call;
import io.aquarelle.bindings.aq_upscaler_info;
import io.aquarelle.bindings.aq_upscaler_options;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/**
 * RRDBNet, the network that enlarges pictures in ESRGAN (Wang et al. 2018, arXiv 1809.00219) and Real-ESRGAN (Wang et
 * al. 2021, arXiv 2107.10833). Blocks, widths and scale are read from its tensors.
 */
public final class RrdbNet extends Network {
    /** Before the names of its tensors: those of BasicSR, which other programs read too. */
    static final String PREFIX = "";

    private static final String FIRST = PREFIX + "conv_first.weight";

    private final int channels;
    private final int scale;
    private final int multiple;
    private final int blocks;
    private final int radius;

    private RrdbNet(Engine engine, Weights weights) throws ModelFormatException {
        super("the upscaler", weights, (arena, result, error) -> {
            MemorySegment options = aq_upscaler_options.allocate(arena);
            aq_upscaler_options.prefix(options, arena.allocateFrom(PREFIX));
            return Aquarelle.aq_upscaler_create(engine.handle(), weights.handle(), options, result, error);
        });
        long self = handle();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment info = aq_upscaler_info.allocate(arena);
            NativeCalls.run((scratch, error) -> Aquarelle.aq_upscaler_get_info(self, info, error));
            channels = aq_upscaler_info.channels(info);
            scale = aq_upscaler_info.scale(info);
            multiple = aq_upscaler_info.multiple(info);
            blocks = aq_upscaler_info.blocks(info);
            radius = aq_upscaler_info.radius(info);
        }
    }

    /**
     * Finds the network in the weights.
     *
     * @throws ModelFormatException if there is none, or tensors are missing or do not fit together; the message names one
     */
    public static RrdbNet create(Engine engine, Weights weights) throws ModelFormatException {
        if (!weights.checkpoint().tensors().containsKey(FIRST)) {
            throw new ModelFormatException(
                    weights.checkpoint().path(),
                    "has no tensor '" + FIRST + "' nor 'model.0.weight': it is no upscaler of ESRGAN's kind");
        }
        return new RrdbNet(engine, weights);
    }

    /** Channels of a picture. */
    public int channels() {
        return channels;
    }

    /** Pixels of the output per pixel of the input and side. */
    public int scale() {
        return scale;
    }

    /** What sides of the input must be multiples of: more than 1 where the network folds pixels into channels. */
    public int multiple() {
        return multiple;
    }

    /** Residual-in-residual dense blocks. */
    public int blocks() {
        return blocks;
    }

    /** How many pixels of the input before, behind, over and under a pixel its output depends on. */
    public int radius() {
        return radius;
    }

    /**
     * Enlarges a picture as a whole.
     *
     * @param picture [channels][height][width], 0 to 1
     * @param maxMemory bytes of buffers, or 0 for what is available
     * @param control to cancel the call, or null
     * @return [channels][height * scale][width * scale], about 0 to 1, not clamped
     * @throws IllegalArgumentException if the array has the wrong length or a side is no multiple of {@link #multiple}
     * @throws InsufficientMemoryException if the activations do not fit into memory
     */
    public synchronized float[] upscale(
            float[] picture, int height, int width, long maxMemory, @Nullable CallControl control) {
        requireLength("picture", picture.length, channels, height, width);
        float[] output = new float[outputLength(channels, (long) height * scale, (long) width * scale)];
        long self = handle();
        NativeCalls.run((arena, error) -> {
            MemorySegment result = arena.allocate(ValueLayout.JAVA_FLOAT, output.length);
            MemorySegment call = sizes(arena, height, width, maxMemory);
            aq_upscaler_call.input(call, NativeCalls.copy(arena, picture));
            aq_upscaler_call.output(call, result);
            aq_upscaler_call.input_count(call, picture.length);
            aq_upscaler_call.output_count(call, output.length);
            int status = Aquarelle.aq_upscaler_upscale(self, call, segment(control), error);
            MemorySegment.copy(result, ValueLayout.JAVA_FLOAT, 0, output, 0, output.length);
            return status;
        });
        return output;
    }

    /** The bytes of buffers that {@link #upscale} takes. */
    public synchronized long memory(int height, int width) {
        long[] bytes = {0};
        long self = handle();
        NativeCalls.run((arena, error) -> {
            MemorySegment result = arena.allocate(ValueLayout.JAVA_LONG);
            int status = Aquarelle.aq_upscaler_estimate(self, sizes(arena, height, width, 0), result, error);
            bytes[0] = result.get(ValueLayout.JAVA_LONG, 0);
            return status;
        });
        return bytes[0];
    }

    /** A call with nothing but its sizes. */
    private static MemorySegment sizes(Arena arena, int height, int width, long maxMemory) {
        if (maxMemory < 0) {
            throw new IllegalArgumentException("max memory is " + maxMemory + " bytes; it must be 0 or more");
        }
        MemorySegment call = aq_upscaler_call.allocate(arena);
        call.fill((byte) 0);
        aq_upscaler_call.height(call, height);
        aq_upscaler_call.width(call, width);
        aq_upscaler_call.max_memory(call, maxMemory);
        return call;
    }
}
