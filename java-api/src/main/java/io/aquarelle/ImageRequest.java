package io.aquarelle;

import io.aquarelle.model.AdapterUse;
import io.aquarelle.model.SpeedUpNet;
import io.aquarelle.model.TextualInversion;
import io.aquarelle.plan.StepPolicy;
import io.aquarelle.sampling.RandomSources;
import io.aquarelle.sampling.SamplerOptions;
import io.aquarelle.sampling.Samplers;
import io.aquarelle.sampling.SigmaSchedules;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * What to draw, and how; immutable. Defaults are those of stable-diffusion.cpp, but for the seed, which is random.
 *
 * @param prompt what the picture shows, in A1111's syntax: {@code (word:1.3)}, {@code ((word))}, {@code [word]},
 *     {@code BREAK}; at most 20,000 characters
 * @param negativePrompt what it does not show, likewise
 * @param width pixels, a multiple of 8 from 8 to 8192
 * @param height pixels, likewise
 * @param steps sampling steps, 1 to 1000; with {@code sigmas}, as many as those
 * @param guidance scale of classifier-free guidance (Ho and Salimans, arXiv 2207.12598); 1 leaves the negative prompt
 *     out
 * @param seed where the noise of the first picture starts, an unsigned 64-bit number; each further one adds 1
 * @param rng random source, one of {@link RandomSources#names}
 * @param sampler one of {@link Samplers#names}
 * @param schedule one of {@link SigmaSchedules#names}; "default" becomes the one that suits the sampler
 * @param sigmas noise levels in place of a schedule, as {@link SigmaSchedules#custom} takes them, here with their last 0;
 *     empty for none
 * @param eta how much fresh noise samplers add that add any, see {@link SamplerOptions#eta}; null is the sampler's choice
 * @param batch number of pictures, 1 to 1000
 * @param image what to start from; cut and resized to the size asked for. Null starts from noise alone
 * @param strength how far from the image: 0 keeps it, 1 draws all steps (see A1111's denoising strength); without an
 *     image of no effect
 * @param mask what of the image to draw anew, cut and resized likewise: cells of the latent with light pixels are, and
 *     white pixels show it, black ones the image, grey ones some of both. Null is all of it. At strength 1 the image
 *     leaves no trace under white
 * @param clipSkip 1 takes the text encoder's last layer, 2 the one before, and so on; 0 what the model was trained on
 * @param sizes what SDXL is told of the picture's sizes; null for the size to draw. Other models take none
 * @param maxMemory bytes of buffers that the VAE may take: large pictures are decoded and encoded in bands then, more
 *     slowly and with the same result but for rounding; 0 is what memory is free
 * @param plan what the UNet leaves out to be faster; {@link StepPolicy#FULL} is nothing
 * @param controls pictures that the drawing follows; empty for none
 * @param hires a second pass at a larger size, of which the first one draws {@code width} and {@code height}; null for
 *     none
 * @param variation turns the starting noise a little; with strength 0, not at all
 * @param imageGuidance how strongly models that edit a picture (InstructPix2Pix) keep to it; others take none
 * @param speedUp an adapter that replaces guidance and needs four steps, see {@link Pipeline#speedUpNet}; null for none
 * @param imagePrompts pictures that guide the drawing beside the prompt; empty for none
 * @param adapters LoRA and its relatives, with their scales; at most 100. With one of baked guidance, {@code guidance} must
 *     be 1 or that, which comes to the same, and there is no negative prompt
 * @param words textual inversions: where the prompt or the negative prompt has a word of one, its vectors stand
 */
public record ImageRequest(
        String prompt,
        String negativePrompt,
        int width,
        int height,
        int steps,
        float guidance,
        long seed,
        String rng,
        String sampler,
        String schedule,
        List<Float> sigmas,
        @Nullable Float eta,
        int batch,
        @Nullable Picture image,
        float strength,
        @Nullable Picture mask,
        int clipSkip,
        @Nullable PictureSizes sizes,
        long maxMemory,
        StepPolicy plan,
        List<Control> controls,
        @Nullable Hires hires,
        Variation variation,
        float imageGuidance,
        @Nullable SpeedUpNet speedUp,
        List<ImagePrompt> imagePrompts,
        List<AdapterUse> adapters,
        List<TextualInversion> words) {
    /** How far from a picture to start from, where nothing is said. */
    static final float STRENGTH = 0.75f;

    /** How strongly editing models keep to the picture, where nothing is said; as in InstructPix2Pix. */
    private static final float IMAGE_GUIDANCE = 1.5f;

    private static final int MAX_ADAPTERS = 100;
    private static final int MAX_SIDE = Picture.MAX_SIDE;
    private static final int DEFAULT_SIDE = 512;
    private static final int MAX_COUNT = 1000;
    private static final int PIXELS_PER_CELL = 8;
    private static final int MAX_PROMPT = 20_000;

    /** Refuses what no model can draw. */
    public ImageRequest {
        requirePrompt("prompt", prompt);
        requirePrompt("negative prompt", negativePrompt);
        requireSide("width", width);
        requireSide("height", height);
        if (!sigmas.isEmpty()) {
            float[] levels = SigmaSchedules.custom(sigmas);
            sigmas = IntStream.range(0, levels.length).mapToObj(i -> levels[i]).toList();
            steps = levels.length - 1;
        } else {
            sigmas = List.of();
        }
        requireRange("steps", steps, 1, MAX_COUNT);
        requireRange("batch count", batch, 1, MAX_COUNT);
        requireRange("clip skip", clipSkip, 0, MAX_COUNT);
        if (!Float.isFinite(guidance) || Math.abs(guidance) > MAX_COUNT) {
            throw new IllegalArgumentException(
                    "guidance is " + guidance + "; it must be a number from -" + MAX_COUNT + " to " + MAX_COUNT);
        }
        RandomSources.byName(rng, seed);
        Samplers.byName(sampler);
        SamplerOptions.requireEta(eta);
        if (!Float.isFinite(imageGuidance) || Math.abs(imageGuidance) > MAX_COUNT) {
            throw new IllegalArgumentException("image guidance is " + imageGuidance + "; it must be a number from -"
                    + MAX_COUNT + " to " + MAX_COUNT);
        }
        if (!(strength >= 0 && strength <= 1)) {
            throw new IllegalArgumentException("strength is " + strength + "; it must be 0 to 1");
        }
        if (mask != null && image == null) {
            throw new IllegalArgumentException("a mask needs an image to lie on; give one, or no mask");
        }
        if (maxMemory < 0) {
            throw new IllegalArgumentException("max memory is " + maxMemory + " bytes; it must be 0 or more");
        }
        schedule = SigmaSchedules.named(schedule, sampler);
        controls = List.copyOf(controls);
        imagePrompts = List.copyOf(imagePrompts);
        adapters = List.copyOf(adapters);
        words = List.copyOf(words);
        requireRange("number of adapters", adapters.size(), 0, MAX_ADAPTERS);
        guidance = bakedGuidance(adapters, guidance, negativePrompt);
    }

    /** 1, which is one call a step, where an adapter has guidance in it; else what is asked for. */
    private static float bakedGuidance(List<AdapterUse> adapters, float guidance, String negativePrompt) {
        for (AdapterUse use : adapters) {
            Float baked = use.unetScale() == 0 ? null : use.adapter().bakedGuidance();
            if (baked == null) {
                continue;
            }
            if (guidance != 1 && guidance != baked) {
                throw new IllegalArgumentException("guidance is " + guidance + ", but " + use.adapter()
                        + " has guidance of " + baked + " baked in; ask for 1");
            }
            if (!negativePrompt.isEmpty()) {
                throw new IllegalArgumentException("there is a negative prompt, but " + use.adapter()
                        + " has guidance by the empty one baked in; leave it out");
            }
            guidance = 1;
        }
        return guidance;
    }

    private static void requirePrompt(String name, String text) {
        if (text.length() > MAX_PROMPT) {
            throw new IllegalArgumentException(
                    name + " has " + text.length() + " characters; it must have " + MAX_PROMPT + " at most");
        }
    }

    static void requireSide(String name, int side) {
        requireRange(name, side, PIXELS_PER_CELL, MAX_SIDE);
        if (side % PIXELS_PER_CELL != 0) {
            int near = Math.round(side / (float) PIXELS_PER_CELL) * PIXELS_PER_CELL;
            throw new IllegalArgumentException(name + " is " + side + "; it must be a multiple of " + PIXELS_PER_CELL
                    + ", " + near + " for example");
        }
    }

    private static void requireRange(String name, int value, int low, int high) {
        if (value < low || value > high) {
            throw new IllegalArgumentException(name + " is " + value + "; it must be " + low + " to " + high);
        }
    }

    /** A request for a prompt with everything else at its default. */
    public static ImageRequest of(String prompt) {
        return builder(prompt).build();
    }

    /** Starts a request with everything but the prompt at its default. */
    public static Builder builder(String prompt) {
        return new Builder(prompt);
    }

    /** Starts a request with everything as in this one. */
    public Builder toBuilder() {
        return new Builder(prompt)
                .speedUp(speedUp)
                .negativePrompt(negativePrompt)
                .size(width, height)
                .steps(steps)
                .guidance(guidance)
                .seed(seed)
                .rng(rng)
                .sampler(sampler)
                .schedule(schedule)
                .sigmas(sigmas)
                .eta(eta)
                .batch(batch)
                .image(image)
                .strength(strength)
                .mask(mask)
                .clipSkip(clipSkip)
                .sizes(sizes)
                .maxMemory(maxMemory)
                .plan(plan)
                .controls(controls)
                .hires(hires)
                .variation(variation)
                .imageGuidance(imageGuidance)
                .imagePrompts(imagePrompts)
                .adapters(adapters)
                .words(words);
    }

    /** The seed of one picture of the batch: a variation keeps it and counts its own. */
    long seedOf(int image) {
        return variation.strength() > 0 ? seed : seed + image;
    }

    /** A request for one picture of the batch alone. */
    public ImageRequest only(int image) {
        return toBuilder()
                .batch(1)
                .seed(seedOf(image))
                .variation(new Variation(variation.seed() + image, variation.strength()))
                .build();
    }

    /** Collects the parts of a request; see {@link ImageRequest} for their meaning. */
    public static final class Builder {
        private String prompt;
        private String negativePrompt = "";
        private @Nullable Integer width;
        private @Nullable Integer height;
        private int suitedWidth = DEFAULT_SIDE;
        private int suitedHeight = DEFAULT_SIDE;
        private int steps = 20;
        private @Nullable Float guidance;
        private float suitedGuidance = 7;
        // Short enough to be read and typed again.
        private long seed = ThreadLocalRandom.current().nextInt(Integer.MAX_VALUE);
        private String rng = "cuda";
        private String sampler = "euler_a";
        private String schedule = "default";
        private List<Float> sigmas = List.of();
        private @Nullable Float eta;
        private int batch = 1;
        private @Nullable Picture image;
        private float strength = STRENGTH;
        private @Nullable Picture mask;
        private int clipSkip = 0;
        private @Nullable PictureSizes sizes;
        private long maxMemory = 0;
        private StepPolicy plan = StepPolicy.FULL;
        private List<Control> controls = List.of();
        private @Nullable Hires hires;
        private Variation variation = Variation.NONE;
        private float imageGuidance = IMAGE_GUIDANCE;
        private @Nullable SpeedUpNet speedUp;
        private List<ImagePrompt> imagePrompts = List.of();
        private List<AdapterUse> adapters = List.of();
        private List<TextualInversion> words = List.of();

        private Builder(String prompt) {
            this.prompt = prompt;
        }

        public Builder prompt(String value) {
            prompt = value;
            return this;
        }

        public Builder negativePrompt(String value) {
            negativePrompt = value;
            return this;
        }

        /** Width and height at once. */
        public Builder size(int width, int height) {
            return width(width).height(height);
        }

        /** Without this, the width is that of the image to start from, to the nearest that can be drawn. */
        public Builder width(int value) {
            width = value;
            return this;
        }

        /** Without this, the height is that of the image to start from, to the nearest that can be drawn. */
        public Builder height(int value) {
            height = value;
            return this;
        }

        /** The size where neither it nor an image is given. */
        Builder suitedSize(int width, int height) {
            suitedWidth = width;
            suitedHeight = height;
            return this;
        }

        public Builder steps(int value) {
            steps = value;
            return this;
        }

        /** Without this, it is what suits the model, or an adapter that has guidance baked in. */
        public Builder guidance(float value) {
            guidance = value;
            return this;
        }

        /** The guidance where none is given. */
        Builder suitedGuidance(float value) {
            suitedGuidance = value;
            return this;
        }

        /** Without this, the seed is random. */
        public Builder seed(long value) {
            seed = value;
            return this;
        }

        public Builder rng(String name) {
            rng = name;
            return this;
        }

        public Builder sampler(String name) {
            sampler = name;
            return this;
        }

        public Builder schedule(String name) {
            schedule = name;
            return this;
        }

        /** Noise levels in place of a schedule and a number of steps. */
        public Builder sigmas(List<Float> levels) {
            sigmas = levels;
            return this;
        }

        public Builder eta(@Nullable Float value) {
            eta = value;
            return this;
        }

        public Builder batch(int value) {
            batch = value;
            return this;
        }

        /** Starts from an image instead of from noise alone. */
        public Builder image(@Nullable Picture value) {
            image = value;
            return this;
        }

        public Builder strength(float value) {
            strength = value;
            return this;
        }

        /** Draws only the light parts of the mask anew. */
        public Builder mask(@Nullable Picture value) {
            mask = value;
            return this;
        }

        public Builder clipSkip(int value) {
            clipSkip = value;
            return this;
        }

        public Builder sizes(@Nullable PictureSizes value) {
            sizes = value;
            return this;
        }

        /** Bytes of buffers that decoding and encoding pictures may take. */
        public Builder maxMemory(long bytes) {
            maxMemory = bytes;
            return this;
        }

        public Builder plan(StepPolicy value) {
            plan = value;
            return this;
        }

        /** Follows pictures by control nets, all at once. */
        public Builder controls(List<Control> value) {
            controls = value;
            return this;
        }

        /** Draws a second time at a larger size. */
        public Builder hires(@Nullable Hires value) {
            hires = value;
            return this;
        }

        public Builder variation(Variation value) {
            variation = value;
            return this;
        }

        public Builder imageGuidance(float value) {
            imageGuidance = value;
            return this;
        }

        /** Takes pictures as prompts, all at once. */
        public Builder imagePrompts(List<ImagePrompt> value) {
            imagePrompts = value;
            return this;
        }

        /** LoRA and its relatives, as many as wanted. */
        public Builder adapters(List<AdapterUse> value) {
            adapters = value;
            return this;
        }

        /** Textual inversions, which count where the prompts have their words. */
        public Builder words(List<TextualInversion> value) {
            words = value;
            return this;
        }

        /**
         * Draws with a SpeedUpNet: what is set after this replaces what it was trained for, four trailing steps of
         * DPM++ 2M without guidance. The negative prompt counts.
         */
        public Builder speedUp(@Nullable SpeedUpNet value) {
            speedUp = value;
            return value == null
                    ? this
                    : steps(4).guidance(1).sampler("dpm++2m").schedule("trailing");
        }

        /**
         * Makes the request.
         *
         * @throws IllegalArgumentException if a part is out of range or a name is unknown; the message says which
         */
        public ImageRequest build() {
            return new ImageRequest(
                    prompt,
                    negativePrompt,
                    width != null ? width : image != null ? drawable(image.width()) : suitedWidth,
                    height != null ? height : image != null ? drawable(image.height()) : suitedHeight,
                    steps,
                    guidance != null ? guidance : suitedGuidance(),
                    seed,
                    rng,
                    sampler,
                    schedule,
                    sigmas,
                    eta,
                    batch,
                    image,
                    strength,
                    mask,
                    clipSkip,
                    sizes,
                    maxMemory,
                    plan,
                    controls,
                    hires,
                    variation,
                    imageGuidance,
                    speedUp,
                    imagePrompts,
                    adapters,
                    words);
        }

        private float suitedGuidance() {
            boolean baked = adapters.stream()
                    .anyMatch(use -> use.unetScale() != 0 && use.adapter().bakedGuidance() != null);
            return baked ? 1 : suitedGuidance;
        }

        private static int drawable(int side) {
            return Math.max(Math.round(side / (float) PIXELS_PER_CELL), 1) * PIXELS_PER_CELL;
        }
    }
}
