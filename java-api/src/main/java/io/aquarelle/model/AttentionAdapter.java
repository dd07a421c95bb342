package io.aquarelle.model;

import io.aquarelle.bindings.Aquarelle;
import io.aquarelle.bindings.aq_attention_adapter_options;
import io.aquarelle.bindings.aq_attention_term;
import io.aquarelle.plan.Unit;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Collection;
import java.util.List;
import java.util.stream.Stream;

/**
 * What an adapter adds to the outputs of all cross-attentions of a UNet: attention of the same queries to keys and values
 * of its own (IP-Adapter, Ye et al. 2023, arXiv 2308.06721), which may be matched to the norm of the attention's own
 * output (SpeedUpNet, Chai et al. 2023, arXiv 2312.08887).
 */
public final class AttentionAdapter extends NativeObject {
    private final Checkpoint checkpoint;
    private final int width;

    private AttentionAdapter(Checkpoint checkpoint, long handle, int width) {
        super("the adapter of " + checkpoint.path(), handle);
        this.checkpoint = checkpoint;
        this.width = width;
    }

    /**
     * Finds an adapter in weights.
     *
     * @param prefix before the names of its tensors: that of a unit, then {@code .k.weight}, {@code .v.weight}, and
     *     {@code .gain} and {@code .offset} where it is matched
     * @throws ModelFormatException if tensors are missing or do not fit the UNet; the message names one
     */
    static AttentionAdapter create(UNet unet, Weights weights, String prefix) throws ModelFormatException {
        Checkpoint checkpoint = weights.checkpoint().retain();
        int[] width = new int[1];
        long handle = Network.create(checkpoint, (arena, result, error) -> {
            MemorySegment options = aq_attention_adapter_options.allocate(arena);
            aq_attention_adapter_options.prefix(options, arena.allocateFrom(prefix));
            MemorySegment channels = arena.allocate(ValueLayout.JAVA_INT);
            int status = Aquarelle.aq_attention_adapter_create(
                    unet.handle(), weights.handle(), options, result, channels, error);
            width[0] = channels.get(ValueLayout.JAVA_INT, 0);
            return status;
        });
        return new AttentionAdapter(checkpoint, handle, width[0]);
    }

    /** Refuses a file that lacks one of its tensors; {@code kind} is what it should be. */
    static void requireTensors(Checkpoint file, Collection<String> names, String kind) throws ModelFormatException {
        for (String name : names) {
            if (!file.tensors().containsKey(name)) {
                throw new ModelFormatException(
                        file.path(), "lacks tensor '" + name + "': it is no " + kind + " of this kind of model");
            }
        }
    }

    /** The cross-attentions of a UNet in the order in which diffusers counts them: down, up, middle. */
    static List<String> crossAttentions(UNet unet) {
        List<String> names = unet.units().stream()
                .filter(unit -> unit.kind() == Unit.Kind.CROSS_ATTENTION)
                .map(Unit::name)
                .toList();
        return Stream.of("input_blocks.", "output_blocks.", "middle_block.")
                .flatMap(part -> names.stream().filter(name -> name.startsWith(part)))
                .toList();
    }

    /** Channels of what it reads. */
    public int width() {
        return width;
    }

    /**
     * What it adds in one call.
     *
     * @param context what it reads, [batch][tokens][width]
     * @param tokens length of each image's
     * @param scale of what it adds
     */
    public record Term(AttentionAdapter adapter, float[] context, int tokens, float scale) {}

    /** The terms of a call, in its memory. */
    static MemorySegment terms(Arena arena, List<Term> terms, int batch) {
        MemorySegment all = aq_attention_term.allocateArray(terms.size(), arena);
        for (int i = 0; i < terms.size(); i++) {
            Term term = terms.get(i);
            Network.requireLength("context", term.context.length, batch, term.tokens, term.adapter.width);
            MemorySegment to = aq_attention_term.asSlice(all, i);
            aq_attention_term.adapter(to, term.adapter.handle());
            aq_attention_term.context(to, NativeCalls.copy(arena, term.context));
            aq_attention_term.context_count(to, term.context.length);
            aq_attention_term.tokens(to, term.tokens);
            aq_attention_term.scale(to, term.scale);
        }
        return all;
    }

    @Override
    void release() {
        checkpoint.close();
    }
}
