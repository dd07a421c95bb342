package io.aquarelle.model;

import io.aquarelle.bindings.Aquarelle;
import io.aquarelle.bindings.aq_vae_call;
import io.aquarelle.bindings.aq_vae_info;
import io.aquarelle.bindings.aq_vae_options;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/**
 * The autoencoder of a latent diffusion model, pictures to latents and back: its VAE, or a tiny one in its place (TAESD,
 * github.com/madebyollin/taesd). Latents of a VAE are unscaled: divide by the model's latent scale before decoding,
 * multiply by it after encoding. Those of a tiny autoencoder are {@link #scaled}.
 */
public final class Autoencoder extends Network {
    private final int latentChannels;
    private final int imageChannels;
    private final int factor;
    private final boolean hasEncoder;
    private final boolean hasDecoder;
    private final boolean scaled;

    private Autoencoder(Engine engine, Weights weights, String prefix) throws ModelFormatException {
        super("the VAE", weights, (arena, result, error) -> {
            MemorySegment options = aq_vae_options.allocate(arena);
            aq_vae_options.prefix(options, arena.allocateFrom(prefix));
            return Aquarelle.aq_vae_create(engine.handle(), weights.handle(), options, result, error);
        });
        long self = handle();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment info = aq_vae_info.allocate(arena);
            NativeCalls.run((scratch, error) -> Aquarelle.aq_vae_get_info(self, info, error));
            latentChannels = aq_vae_info.latent_channels(info);
            imageChannels = aq_vae_info.image_channels(info);
            factor = aq_vae_info.factor(info);
            hasEncoder = aq_vae_info.has_encoder(info) != 0;
            hasDecoder = aq_vae_info.has_decoder(info) != 0;
            scaled = aq_vae_info.scaled(info) != 0;
        }
    }

    /**
     * Finds the autoencoder in the weights; one of its halves may be missing.
     *
     * @param prefix what stands before "decoder.conv_in.weight" in its tensors' names, or before those of a tiny one
     * @throws ModelFormatException if tensors are missing or do not fit together
     */
    public static Autoencoder create(Engine engine, Weights weights, String prefix) throws ModelFormatException {
        return new Autoencoder(engine, weights, prefix);
    }

    /** Channels of a latent. */
    public int latentChannels() {
        return latentChannels;
    }

    /** Channels of a picture. */
    public int imageChannels() {
        return imageChannels;
    }

    /** Pixels per latent cell and side. */
    public int factor() {
        return factor;
    }

    /** Whether {@link #encode} works. */
    public boolean hasEncoder() {
        return hasEncoder;
    }

    /** Whether {@link #decode} works. */
    public boolean hasDecoder() {
        return hasDecoder;
    }

    /** Whether this is a tiny autoencoder, whose latents are those of the UNet and never divided. */
    public boolean scaled() {
        return scaled;
    }

    /**
     * Latents to pictures.
     *
     * @param latents [batch][latentChannels][height][width], unscaled, or of the UNet's scale for a tiny one
     * @param control to cancel the call, or null
     * @return [batch][imageChannels][height * factor][width * factor], about -1 to 1, not clamped
     * @throws IllegalArgumentException if the array has the wrong length
     * @throws InsufficientMemoryException if the activations do not fit into memory
     */
    public float[] decode(float[] latents, int batch, int height, int width, @Nullable CallControl control) {
        return decode(latents, batch, height, width, 0, control);
    }

    /**
     * Latents to pictures within a budget. Where the whole does not fit, a VAE computes bands of rows one after the
     * other, more slowly, with the statistics of the whole picture: no seams, and the same picture but for rounding.
     *
     * @param maxMemory bytes of buffers, or 0 for what is available
     * @throws InsufficientMemoryException if that is less than {@link #memory} tells
     */
    public float[] decode(
            float[] latents, int batch, int height, int width, long maxMemory, @Nullable CallControl control) {
        requireLength("latents", latents.length, batch, latentChannels, height, width);
        float[] images = new float[outputLength(batch, imageChannels, (long) height * factor, (long) width * factor)];
        call(Aquarelle::aq_vae_decode, latents, images, batch, height, width, maxMemory, control);
        return images;
    }

    /**
     * Pictures to the distribution of their latents.
     *
     * @param images [batch][imageChannels][height * factor][width * factor], -1 to 1
     * @param height of the latent, as is {@code width}
     * @param control to cancel the call, or null
     * @return [batch][2 * latentChannels][height][width]: mean, then log variance, unscaled; those of a tiny one have the
     *     UNet's scale and next to no variance
     * @throws IllegalArgumentException if the array has the wrong length
     * @throws InsufficientMemoryException if the activations do not fit into memory
     */
    public float[] encode(float[] images, int batch, int height, int width, @Nullable CallControl control) {
        return encode(images, batch, height, width, 0, control);
    }

    /** Pictures to the distribution of their latents within a budget, as {@link #decode} keeps to it. */
    public float[] encode(
            float[] images, int batch, int height, int width, long maxMemory, @Nullable CallControl control) {
        requireLength("images", images.length, batch, imageChannels, (long) height * factor, (long) width * factor);
        float[] moments = new float[outputLength(batch, 2L * latentChannels, height, width)];
        call(Aquarelle::aq_vae_encode, images, moments, batch, height, width, maxMemory, control);
        return moments;
    }

    /**
     * The bytes of buffers that {@link #decode} or {@link #encode} takes within a budget; where that is more than the
     * budget, the call would fail.
     *
     * @param height of the latent, as is {@code width}
     * @param maxMemory bytes, or 0 for what is available
     */
    public synchronized long memory(boolean encode, int batch, int height, int width, long maxMemory) {
        long[] bytes = {0};
        long self = handle();
        NativeCalls.run((arena, error) -> {
            MemorySegment result = arena.allocate(ValueLayout.JAVA_LONG);
            MemorySegment call = sizes(arena, batch, height, width, maxMemory);
            int status = Aquarelle.aq_vae_estimate(self, call, encode ? 1 : 0, result, error);
            bytes[0] = result.get(ValueLayout.JAVA_LONG, 0);
            return status;
        });
        return bytes[0];
    }

    /** A call with nothing but its sizes. */
    private static MemorySegment sizes(Arena arena, int batch, int height, int width, long maxMemory) {
        if (maxMemory < 0) {
            throw new IllegalArgumentException("max memory is " + maxMemory + " bytes; it must be 0 or more");
        }
        MemorySegment call = aq_vae_call.allocate(arena);
        call.fill((byte) 0);
        aq_vae_call.batch(call, batch);
        aq_vae_call.height(call, height);
        aq_vae_call.width(call, width);
        aq_vae_call.max_memory(call, maxMemory);
        return call;
    }

    @FunctionalInterface
    private interface Function {
        int run(long handle, MemorySegment call, MemorySegment control, MemorySegment error);
    }

    private synchronized void call(
            Function function,
            float[] input,
            float[] output,
            int batch,
            int height,
            int width,
            long maxMemory,
            @Nullable CallControl control) {
        long self = handle();
        NativeCalls.run((arena, error) -> {
            MemorySegment result = arena.allocate(ValueLayout.JAVA_FLOAT, output.length);
            MemorySegment call = sizes(arena, batch, height, width, maxMemory);
            aq_vae_call.input(call, NativeCalls.copy(arena, input));
            aq_vae_call.output(call, result);
            aq_vae_call.input_count(call, input.length);
            aq_vae_call.output_count(call, output.length);
            int status = function.run(self, call, segment(control), error);
            MemorySegment.copy(result, ValueLayout.JAVA_FLOAT, 0, output, 0, output.length);
            return status;
        });
    }
}
