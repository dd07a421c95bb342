package io.aquarelle.model;

import io.aquarelle.plan.ExpertLayers;
import io.aquarelle.plan.TemporalExperts;
import io.aquarelle.plan.Unit;
import io.aquarelle.plan.UnitSelection;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Files of ALTER's temporal experts (arXiv 2505.21817), of two kinds:
 *
 * <ul>
 *   <li>{@code pruning_mask.pth} of the authors' code: a list of blocks, each a list of pieces, each a tensor [timesteps,
 *       layers of the piece] of 0 and 1;
 *   <li>safetensors with {@code alter.masks}, U8 [experts, layers], {@code alter.route}, I32 [timesteps], and in the
 *       metadata {@code alter.layers}, the names of the layers (CompVis, as {@link Unit#name}) divided by commas, and
 *       {@code alter.compat_unpopped_skip}, 1 or 0.
 * </ul>
 */
public final class ExpertMasks {
    private static final String MASKS = "alter.masks";
    private static final String ROUTE = "alter.route";
    private static final String LAYERS = "alter.layers";
    private static final String UNPOPPED = "alter.compat_unpopped_skip";
    private static final int MOST_LAYERS = 4096;
    private static final int MOST_TIMESTEPS = 100_000;
    private static final int MOST_EXPERTS = 1000;

    /** How far masks may be from 0 and 1: the straight-through estimates of the authors' code are rounded. */
    private static final float ROUNDING = 1e-3f;

    private static final Pattern PIECE = Pattern.compile("(\\d{1,4})\\.(\\d{1,4})");

    private ExpertMasks() {}

    /** Whether a file's name is that of a file of masks rather than of a plan in JSON. */
    public static boolean isNamed(Path file) {
        return file.toString().matches("(?i).*\\.(pth|pt|safetensors)");
    }

    /**
     * Reads masks. Whether they belong to a network is found out when they plan its calls.
     *
     * @throws ModelFormatException if the file holds no masks, or is damaged
     * @throws IOException if it cannot be read
     */
    public static TemporalExperts read(Path file) throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(file)) {
            return checkpoint.tensors().containsKey(MASKS) ? routed(checkpoint) : nested(checkpoint);
        }
    }

    private static TemporalExperts routed(Checkpoint file) throws ModelFormatException {
        TensorInfo masks = require(file, MASKS, DataType.U8, 2, MOST_EXPERTS);
        TensorInfo route = require(file, ROUTE, DataType.I32, 1, MOST_TIMESTEPS);
        String names = file.metadata().get(LAYERS);
        int layers = Math.toIntExact(masks.shape().get(1));
        if (names == null || names.split(",", -1).length != layers) {
            throw new ModelFormatException(
                    file.path(), "names not its " + layers + " layers in the metadata '" + LAYERS + "'; make it anew");
        }
        byte[] bits = file.data(masks).toArray(ValueLayout.JAVA_BYTE);
        List<BitSet> experts = new ArrayList<>();
        for (int expert = 0; expert < masks.shape().getFirst(); expert++) {
            BitSet mask = new BitSet();
            for (int layer = 0; layer < layers; layer++) {
                byte bit = bits[expert * layers + layer];
                if (bit != 0 && bit != 1) {
                    throw noMask(file, MASKS, bit);
                }
                mask.set(layer, bit == 1);
            }
            experts.add(mask);
        }
        List<Integer> timesteps = new ArrayList<>();
        MemorySegment numbers = file.data(route);
        for (int t = 0; t < route.elements(); t++) {
            timesteps.add(numbers.get(ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN), 4L * t));
        }
        UnitSelection which = ExpertLayers.named(List.of(names.split(",", -1)));
        return make(file, which, experts, timesteps, "1".equals(file.metadata().get(UNPOPPED)));
    }

    private static TensorInfo require(Checkpoint file, String name, DataType type, int rank, int most)
            throws ModelFormatException {
        TensorInfo tensor = file.tensors().get(name);
        if (tensor == null || tensor.type() != type || tensor.shape().size() != rank) {
            throw new ModelFormatException(
                    file.path(), "has no tensor '" + name + "' of " + type + " with " + rank + " dimensions");
        }
        requireSize(file, tensor, most);
        return tensor;
    }

    private static void requireSize(Checkpoint file, TensorInfo tensor, int most) throws ModelFormatException {
        List<Long> shape = tensor.shape();
        if (shape.getFirst() < 1 || shape.getFirst() > most || shape.size() > 1 && shape.get(1) > MOST_LAYERS) {
            throw new ModelFormatException(
                    file.path(), "has tensor '" + tensor.name() + "' of shape " + shape + ", which no masks have");
        }
    }

    /** Pieces of blocks; the rows of timesteps with the same mask become one expert. */
    private static TemporalExperts nested(Checkpoint file) throws ModelFormatException {
        List<List<TensorInfo>> blocks = new ArrayList<>();
        for (TensorInfo tensor : file.tensors().values()) {
            Matcher place = PIECE.matcher(tensor.name());
            boolean next = place.matches() && tensor.shape().size() == 2;
            int block = next ? Integer.parseInt(place.group(1)) : 0;
            if (next && block == blocks.size()) {
                blocks.add(new ArrayList<>());
            }
            if (!next
                    || block != blocks.size() - 1
                    || Integer.parseInt(place.group(2)) != blocks.getLast().size()) {
                throw noMasks(file);
            }
            requireSize(file, tensor, MOST_TIMESTEPS);
            blocks.getLast().add(tensor);
        }
        if (blocks.isEmpty()) {
            throw noMasks(file);
        }
        long timesteps = blocks.getFirst().getFirst().shape().getFirst();
        BitSet[] rows = new BitSet[Math.toIntExact(timesteps)];
        for (int t = 0; t < rows.length; t++) {
            rows[t] = new BitSet();
        }
        int layers = 0;
        for (List<TensorInfo> block : blocks) {
            for (TensorInfo piece : block) {
                if (piece.shape().getFirst() != timesteps || layers > MOST_LAYERS) {
                    throw noMasks(file);
                }
                fill(file, piece, rows, layers);
                layers += Math.toIntExact(piece.shape().get(1));
            }
        }
        Map<BitSet, Integer> experts = new LinkedHashMap<>();
        List<Integer> route = new ArrayList<>();
        for (BitSet row : rows) {
            experts.putIfAbsent(row, experts.size());
            route.add(experts.get(row));
        }
        List<List<Integer>> pieces = blocks.stream()
                .map(block -> block.stream()
                        .map(piece -> Math.toIntExact(piece.shape().get(1)))
                        .toList())
                .toList();
        return make(file, ExpertLayers.ofPieces(pieces), List.copyOf(experts.keySet()), route, false);
    }

    private static void fill(Checkpoint file, TensorInfo piece, BitSet[] rows, int first) throws ModelFormatException {
        float[] values = floats(file, piece);
        if (values == null) {
            throw noMasks(file);
        }
        int columns = Math.toIntExact(piece.shape().get(1));
        for (int i = 0; i < values.length; i++) {
            if (!(Math.abs(values[i]) < ROUNDING || Math.abs(values[i] - 1) < ROUNDING)) {
                throw noMask(file, piece.name(), values[i]);
            }
            rows[i / columns].set(first + i % columns, values[i] > 0.5f);
        }
    }

    private static float @Nullable [] floats(Checkpoint file, TensorInfo tensor) {
        MemorySegment data = file.data(tensor);
        ByteBuffer bytes = data.asByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
        float[] values = new float[Math.toIntExact(tensor.elements())];
        for (int i = 0; i < values.length; i++) {
            switch (tensor.type()) {
                case F32 -> values[i] = bytes.getFloat();
                case F16 -> values[i] = Float.float16ToFloat(bytes.getShort());
                case BF16 -> values[i] = Float.intBitsToFloat(bytes.getShort() << 16);
                case U8, BOOL, I8 -> values[i] = bytes.get();
                case I64 -> values[i] = bytes.getLong();
                case I32 -> values[i] = bytes.getInt();
                default -> {
                    return null;
                }
            }
        }
        return values;
    }

    private static TemporalExperts make(
            Checkpoint file, UnitSelection layers, List<BitSet> masks, List<Integer> route, boolean unpopped)
            throws ModelFormatException {
        try {
            return new TemporalExperts(layers, masks, route, unpopped);
        } catch (IllegalArgumentException e) {
            throw new ModelFormatException(file.path(), "cannot be followed: " + e.getMessage(), e);
        }
    }

    private static ModelFormatException noMasks(Checkpoint file) {
        return new ModelFormatException(
                file.path(),
                "holds no masks of temporal experts: they are lists of lists of tensors [timesteps, layers], or tensors"
                        + " '" + MASKS + "' and '" + ROUTE + "'");
    }

    private static ModelFormatException noMask(Checkpoint file, String name, float value) {
        return new ModelFormatException(
                file.path(), "has the value " + value + " in the mask '" + name + "'; masks are 0 or 1");
    }

    /**
     * Writes masks as safetensors, with the names of a network's layers. The file appears when it is complete.
     *
     * @param units of the network that the masks are for
     * @throws IllegalArgumentException if they are for another network
     * @throws IOException if it cannot be written
     */
    public static void write(TemporalExperts experts, List<Unit> units, Path out) throws IOException {
        List<String> names = experts.layers().among(units).stream()
                .map(place -> units.get(place).name())
                .toList();
        List<TensorInfo> tensors = List.of(
                new TensorInfo(
                        MASKS, DataType.U8, List.of((long) experts.masks().size(), (long) names.size())),
                new TensorInfo(
                        ROUTE, DataType.I32, List.of((long) experts.route().size())));
        Map<String, String> metadata =
                Map.of(LAYERS, String.join(",", names), UNPOPPED, experts.unpopped() ? "1" : "0");
        ByteBuffer bits = ByteBuffer.allocate(Math.toIntExact(tensors.getFirst().byteSize()));
        for (BitSet mask : experts.masks()) {
            for (int layer = 0; layer < names.size(); layer++) {
                bits.put((byte) (mask.get(layer) ? 1 : 0));
            }
        }
        ByteBuffer route = ByteBuffer.allocate(4 * experts.route().size()).order(ByteOrder.LITTLE_ENDIAN);
        experts.route().forEach(route::putInt);
        try (SafetensorsWriter writer = new SafetensorsWriter(out, tensors, metadata)) {
            writer.write(tensors.getFirst(), 0, bits.flip());
            writer.write(tensors.getLast(), 0, route.flip());
            writer.commit();
        }
    }
}
