package io.aquarelle.model;

import io.aquarelle.bindings.Aquarelle;
import io.aquarelle.bindings.aq_control_net_call;
import io.aquarelle.bindings.aq_control_net_info;
import io.aquarelle.bindings.aq_control_net_options;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * ControlNet (Zhang, Rao and Agrawala 2023, arXiv 2302.05543): makes a UNet follow a picture, such as of edges or depths.
 */
public final class ControlNet extends Network {
    /** Before the names of its tensors. */
    static final String PREFIX = "control_model.";

    private final UNet unet;
    private final int inChannels;
    private final int pictureChannels;
    private final int factor;

    private ControlNet(UNet unet, Weights weights) throws ModelFormatException {
        super("the control net", weights, (arena, result, error) -> {
            MemorySegment options = aq_control_net_options.allocate(arena);
            aq_control_net_options.prefix(options, arena.allocateFrom(PREFIX));
            return Aquarelle.aq_control_net_create(unet.handle(), weights.handle(), options, result, error);
        });
        this.unet = unet;
        long self = handle();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment info = aq_control_net_info.allocate(arena);
            NativeCalls.run((scratch, error) -> Aquarelle.aq_control_net_get_info(self, info, error));
            inChannels = aq_control_net_info.in_channels(info);
            pictureChannels = aq_control_net_info.hint_channels(info);
            factor = aq_control_net_info.factor(info);
        }
    }

    /**
     * Finds the control net in the weights.
     *
     * @param unet which it adds to; it computes on the same engine
     * @throws ModelFormatException if there is none, or it was made for another kind of UNet; the message names a tensor
     */
    public static ControlNet create(UNet unet, Weights weights) throws ModelFormatException {
        if (weights.checkpoint().tensors().keySet().stream().noneMatch(name -> name.startsWith(PREFIX))) {
            throw new ModelFormatException(
                    weights.checkpoint().path(),
                    "has no tensor 'input_hint_block.0.weight' nor 'controlnet_cond_embedding.conv_in.weight': it is no"
                            + " control net");
        }
        return new ControlNet(unet, weights);
    }

    /** The UNet that it adds to. */
    public UNet unet() {
        return unet;
    }

    /** Channels of the latent that it takes, the first ones of the UNet's. */
    public int inChannels() {
        return inChannels;
    }

    /** Channels of the picture that it takes. */
    public int pictureChannels() {
        return pictureChannels;
    }

    /** Pixels of the picture per latent cell and side. */
    public int factor() {
        return factor;
    }

    /**
     * Computes what is to be added to the UNet.
     *
     * @param latents [batch][inChannels][height][width], scaled for the network
     * @param timesteps [batch], 0 to 999, need not be whole
     * @param condition of as many, as the UNet's; a guidance embedding is ignored
     * @param picture [pictureChannels][height factor][width factor], 0 to 1
     * @param to one for each image
     * @param wanted which residuals to compute; the others stay as they are
     * @param scale of the residuals
     * @param adds whether they are added to what is there or written over it
     * @throws IllegalArgumentException if an array has the wrong length or a number is not finite
     * @throws InsufficientMemoryException if the activations do not fit into memory
     */
    public synchronized void evaluate(
            float[] latents,
            float[] timesteps,
            UNet.Condition condition,
            float[] picture,
            int height,
            int width,
            List<Residuals> to,
            boolean[] wanted,
            float scale,
            boolean adds,
            @Nullable CallControl control) {
        int batch = timesteps.length;
        requireLength("latents", latents.length, batch, inChannels, height, width);
        requireLength("context", condition.context().length, batch, condition.tokens(), unet.contextWidth());
        requireLength("picture", picture.length, pictureChannels, (long) height * factor, (long) width * factor);
        requireLength("wanted", wanted.length, unet.residuals());
        long self = handle();
        NativeCalls.run((arena, error) -> {
            MemorySegment call = aq_control_net_call.allocate(arena);
            call.fill((byte) 0);
            aq_control_net_call.latent(call, NativeCalls.copy(arena, latents));
            aq_control_net_call.timesteps(call, NativeCalls.copy(arena, timesteps));
            aq_control_net_call.context(call, NativeCalls.copy(arena, condition.context()));
            aq_control_net_call.label(call, NativeCalls.copy(arena, condition.label()));
            aq_control_net_call.hint(call, NativeCalls.copy(arena, picture));
            aq_control_net_call.residuals(call, Residuals.pointers(arena, to, batch));
            describe(arena, call, batch, height, width, condition.tokens(), wanted);
            aq_control_net_call.latent_count(call, latents.length);
            aq_control_net_call.timestep_count(call, timesteps.length);
            aq_control_net_call.context_count(call, condition.context().length);
            aq_control_net_call.label_count(call, condition.label().length);
            aq_control_net_call.hint_count(call, picture.length);
            aq_control_net_call.residual_count(call, to.getFirst().length());
            aq_control_net_call.scale(call, scale);
            aq_control_net_call.adds(call, adds ? 1 : 0);
            return Aquarelle.aq_control_net_evaluate(self, call, segment(control), error);
        });
    }

    private static void describe(
            Arena arena, MemorySegment call, int batch, int height, int width, int tokens, boolean[] wanted) {
        byte[] flags = new byte[wanted.length];
        for (int i = 0; i < flags.length; i++) {
            flags[i] = (byte) (wanted[i] ? 1 : 0);
        }
        aq_control_net_call.wanted(call, arena.allocateFrom(ValueLayout.JAVA_BYTE, flags));
        aq_control_net_call.wanted_count(call, flags.length);
        aq_control_net_call.batch(call, batch);
        aq_control_net_call.height(call, height);
        aq_control_net_call.width(call, width);
        aq_control_net_call.tokens(call, tokens);
    }

    /**
     * The multiply-adds of a call of {@code batch} branches that differ in their text only, counted as in
     * {@link io.aquarelle.plan.Work}; what becomes of the picture is computed once and left out.
     *
     * @param tokens of each text
     * @param wanted which residuals it computes
     */
    public synchronized double estimate(int batch, int height, int width, int tokens, boolean[] wanted) {
        requireLength("wanted", wanted.length, unet.residuals());
        double[] multiplyAdds = new double[1];
        long self = handle();
        NativeCalls.run((arena, error) -> {
            MemorySegment call = aq_control_net_call.allocate(arena);
            call.fill((byte) 0);
            describe(arena, call, batch, height, width, tokens, wanted);
            MemorySegment result = arena.allocate(ValueLayout.JAVA_DOUBLE);
            int status = Aquarelle.aq_control_net_estimate(self, call, result, error);
            multiplyAdds[0] = result.get(ValueLayout.JAVA_DOUBLE, 0);
            return status;
        });
        return multiplyAdds[0];
    }
}
