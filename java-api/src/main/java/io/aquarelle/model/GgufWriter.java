package io.aquarelle.model;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Writes a GGUF file of version 3; {@link GgufReader} has the format. */
final class GgufWriter extends ModelWriter {
    private static final int VERSION = 3;

    /**
     * Creates a hidden file and writes the header.
     *
     * @throws IOException as {@link ModelWriter} says
     * @throws IllegalArgumentException if a name occurs twice or a type is none of the format
     */
    GgufWriter(Path out, List<TensorInfo> tensors, Map<String, String> metadata) throws IOException {
        super(out, layout(tensors, metadata));
    }

    /** Quantised kernels are stored as matrices, see {@link GgufReader}. */
    private static boolean isFlattened(TensorInfo tensor) {
        return tensor.type().isQuantised() && tensor.shape().size() > 2;
    }

    private static Layout layout(List<TensorInfo> tensors, Map<String, String> metadata) {
        requireDistinctNames(tensors);
        var flattened = tensors.stream().filter(GgufWriter::isFlattened).toList();
        var header = new Header();
        header.bytes(GgufReader.MAGIC.getBytes(StandardCharsets.US_ASCII));
        header.i32(VERSION);
        header.i64(tensors.size());
        // Files of this project need no alignment but the usual one; another file's is not passed on.
        var texts = metadata.entrySet().stream()
                .filter(entry -> !entry.getKey().equals(GgufReader.ALIGNMENT_KEY))
                .toList();
        header.i64(texts.size() + flattened.size());
        for (var entry : texts) {
            header.text(entry.getKey());
            header.i32(GgufReader.STRING);
            header.text(entry.getValue());
        }
        for (TensorInfo tensor : flattened) {
            header.text(GgufReader.ORIGINAL_SHAPE + tensor.name());
            header.i32(GgufReader.ARRAY);
            header.i32(GgufReader.INT32);
            header.i64(tensor.shape().size());
            tensor.shape().forEach(length -> header.i32(Math.toIntExact(length)));
        }
        var offsets = new ArrayList<Long>();
        long end = 0;
        for (TensorInfo tensor : tensors) {
            if (tensor.type().nativeType() < 0) {
                throw new IllegalArgumentException("tensor '" + tensor.name() + "' is "
                        + tensor.type().label() + ", which GGUF files cannot hold");
            }
            header.text(tensor.name());
            List<Long> shape =
                    isFlattened(tensor) ? List.of(tensor.shape().getFirst(), tensor.columns()) : tensor.shape();
            header.i32(shape.size());
            shape.reversed().forEach(header::i64);
            header.i32(tensor.type().nativeType());
            header.i64(end);
            offsets.add(end);
            end = aligned(end + tensor.byteSize());
        }
        byte[] bytes = header.aligned();
        return new Layout(
                bytes,
                List.copyOf(tensors),
                offsets.stream().map(offset -> bytes.length + offset).toList(),
                bytes.length + end);
    }

    private static long aligned(long size) {
        return size + Math.floorMod(-size, GgufReader.DEFAULT_ALIGNMENT);
    }

    /** The bytes of a header as they grow. */
    private static final class Header {
        private final ByteArrayOutputStream out = new ByteArrayOutputStream();

        void bytes(byte[] bytes) {
            out.writeBytes(bytes);
        }

        void i32(int value) {
            bytes(ByteBuffer.allocate(4)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putInt(value)
                    .array());
        }

        void i64(long value) {
            bytes(ByteBuffer.allocate(8)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putLong(value)
                    .array());
        }

        void text(String text) {
            byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
            i64(bytes.length);
            bytes(bytes);
        }

        byte[] aligned() {
            bytes(new byte[(int) (GgufWriter.aligned(out.size()) - out.size())]);
            return out.toByteArray();
        }
    }
}
