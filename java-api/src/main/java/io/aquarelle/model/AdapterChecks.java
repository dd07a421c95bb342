package io.aquarelle.model;

import io.aquarelle.model.Adapter.Change;
import io.aquarelle.model.AdapterNames.Part;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;

/** Whether the tensors of an adapter make whole changes. */
final class AdapterChecks {
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final int CHUNK = 1 << 16; // values; a multiple of all blocks

    /** Parts of which each needs the other. */
    private static final List<Set<Part>> PAIRS = List.of(
            Set.of(Part.UP, Part.DOWN),
            Set.of(Part.HADA_W1_A, Part.HADA_W1_B),
            Set.of(Part.HADA_W2_A, Part.HADA_W2_B),
            Set.of(Part.HADA_W1_A, Part.HADA_W2_A),
            Set.of(Part.HADA_T1, Part.HADA_T2),
            Set.of(Part.LOKR_W1_A, Part.LOKR_W1_B),
            Set.of(Part.LOKR_W2_A, Part.LOKR_W2_B));

    private static final Set<Part> LOKR_W1 = Set.of(Part.LOKR_W1, Part.LOKR_W1_A);
    private static final Set<Part> LOKR_W2 = Set.of(Part.LOKR_W2, Part.LOKR_W2_A);

    private final Path path;
    private final Change change;

    private AdapterChecks(Path path, Change change) {
        this.path = path;
        this.change = change;
    }

    /** @throws ModelFormatException naming a tensor that is wrong, or whose other half is missing */
    static void require(Path path, List<Change> changes, Arena arena) throws ModelFormatException {
        for (Change change : changes) {
            var checks = new AdapterChecks(path, change);
            checks.requireParts();
            checks.requireRanks();
            for (var part : change.parts().entrySet()) {
                // LyCORIS writes an infinite alpha beside two whole factors of a LoKr, where it means nothing.
                if (part.getKey() != Part.ALPHA || !change.has(Part.LOKR_W1) || !change.has(Part.LOKR_W2)) {
                    requireNumbers(path, part.getValue(), arena);
                }
            }
        }
    }

    private void requireParts() throws ModelFormatException {
        for (Set<Part> pair : PAIRS) {
            long present = pair.stream().filter(change::has).count();
            if (present == 1) {
                Part there = pair.stream().filter(change::has).findFirst().orElseThrow();
                Part missing =
                        pair.stream().filter(it -> !change.has(it)).findFirst().orElseThrow();
                throw incomplete(there, missing);
            }
        }
        if (change.has(Part.MID) && !change.has(Part.UP)) {
            throw incomplete(Part.MID, Part.UP);
        }
        if (change.has(Part.UP_BIAS) && !change.has(Part.UP)) {
            throw incomplete(Part.UP_BIAS, Part.UP);
        }
        if (change.has(Part.HADA_T1) && !change.has(Part.HADA_W1_A)) {
            throw incomplete(Part.HADA_T1, Part.HADA_W1_A);
        }
        if (change.has(Part.LOKR_T2) && !change.has(Part.LOKR_W2_A)) {
            throw incomplete(Part.LOKR_T2, Part.LOKR_W2_A);
        }
        boolean first = LOKR_W1.stream().anyMatch(change::has);
        boolean second = LOKR_W2.stream().anyMatch(change::has);
        if (first != second) {
            Part there = (first ? LOKR_W1 : LOKR_W2)
                    .stream().filter(change::has).findFirst().orElseThrow();
            throw incomplete(there, first ? Part.LOKR_W2 : Part.LOKR_W1);
        }
    }

    private ModelFormatException incomplete(Part there, Part missing) {
        return new ModelFormatException(
                path,
                "has tensor '" + Json.shorten(change.info(there).name()) + "' without its other half, "
                        + missing.name().toLowerCase(java.util.Locale.ROOT) + "; download it again");
    }

    private void requireRanks() throws ModelFormatException {
        boolean cored = change.has(Part.MID);
        requireRank(Part.UP, 1, cored ? Part.MID : Part.DOWN, 0);
        requireRank(Part.MID, 1, Part.DOWN, 0);
        cored = change.has(Part.HADA_T1);
        requireRank(Part.HADA_W1_A, cored ? 0 : 1, Part.HADA_W1_B, 0);
        requireRank(Part.HADA_W2_A, cored ? 0 : 1, Part.HADA_W2_B, 0);
        requireRank(Part.HADA_T1, 0, Part.HADA_W1_A, 0);
        requireRank(Part.HADA_T1, 1, Part.HADA_W1_B, 0);
        requireRank(Part.HADA_T2, 0, Part.HADA_W2_A, 0);
        requireRank(Part.HADA_T2, 1, Part.HADA_W2_B, 0);
        requireRank(Part.LOKR_W1_A, 1, Part.LOKR_W1_B, 0);
        requireRank(Part.LOKR_W2_A, change.has(Part.LOKR_T2) ? 0 : 1, Part.LOKR_W2_B, 0);
        requireRank(Part.LOKR_T2, 0, Part.LOKR_W2_A, 0);
        requireRank(Part.LOKR_T2, 1, Part.LOKR_W2_B, 0);
    }

    /** That one side of a tensor is as long as one of another, where both are there. */
    private void requireRank(Part one, int side, Part other, int otherSide) throws ModelFormatException {
        if (!change.has(one) || !change.has(other)) {
            return;
        }
        TensorInfo a = change.info(one);
        TensorInfo b = change.info(other);
        if (a.shape().size() < 2 || b.shape().size() < 2) {
            TensorInfo odd = a.shape().size() < 2 ? a : b;
            throw new ModelFormatException(
                    path,
                    "has tensor '" + Json.shorten(odd.name()) + "' of shape " + odd.shape()
                            + ", which is no matrix; download it again");
        }
        if (!a.shape().get(side).equals(b.shape().get(otherSide))) {
            throw new ModelFormatException(
                    path,
                    "has tensors '" + Json.shorten(a.name()) + "' of shape " + a.shape() + " and '"
                            + Json.shorten(b.name()) + "' of shape " + b.shape()
                            + ", which differ in rank; download it again");
        }
    }

    private static void requireNumbers(Path path, TensorSource part, Arena arena) throws ModelFormatException {
        TensorInfo info = part.info();
        DataType type = info.type();
        boolean scalar = info.elements() == 1; // alpha may be a whole number
        if (!type.isFloat() && !type.isQuantised() && !scalar
                || info.elements() == 0
                || info.shape().size() > 4) {
            throw new ModelFormatException(
                    path,
                    "has tensor '" + Json.shorten(info.name()) + "' of type " + type.label() + " and shape "
                            + info.shape() + ", which cannot be weights");
        }
        if (!finite(type, part.values(arena))) {
            throw new ModelFormatException(
                    path,
                    "has tensor '" + Json.shorten(info.name())
                            + "' with values that are no numbers; it is damaged: download or train it again");
        }
    }

    /** Whether no value is infinite or no number: those have all bits of their exponent set. */
    private static boolean finite(DataType type, MemorySegment values) {
        return switch (type) {
            case F16 -> finiteShorts(values, 0x7c00);
            case BF16 -> finiteShorts(values, 0x7f80);
            case F32 -> {
                boolean finite = true;
                for (long i = 0; i < values.byteSize(); i += Integer.BYTES) {
                    finite &= (values.get(INT, i) & 0x7f800000) != 0x7f800000;
                }
                yield finite;
            }
            default -> type.isFloat() || type.isQuantised() ? finiteAsFloats(type, values) : true;
        };
    }

    private static boolean finiteShorts(MemorySegment values, int exponent) {
        boolean finite = true;
        for (long i = 0; i < values.byteSize(); i += Short.BYTES) {
            finite &= (values.get(SHORT, i) & exponent) != exponent;
        }
        return finite;
    }

    private static boolean finiteAsFloats(DataType type, MemorySegment values) {
        long chunk = type.bytes(CHUNK);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment floats = arena.allocate((long) CHUNK * Float.BYTES);
            for (long at = 0; at < values.byteSize(); at += chunk) {
                MemorySegment part = values.asSlice(at, Math.min(chunk, values.byteSize() - at));
                long count = part.byteSize() / type.blockBytes() * type.block();
                NumberTypes.convert(type, part, DataType.F32, floats.asSlice(0, count * Float.BYTES));
            }
            return true;
        } catch (IllegalArgumentException e) {
            return false; // conversion refuses what is no number
        }
    }
}
