package io.aquarelle.model;

import io.aquarelle.bindings.Aquarelle;
import io.aquarelle.bindings.aq_unet_call;
import io.aquarelle.bindings.aq_unet_info;
import io.aquarelle.bindings.aq_unet_options;
import io.aquarelle.bindings.aq_unet_work;
import io.aquarelle.bindings.aq_unit;
import io.aquarelle.plan.Action;
import io.aquarelle.plan.Unit;
import io.aquarelle.plan.Work;
import io.aquarelle.sampling.Latents;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** The denoising network of a latent diffusion model (Rombach et al. 2022, arXiv 2112.10752). */
public final class UNet extends Network {
    private final String prefix;
    private final int inChannels;
    private final int outChannels;
    private final int contextWidth;
    private final int levels;
    private final int labelWidth;
    private final int guidanceWidth;
    private final List<Unit> units;
    private final int residuals;

    private UNet(Engine engine, Weights weights, String prefix, Heads heads, int router) throws ModelFormatException {
        super("the UNet", weights, (arena, result, error) -> {
            MemorySegment options = aq_unet_options.allocate(arena);
            aq_unet_options.prefix(options, arena.allocateFrom(prefix));
            aq_unet_options.heads(options, heads.count());
            aq_unet_options.head_width(options, heads.width());
            aq_unet_options.router(options, router);
            return Aquarelle.aq_unet_create(engine.handle(), weights.handle(), options, result, error);
        });
        this.prefix = prefix;
        long self = handle();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment info = aq_unet_info.allocate(arena);
            NativeCalls.run((scratch, error) -> Aquarelle.aq_unet_get_info(self, info, error));
            inChannels = aq_unet_info.in_channels(info);
            outChannels = aq_unet_info.out_channels(info);
            contextWidth = aq_unet_info.context_width(info);
            levels = aq_unet_info.levels(info);
            labelWidth = aq_unet_info.label_width(info);
            guidanceWidth = aq_unet_info.guidance_width(info);
            units = readUnits(self, aq_unet_info.units(info), arena);
            residuals = aq_unet_info.residuals(info);
        }
    }

    /** How routers of convolutions with several kernels weigh them, as the file's metadata says. */
    private static int router(Checkpoint file) throws ModelFormatException {
        String activation = file.metadata().getOrDefault("condconv.activation", "sigmoid");
        String input = file.metadata().getOrDefault("condconv.router_input", "gap");
        if (!input.equals("gap")) {
            throw new ModelFormatException(
                    file.path(), "says condconv.router_input '" + input + "' in its metadata; only gap is known");
        }
        return switch (activation) {
            case "sigmoid" -> Aquarelle.AQ_ROUTER_SIGMOID();
            case "softmax" -> Aquarelle.AQ_ROUTER_SOFTMAX();
            default ->
                throw new ModelFormatException(
                        file.path(),
                        "says condconv.activation '" + activation + "' in its metadata; it must be sigmoid or softmax");
        };
    }

    private static List<Unit> readUnits(long self, int count, Arena arena) {
        MemorySegment all = aq_unit.allocateArray(count, arena);
        NativeCalls.run((scratch, error) -> Aquarelle.aq_unet_get_units(self, all, count, error));
        List<Unit> units = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            MemorySegment unit = aq_unit.asSlice(all, i);
            units.add(new Unit(
                    aq_unit.name(unit).getString(0),
                    Unit.Kind.values()[aq_unit.kind(unit)],
                    aq_unit.parent(unit),
                    aq_unit.skippable(unit) != 0));
        }
        return List.copyOf(units);
    }

    /**
     * Finds the UNet in the weights; which blocks it has, their widths and depths are read from the tensors.
     *
     * @param prefix what stands before "input_blocks.0.0.weight" in its tensors' names
     * @param heads how attention divides channels
     * @throws ModelFormatException if tensors are missing or do not fit together
     */
    public static UNet create(Engine engine, Weights weights, String prefix, Heads heads) throws ModelFormatException {
        return new UNet(engine, weights, prefix, heads, router(weights.checkpoint()));
    }

    /** Lets pages of its weights leave memory, for who will not call it soon; they come back by themselves. */
    public void unload() {
        unload(name -> name.startsWith(prefix));
    }

    /** Channels of the latent that it takes: 4, or more where a model is conditioned on pictures. */
    public int inChannels() {
        return inChannels;
    }

    /** Channels of its output. */
    public int outChannels() {
        return outChannels;
    }

    /** Channels of the text embedding that it takes. */
    public int contextWidth() {
        return contextWidth;
    }

    /** Sizes at which it works: the latent is halved one time less. */
    public int levels() {
        return levels;
    }

    /** Width of the vector of pooled text and sizes that an SDXL UNet takes; 0 for none. */
    public int labelWidth() {
        return labelWidth;
    }

    /** Width of the guidance embedding that a latent consistency model takes; 0 for none. */
    public int guidanceWidth() {
        return guidanceWidth;
    }

    /** The parts of which a call can say what to do with them, in the order in which they run, each before its parts. */
    public List<Unit> units() {
        return units;
    }

    /** How many tensors a control net adds to it: one behind each input block, and one behind the middle block. */
    public int residuals() {
        return residuals;
    }

    /** The lengths of one image's residuals for latents of a size. */
    synchronized long[] residualLengths(int height, int width) {
        long[] lengths = new long[residuals];
        long self = handle();
        NativeCalls.run((arena, error) -> {
            MemorySegment floats = arena.allocate(ValueLayout.JAVA_LONG, residuals);
            int status = Aquarelle.aq_unet_get_residuals(self, height, width, floats, residuals, error);
            MemorySegment.copy(floats, ValueLayout.JAVA_LONG, 0, lengths, 0, residuals);
            return status;
        });
        return lengths;
    }

    /**
     * Which residuals a call reads: those that units which it computes take.
     *
     * @param tokens length of the text embeddings
     * @param actions as for a call
     * @return one flag a residual
     * @throws IllegalArgumentException if the actions cannot be followed
     */
    public synchronized boolean[] residualsRead(int height, int width, int tokens, List<Action> actions) {
        boolean[] read = new boolean[residuals];
        long self = handle();
        NativeCalls.run((arena, error) -> {
            MemorySegment flags = arena.allocate(residuals);
            MemorySegment call = sizes(arena, 1, height, width, tokens, actions);
            int status = Aquarelle.aq_unet_get_residuals_read(self, call, flags, residuals, error);
            for (int i = 0; i < residuals; i++) {
                read[i] = flags.get(ValueLayout.JAVA_BYTE, i) != 0;
            }
            return status;
        });
        return read;
    }

    /**
     * What a batch is conditioned on.
     *
     * @param context text embeddings [batch][tokens][contextWidth]
     * @param tokens length of each
     * @param label [batch][labelWidth]; empty where the network takes none
     * @param guidance [batch][guidanceWidth]; empty where the network takes none
     */
    public record Condition(float[] context, int tokens, float[] label, float[] guidance) {
        private static final float[] NONE = {};

        /** Text only. */
        public static Condition ofText(float[] context, int tokens) {
            return new Condition(context, tokens, NONE, NONE);
        }

        /**
         * Batches behind one another.
         *
         * @throws IllegalArgumentException if they have not as many tokens
         */
        public static Condition joined(List<Condition> all) {
            int tokens = all.getFirst().tokens;
            for (Condition each : all) {
                if (each.tokens != tokens) {
                    throw new IllegalArgumentException(
                            "conditions of " + tokens + " and " + each.tokens + " tokens cannot be one batch");
                }
            }
            return new Condition(
                    joined(all, Condition::context),
                    tokens,
                    joined(all, Condition::label),
                    joined(all, Condition::guidance));
        }

        private static float[] joined(List<Condition> all, Function<Condition, float[]> part) {
            return Latents.joined(all.stream().map(part).toList());
        }
    }

    /**
     * What a call gives.
     *
     * @param output raw (eps or v), [batch][outChannels][height][width]
     * @param work what it did
     */
    public record Evaluation(float[] output, Work work) {}

    /**
     * Evaluates the network on a batch.
     *
     * @param latents [batch][inChannels][height][width], scaled for the network
     * @param timesteps [batch], 0 to 999, need not be whole
     * @param condition of as many
     * @param control to cancel the call, or null
     * @return the raw output (eps or v), [batch][outChannels][height][width]
     * @throws IllegalArgumentException if an array has the wrong length or a timestep is not finite
     * @throws InsufficientMemoryException if the activations do not fit into memory
     */
    public float[] evaluate(
            float[] latents,
            float[] timesteps,
            Condition condition,
            int height,
            int width,
            @Nullable CallControl control) {
        return evaluate(latents, timesteps, condition, height, width, List.of(), List.of(), control)
                .output();
    }

    /**
     * Evaluates a part of the network on a batch.
     *
     * @param actions one for each of {@link #units}; empty computes all
     * @param caches one for each image, where what is stored and reused lies; empty if nothing is
     * @throws IllegalArgumentException as above, or if the actions cannot be followed; the message names the unit
     */
    public Evaluation evaluate(
            float[] latents,
            float[] timesteps,
            Condition condition,
            int height,
            int width,
            List<Action> actions,
            List<FeatureCache> caches,
            @Nullable CallControl control) {
        return evaluate(latents, timesteps, condition, height, width, actions, caches, List.of(), List.of(), control);
    }

    /**
     * Evaluates a part of the network on a batch, with what control nets and adapters of its attention add to it.
     *
     * @param residuals one for each image; empty for none
     * @param terms 16 at most
     * @throws IllegalArgumentException as above
     */
    public synchronized Evaluation evaluate(
            float[] latents,
            float[] timesteps,
            Condition condition,
            int height,
            int width,
            List<Action> actions,
            List<FeatureCache> caches,
            List<Residuals> residuals,
            List<AttentionAdapter.Term> terms,
            @Nullable CallControl control) {
        int batch = timesteps.length;
        requireLength("latents", latents.length, batch, inChannels, height, width);
        requireLength("context", condition.context.length, batch, condition.tokens, contextWidth);
        requireVectors("label", condition.label, batch, labelWidth);
        requireVectors("guidance", condition.guidance, batch, guidanceWidth);
        float[] output = new float[outputLength(batch, outChannels, height, width)];
        Work[] work = {Work.NONE};
        long self = handle();
        NativeCalls.run((arena, error) -> {
            MemorySegment result = arena.allocate(ValueLayout.JAVA_FLOAT, output.length);
            MemorySegment done = aq_unet_work.allocate(arena);
            MemorySegment call = sizes(arena, batch, height, width, condition.tokens, actions);
            aq_unet_call.latent(call, NativeCalls.copy(arena, latents));
            aq_unet_call.timesteps(call, NativeCalls.copy(arena, timesteps));
            aq_unet_call.context(call, NativeCalls.copy(arena, condition.context));
            aq_unet_call.label(call, NativeCalls.copy(arena, condition.label));
            aq_unet_call.guidance(call, NativeCalls.copy(arena, condition.guidance));
            aq_unet_call.output(call, result);
            aq_unet_call.latent_count(call, latents.length);
            aq_unet_call.timestep_count(call, timesteps.length);
            aq_unet_call.context_count(call, condition.context.length);
            aq_unet_call.label_count(call, condition.label.length);
            aq_unet_call.guidance_count(call, condition.guidance.length);
            aq_unet_call.output_count(call, output.length);
            if (!caches.isEmpty()) {
                long[] handles = caches.stream().mapToLong(NativeObject::handle).toArray();
                aq_unet_call.caches(call, arena.allocateFrom(ValueLayout.JAVA_LONG, handles));
                aq_unet_call.cache_count(call, handles.length);
            }
            if (!residuals.isEmpty()) {
                aq_unet_call.residuals(call, Residuals.pointers(arena, residuals, batch));
                aq_unet_call.residual_count(call, residuals.getFirst().length());
            }
            if (!terms.isEmpty()) {
                aq_unet_call.terms(call, AttentionAdapter.terms(arena, terms, batch));
                aq_unet_call.term_count(call, terms.size());
            }
            aq_unet_call.work(call, done);
            int status = Aquarelle.aq_unet_evaluate(self, call, segment(control), error);
            MemorySegment.copy(result, ValueLayout.JAVA_FLOAT, 0, output, 0, output.length);
            work[0] = work(done);
            return status;
        });
        return new Evaluation(output, work[0]);
    }

    /**
     * What a call would do; nothing is computed. Images are taken as branches that differ in their text and label only.
     *
     * @param tokens length of the text embeddings
     * @param actions as for a call
     * @throws IllegalArgumentException if the actions cannot be followed
     */
    public synchronized Work estimate(int batch, int height, int width, int tokens, List<Action> actions) {
        Work[] work = {Work.NONE};
        long self = handle();
        NativeCalls.run((arena, error) -> {
            MemorySegment done = aq_unet_work.allocate(arena);
            MemorySegment call = sizes(arena, batch, height, width, tokens, actions);
            int status = Aquarelle.aq_unet_estimate(self, call, done, error);
            work[0] = work(done);
            return status;
        });
        return work[0];
    }

    /** A call with nothing but its sizes and actions. */
    private static MemorySegment sizes(
            Arena arena, int batch, int height, int width, int tokens, List<Action> actions) {
        MemorySegment call = aq_unet_call.allocate(arena);
        call.fill((byte) 0);
        aq_unet_call.batch(call, batch);
        aq_unet_call.height(call, height);
        aq_unet_call.width(call, width);
        aq_unet_call.tokens(call, tokens);
        if (!actions.isEmpty()) {
            byte[] numbers = new byte[actions.size()];
            for (int i = 0; i < numbers.length; i++) {
                numbers[i] = (byte) actions.get(i).ordinal(); // in the header's order
            }
            aq_unet_call.actions(call, arena.allocateFrom(ValueLayout.JAVA_BYTE, numbers));
            aq_unet_call.action_count(call, numbers.length);
        }
        return call;
    }

    private static Work work(MemorySegment done) {
        return new Work(
                aq_unet_work.run(done),
                aq_unet_work.reused(done),
                aq_unet_work.skipped(done),
                aq_unet_work.multiply_adds(done));
    }

    private static void requireVectors(String what, float[] values, int batch, int width) {
        if (width == 0) {
            if (values.length != 0) {
                throw new IllegalArgumentException(what + " has " + values.length + " values, this network takes none");
            }
        } else {
            requireLength(what, values.length, batch, width);
        }
    }
}
