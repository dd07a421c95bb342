package io.aquarelle.model;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32;
import java.util.zip.Deflater;

/** Bytes of PyTorch checkpoints put together by hand, right or wrong. */
final class RawTorch {
    /** A tensor of a state dictionary with a storage of its own. */
    record Tensor(String storageClass, List<Long> shape, List<Long> strides, byte[] values, int width) {
        static Tensor of(DataType type, List<Long> shape, byte[] values) {
            String name = switch (type) {
                case F32 -> "FloatStorage";
                case F16 -> "HalfStorage";
                default -> "ByteStorage";
            };
            Long[] strides = new Long[shape.size()];
            long step = 1;
            for (int d = shape.size() - 1; d >= 0; d--) {
                strides[d] = step;
                step *= shape.get(d);
            }
            return new Tensor(name, shape, List.of(strides), values, (int) type.bytes(1));
        }
    }

    private RawTorch() {}

    /** Opcodes of a pickle in the order of the calls. */
    static final class Pickle {
        private final ByteArrayOutputStream out = new ByteArrayOutputStream();

        Pickle() {
            op(0x80, 2);
        }

        Pickle op(int... bytes) {
            for (int b : bytes) {
                out.write(b);
            }
            return this;
        }

        Pickle text(String text) {
            byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
            op('X');
            out.writeBytes(little(4).putInt(bytes.length).array());
            out.writeBytes(bytes);
            return this;
        }

        Pickle number(long value) {
            op(0x8a, 8);
            out.writeBytes(little(8).putLong(value).array());
            return this;
        }

        Pickle raw(String text) {
            out.writeBytes(text.getBytes(StandardCharsets.UTF_8));
            return this;
        }

        Pickle global(String module, String name) {
            return op('c').raw(module + "\n" + name + "\n");
        }

        Pickle tuple(List<Long> numbers) {
            op('(');
            numbers.forEach(this::number);
            return op('t');
        }

        Pickle tensor(String key, Tensor tensor, long offset) {
            global("torch._utils", "_rebuild_tensor_v2").op('(', '(').text("storage");
            global("torch", tensor.storageClass).text(key).text("cpu");
            number(tensor.values.length / tensor.width).op('t', 'Q').number(offset);
            tuple(tensor.shape).tuple(tensor.strides).op(0x89);
            return global("collections", "OrderedDict").op(')', 'R', 't', 'R');
        }

        byte[] end() {
            return op('.').out.toByteArray();
        }
    }

    /** {@code {metadata, "state_dict": OrderedDict(tensors)}}, storages named 0, 1, 2... */
    static byte[] pickle(Map<String, Tensor> tensors, Map<String, String> metadata) {
        Pickle pickle = new Pickle().op('}');
        metadata.forEach((key, value) -> pickle.text(key).text(value).op('s'));
        pickle.text("state_dict").global("collections", "OrderedDict");
        pickle.op(')', 'R', '(');
        int key = 0;
        for (var tensor : tensors.entrySet()) {
            pickle.text(tensor.getKey()).tensor(Integer.toString(key++), tensor.getValue(), 0);
        }
        return pickle.op('u', 's').end();
    }

    static byte[] zip(Map<String, Tensor> tensors, Map<String, String> metadata) {
        var entries = new LinkedHashMap<String, byte[]>();
        entries.put("model/data.pkl", pickle(tensors, metadata));
        int key = 0;
        for (Tensor tensor : tensors.values()) {
            entries.put("model/data/" + key++, tensor.values);
        }
        return archive(entries, false);
    }

    static byte[] legacy(Map<String, Tensor> tensors, Map<String, String> metadata) {
        Pickle keys = new Pickle().op(']', '(');
        for (int key = 0; key < tensors.size(); key++) {
            keys.text(Integer.toString(key));
        }
        return legacy(pickle(tensors, metadata), keys.op('e').end(), List.copyOf(tensors.values()));
    }

    static byte[] legacy(byte[] object, byte[] keys, List<Tensor> storages) {
        var out = new ByteArrayOutputStream();
        byte[] magic = {0x6c, (byte) 0xfc, (byte) 0x9c, 0x46, (byte) 0xf9, 0x20, 0x6a, (byte) 0xa8, 0x50, 0x19};
        out.writeBytes(new byte[] {(byte) 0x80, 2, (byte) 0x8a, 10});
        out.writeBytes(magic);
        out.write('.');
        out.writeBytes(new Pickle().number(1001).end());
        out.writeBytes(new Pickle().op('}').text("little_endian").op(0x88, 's').end());
        out.writeBytes(object);
        out.writeBytes(keys);
        for (Tensor tensor : storages) {
            out.writeBytes(
                    little(8).putLong(tensor.values.length / tensor.width).array());
            out.writeBytes(tensor.values);
        }
        return out.toByteArray();
    }

    /** A zip archive, its entries stored or deflated. */
    static byte[] archive(Map<String, byte[]> entries, boolean deflate) {
        var out = new ByteArrayOutputStream();
        var directory = new ByteArrayOutputStream();
        for (var entry : entries.entrySet()) {
            byte[] name = entry.getKey().getBytes(StandardCharsets.UTF_8);
            byte[] packed = deflate ? deflated(entry.getValue()) : entry.getValue();
            var crc = new CRC32();
            crc.update(entry.getValue());
            byte[] common = little(26)
                    .putShort((short) 20)
                    .putShort((short) 0)
                    .putShort((short) (deflate ? 8 : 0))
                    .putInt(0)
                    .putInt((int) crc.getValue())
                    .putInt(packed.length)
                    .putInt(entry.getValue().length)
                    .putShort((short) name.length)
                    .putShort((short) 0)
                    .array();
            directory.writeBytes(
                    little(6).putInt(0x02014b50).putShort((short) 20).array());
            directory.writeBytes(common);
            directory.writeBytes(little(14).putInt(10, out.size()).array());
            directory.writeBytes(name);
            out.writeBytes(little(4).putInt(0x04034b50).array());
            out.writeBytes(common);
            out.writeBytes(name);
            out.writeBytes(packed);
        }
        int start = out.size();
        out.writeBytes(directory.toByteArray());
        out.writeBytes(little(22)
                .putInt(0x06054b50)
                .putInt(0)
                .putShort((short) entries.size())
                .putShort((short) entries.size())
                .putInt(directory.size())
                .putInt(start)
                .array());
        return out.toByteArray();
    }

    private static byte[] deflated(byte[] bytes) {
        var deflater = new Deflater(9, true);
        deflater.setInput(bytes);
        deflater.finish();
        var out = new ByteArrayOutputStream();
        byte[] buffer = new byte[1 << 16];
        while (!deflater.finished()) {
            out.write(buffer, 0, deflater.deflate(buffer));
        }
        deflater.end();
        return out.toByteArray();
    }

    private static ByteBuffer little(int size) {
        return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    }
}
