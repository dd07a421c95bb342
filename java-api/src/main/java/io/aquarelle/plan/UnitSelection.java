package io.aquarelle.plan;

import io.aquarelle.plan.Unit.Kind;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/** Picks units of a network. */
@FunctionalInterface
public interface UnitSelection {
    /**
     * The places of the units in the network's list.
     *
     * @throws IllegalArgumentException if the network has none such
     */
    List<Integer> among(List<Unit> units);

    /** The encoder: all blocks up to the middle one. Reusing it leaves the decoder to be computed. */
    static UnitSelection encoder() {
        return encoder(0);
    }

    /**
     * The encoder and the first blocks of the decoder, which with the same encoder differ from call to call by the
     * timestep alone. Reusing them leaves the other blocks of the decoder to be computed.
     *
     * @param decoderBlocks how many of the decoder's blocks, 0 or more but not all
     */
    static UnitSelection encoder(int decoderBlocks) {
        return units -> {
            List<Integer> encoder = places(
                    units,
                    unit -> unit.kind() == Kind.BLOCK && !unit.name().startsWith("output_blocks."),
                    "an encoder");
            if (decoderBlocks == 0) {
                return encoder;
            }
            List<Integer> decoder = decoder(units);
            if (decoderBlocks < 0 || decoderBlocks >= decoder.size()) {
                throw new IllegalArgumentException("block:" + decoderBlocks + " reuses blocks of a decoder that has "
                        + decoder.size() + "; it must be 0 to " + (decoder.size() - 1));
            }
            // The others take the skip connections of as many blocks of the encoder, the outermost ones.
            List<Integer> places = new ArrayList<>(encoder.subList(0, decoder.size() - decoderBlocks));
            places.add(decoder.get(decoderBlocks - 1));
            return places;
        };
    }

    /**
     * The decoder block before the outermost {@code branch + 1} ones, which are left to be computed with the encoder
     * blocks that they take skip connections from: DeepCache's branch, stage {@code branch / 3}, layer {@code branch % 3}.
     *
     * @param branch 0 computes least
     */
    static UnitSelection decoderLayer(int branch) {
        return units -> {
            List<Integer> decoder = decoder(units);
            if (branch < 0 || branch > decoder.size() - 2) {
                throw new IllegalArgumentException("branch is " + branch + "; this network's decoder has "
                        + decoder.size() + " layers: it must be 0 to " + (decoder.size() - 2));
            }
            return List.of(decoder.get(decoder.size() - 2 - branch));
        };
    }

    /**
     * Units by kind or name.
     *
     * @param which {@code self}, {@code cross}, {@code ff}, {@code resnet}, {@code transformer} or
     *     {@code transformer_block}, or a name, in which {@code *} stands for any characters
     */
    static UnitSelection named(String which) {
        Predicate<Unit> chosen = switch (which.toLowerCase(Locale.ROOT)) {
            case "self" -> unit -> unit.kind() == Kind.SELF_ATTENTION;
            case "cross" -> unit -> unit.kind() == Kind.CROSS_ATTENTION;
            case "ff" -> unit -> unit.kind() == Kind.FEED_FORWARD;
            case "resnet" -> unit -> unit.kind() == Kind.RESNET;
            case "transformer" -> unit -> unit.kind() == Kind.TRANSFORMER;
            case "transformer_block" -> unit -> unit.kind() == Kind.TRANSFORMER_BLOCK;
            default -> byName(which);
        };
        return units -> places(units, chosen, "a unit '" + which + "'");
    }

    private static List<Integer> decoder(List<Unit> units) {
        return places(
                units, unit -> unit.kind() == Kind.BLOCK && unit.name().startsWith("output_blocks."), "a decoder");
    }

    private static Predicate<Unit> byName(String pattern) {
        Pattern name = Pattern.compile("\\Q" + pattern.replace("\\E", "").replace("*", "\\E.*\\Q") + "\\E");
        return unit -> name.matcher(unit.name()).matches();
    }

    private static List<Integer> places(List<Unit> units, Predicate<Unit> chosen, String what) {
        List<Integer> places = IntStream.range(0, units.size())
                .filter(i -> chosen.test(units.get(i)))
                .boxed()
                .toList();
        if (places.isEmpty()) {
            throw new IllegalArgumentException("this network has not " + what
                    + "; names are those of its tensors, such as" + " output_blocks.3.1.transformer_blocks.0.attn2");
        }
        return places;
    }
}
