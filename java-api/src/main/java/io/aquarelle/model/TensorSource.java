package io.aquarelle.model;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.util.List;

/** A tensor and where its values come from. Nothing is computed or copied before {@link #values} asks for it. */
sealed interface TensorSource
        permits TensorSource.Plain,
                TensorSource.Relabelled,
                TensorSource.Joined,
                TensorSource.Strided,
                TensorSource.Transposed,
                AdapterMerge.Merged {
    int ALIGNMENT = 64;

    TensorInfo info();

    /**
     * The values, little-endian and in the order of the shape: where they lie in the mapped file if they can be used
     * from there, else a copy in {@code memory}.
     */
    MemorySegment values(SegmentAllocator memory);

    /** Whether {@link #values} makes a copy. */
    default boolean copies() {
        return true;
    }

    /** Values that lie in the mapped file, or in memory already, as they are. */
    record Plain(TensorInfo info, MemorySegment bytes) implements TensorSource {
        @Override
        public MemorySegment values(SegmentAllocator memory) {
            return bytes;
        }

        @Override
        public boolean copies() {
            return false;
        }
    }

    /** The values of another tensor under another name, or in a shape of as many values. */
    record Relabelled(TensorInfo info, TensorSource source) implements TensorSource {
        @Override
        public MemorySegment values(SegmentAllocator memory) {
            return source.values(memory);
        }

        @Override
        public boolean copies() {
            return source.copies();
        }
    }

    /** Matrices or vectors of one type, one below the other. */
    record Joined(TensorInfo info, List<TensorSource> parts) implements TensorSource {
        @Override
        public MemorySegment values(SegmentAllocator memory) {
            MemorySegment all = memory.allocate(info.byteSize(), ALIGNMENT);
            long at = 0;
            for (TensorSource part : parts) {
                MemorySegment values = part.values(memory);
                MemorySegment.copy(values, 0, all, at, values.byteSize());
                at += values.byteSize();
            }
            return all;
        }
    }

    /**
     * A view of PyTorch that is not contiguous, such as a transposed matrix.
     *
     * @param storage from the tensor's first value to the end of its storage
     * @param strides how many values to move for one step in each dimension; as many as the shape has, none negative
     */
    record Strided(TensorInfo info, MemorySegment storage, List<Long> strides) implements TensorSource {
        @Override
        public MemorySegment values(SegmentAllocator memory) {
            MemorySegment all = memory.allocate(info.byteSize(), ALIGNMENT);
            if (info.elements() > 0) {
                copy(all, 0, 0, 0);
            }
            return all;
        }

        /** Fills one slice of the dimensions from {@code dimension} on; returns where its values end. */
        private long copy(MemorySegment to, long at, long from, int dimension) {
            long width = info.type().bytes(1);
            if (dimension == strides.size()) {
                MemorySegment.copy(storage, from * width, to, at, width);
                return at + width;
            }
            long step = strides.get(dimension);
            long length = info.shape().get(dimension);
            if (dimension == strides.size() - 1 && width == Short.BYTES) { // nearly all there is
                for (long i = 0; i < length; i++) {
                    short value = storage.get(ValueLayout.JAVA_SHORT_UNALIGNED, (from + i * step) * Short.BYTES);
                    to.set(ValueLayout.JAVA_SHORT_UNALIGNED, at + i * Short.BYTES, value);
                }
                return at + length * Short.BYTES;
            }
            long end = at;
            for (long i = 0; i < length; i++) {
                end = copy(to, end, from + i * step, dimension + 1);
            }
            return end;
        }
    }

    /** A matrix of a plain type with rows and columns exchanged. */
    record Transposed(TensorInfo info, TensorSource source) implements TensorSource {
        static Transposed of(String name, TensorSource source) {
            List<Long> shape = source.info().shape().reversed();
            return new Transposed(new TensorInfo(name, source.info().type(), shape), source);
        }

        @Override
        public MemorySegment values(SegmentAllocator memory) {
            return new Strided(
                            info,
                            source.values(memory),
                            List.of(1L, info.shape().getFirst()))
                    .values(memory);
        }
    }
}
