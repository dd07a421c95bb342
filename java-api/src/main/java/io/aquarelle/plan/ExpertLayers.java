package io.aquarelle.plan;

import io.aquarelle.plan.Unit.Kind;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * The layers of a UNet that ALTER's masks are about, and their order: level by level down, then up, then the middle
 * block; of each level the transformer blocks of one attention after the other, behind them the ResBlocks. A ResBlock
 * whose output has another shape than its input always runs and is not counted. SD 1.x and 2.x have 34.
 */
public final class ExpertLayers {
    /**
     * Blocks at one size.
     *
     * @param decoder whether they take skip connections
     * @param transformers places of the transformer blocks of each attention
     * @param resnets places of the ResBlocks that masks are about
     */
    record Level(boolean decoder, List<List<Integer>> transformers, List<Integer> resnets) {
        Level(boolean decoder) {
            this(decoder, new ArrayList<>(), new ArrayList<>());
        }

        boolean isEmpty() {
            return transformers.isEmpty() && resnets.isEmpty();
        }

        /** How many layers each piece of a mask has. */
        List<Integer> pieces() {
            return Stream.concat(transformers.stream().map(List::size), Stream.of(resnets.size()))
                    .toList();
        }
    }

    private ExpertLayers() {}

    /** All layers of whatever network. */
    public static UnitSelection of() {
        return units -> levels(units).stream()
                .flatMap(level ->
                        Stream.concat(level.transformers().stream().flatMap(List::stream), level.resnets().stream()))
                .toList();
    }

    /**
     * The same of a network that is divided so, and of no other.
     *
     * @param pieces layers of each piece of each level, as of SD 2.1 [[1, 1, 2], [1, 1, 1], [1, 1, 1], [2], [3],
     *     [1, 1, 1, 3], [1, 1, 1, 2], [1, 1, 1, 2], [1, 2]]
     */
    public static UnitSelection ofPieces(List<List<Integer>> pieces) {
        return units -> {
            List<List<Integer>> actual =
                    levels(units).stream().map(Level::pieces).toList();
            if (!actual.equals(pieces)) {
                throw new IllegalArgumentException("the masks are for a UNet with the layers " + shortened(pieces)
                        + "; this one has " + shortened(actual) + ": they belong to another model");
            }
            return of().among(units);
        };
    }

    /** Layers by their names, which a network must have all of. */
    public static UnitSelection named(List<String> names) {
        List<String> wanted = List.copyOf(names);
        return units -> {
            List<String> known = units.stream().map(Unit::name).toList();
            return wanted.stream()
                    .map(name -> {
                        int place = known.indexOf(name);
                        if (place < 0) {
                            throw new IllegalArgumentException("the masks are about '" + shortened(name)
                                    + "', which this network lacks: they belong to another model");
                        }
                        return place;
                    })
                    .toList();
        };
    }

    private static String shortened(Object text) {
        String all = text.toString();
        return all.length() <= 160 ? all : all.substring(0, 160) + "...";
    }

    /**
     * Random masks that leave out a given share of a network, for tests and timing; each timestep is routed to one, in
     * intervals of equal length.
     *
     * @param units of the network
     * @param costs of each unit what leaving it out saves, such as multiply-adds; those of layers count
     * @param whole what the share is taken of
     * @param experts how many masks, 1 or more
     * @param share 0 to what all layers come to
     * @return masks each of which leaves out the share as nearly as one layer allows
     */
    public static TemporalExperts random(
            List<Unit> units, double[] costs, double whole, int experts, double share, long seed) {
        List<Integer> places = of().among(units);
        double all = places.stream().mapToDouble(place -> costs[place]).sum();
        if (!(share >= 0 && share * whole <= all)) {
            throw new IllegalArgumentException(
                    "the share to leave out is " + share + "; it must be 0 to " + all / whole + " for this network");
        }
        SplittableRandom random = new SplittableRandom(seed);
        List<BitSet> masks = new ArrayList<>();
        for (int expert = 0; expert < experts; expert++) {
            BitSet mask = new BitSet();
            mask.set(0, places.size());
            double left = share * whole;
            for (int layer : shuffled(places.size(), random)) {
                double cost = costs[places.get(layer)];
                if (cost <= 2 * left) { // nearer to the share with it than without
                    mask.clear(layer);
                    left -= cost;
                }
            }
            masks.add(mask);
        }
        int timesteps = 1000;
        List<Integer> route = IntStream.range(0, timesteps)
                .map(t -> t * experts / timesteps)
                .boxed()
                .toList();
        return new TemporalExperts(of(), masks, route, false);
    }

    private static int[] shuffled(int count, SplittableRandom random) {
        int[] order = IntStream.range(0, count).toArray();
        for (int i = count - 1; i > 0; i--) {
            int other = random.nextInt(i + 1);
            int swapped = order[i];
            order[i] = order[other];
            order[other] = swapped;
        }
        return order;
    }

    /** The levels in ALTER's order. */
    static List<Level> levels(List<Unit> units) {
        List<Level> down = new ArrayList<>(List.of(new Level(false)));
        List<Level> up = new ArrayList<>(List.of(new Level(true)));
        Level middle = new Level(false);
        for (int block = 0; block < units.size(); block++) {
            if (units.get(block).kind() != Kind.BLOCK) {
                continue;
            }
            String name = units.get(block).name();
            boolean encoder = name.startsWith("input_blocks.");
            boolean decoder = name.startsWith("output_blocks.");
            add(units, block, encoder ? down.getLast() : decoder ? up.getLast() : middle);
            // Down- and upsampling end a level; the first convolution does not.
            if (changesSize(units, block) && (encoder || decoder)) {
                (encoder ? down : up).add(new Level(decoder));
            }
        }
        return Stream.of(down, up, List.of(middle))
                .flatMap(List::stream)
                .filter(level -> !level.isEmpty())
                .toList();
    }

    private static boolean changesSize(List<Unit> units, int block) {
        return !units.get(block).name().equals("input_blocks.0")
                && units.stream().anyMatch(unit -> unit.parent() == block && unit.kind() == Kind.CONVOLUTION);
    }

    private static void add(List<Unit> units, int block, Level level) {
        for (int i = block + 1; i < units.size(); i++) {
            if (units.get(i).parent() != block) {
                continue;
            }
            if (units.get(i).kind() == Kind.RESNET && units.get(i).skippable()) {
                level.resnets().add(i);
            } else if (units.get(i).kind() == Kind.TRANSFORMER) {
                int transformer = i;
                level.transformers()
                        .add(IntStream.range(i, units.size())
                                .filter(part -> units.get(part).parent() == transformer
                                        && units.get(part).kind() == Kind.TRANSFORMER_BLOCK)
                                .boxed()
                                .toList());
            }
        }
    }
}
