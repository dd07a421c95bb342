package io.aquarelle.model;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;

/** Writes a safetensors file; {@link SafetensorsReader} has the format. */
final class SafetensorsWriter extends ModelWriter {
    private static final int ALIGNMENT = 8;

    /**
     * Creates a hidden file and writes the header.
     *
     * @throws IOException as {@link ModelWriter} says
     * @throws IllegalArgumentException if a name occurs twice or a type is none of the format
     */
    SafetensorsWriter(Path out, List<TensorInfo> tensors, Map<String, String> metadata) throws IOException {
        super(out, layout(tensors, metadata));
    }

    private static Layout layout(List<TensorInfo> tensors, Map<String, String> metadata) {
        requireDistinctNames(tensors);
        var members = new StringJoiner(",", "{", "}");
        if (!metadata.isEmpty()) {
            var entries = new StringJoiner(",", "{", "}");
            metadata.forEach((key, value) -> entries.add(Json.quote(key) + ":" + Json.quote(value)));
            members.add("\"__metadata__\":" + entries);
        }
        var ends = new ArrayList<Long>();
        long end = 0;
        for (TensorInfo tensor : tensors) {
            if (tensor.type().isQuantised()) {
                throw new IllegalArgumentException("tensor '" + tensor.name() + "' is "
                        + tensor.type().label() + "; safetensors files hold plain types only, write a GGUF file");
            }
            long begin = end;
            end = Math.addExact(begin, tensor.byteSize());
            ends.add(end);
            members.add(Json.quote(tensor.name()) + ":{\"dtype\":\"" + tensor.type() + "\",\"shape\":"
                    + tensor.shape().toString().replace(" ", "") + ",\"data_offsets\":[" + begin + "," + end + "]}");
        }
        byte[] text = members.toString().getBytes(StandardCharsets.UTF_8);
        int padding = -text.length & ALIGNMENT - 1;
        byte[] header = ByteBuffer.allocate(Long.BYTES + text.length + padding)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(text.length + padding)
                .put(text)
                .put(" ".repeat(padding).getBytes(StandardCharsets.US_ASCII))
                .array();
        var offsets = new ArrayList<Long>();
        for (int i = 0; i < tensors.size(); i++) {
            offsets.add(header.length + ends.get(i) - tensors.get(i).byteSize());
        }
        return new Layout(header, List.copyOf(tensors), offsets, header.length + end);
    }
}
