package io.aquarelle.model;

import io.aquarelle.model.TorchObjects.Storage;
import io.aquarelle.model.Unpickler.Dict;
import io.aquarelle.model.Unpickler.Items;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Map;

/**
 * Reads checkpoints of {@code torch.save}; tensors are used where they lie in the file. Since PyTorch 1.6 that is a zip
 * archive of uncompressed entries: {@code NAME/data.pkl} is a pickle whose storages are the entries
 * {@code NAME/data/KEY}. Before, it was a row of pickles, a magic number, a version, the system, the object, the keys of
 * its storages, and behind them for each key a count (u64) and the values.
 */
final class TorchReader {
    private static final String OBJECT = "data.pkl";

    /** The low 64 of the 80 bits of 0x1950a86a20f9469cfc6c. */
    private static final Long LEGACY_MAGIC = 0xa86a20f9469cfc6cL;

    private static final Long LEGACY_VERSION = 1001L;

    private TorchReader() {}

    /** Reads an archive; {@code path} is for messages only. */
    static ModelContents readZip(Path path, MemorySegment file) throws ModelFormatException {
        Map<String, MemorySegment> entries = ZipEntries.read(path, file);
        String object = entries.keySet().stream()
                .filter(name -> name.equals(OBJECT) || name.endsWith("/" + OBJECT))
                .findFirst()
                .orElseThrow(() -> new ModelFormatException(
                        path, "is a zip archive without " + OBJECT + "; it is no PyTorch checkpoint"));
        String folder = object.substring(0, object.length() - OBJECT.length());
        MemorySegment order = entries.get(folder + "byteorder");
        if (order != null && order.byteSize() == 3) { // "big", not "little"
            throw new ModelFormatException(path, "is a big-endian PyTorch checkpoint; convert it to safetensors first");
        }
        var objects = new TorchObjects(path);
        Object root = Unpickler.read(new ByteCursor(path, entries.get(object)), objects);
        for (Storage storage : objects.storages().values()) {
            MemorySegment bytes = entries.get(folder + "data/" + storage.key);
            if (bytes == null) {
                throw damaged(path, "lacks the storage '" + Json.shorten(storage.key) + "'");
            }
            if (storage.count > bytes.byteSize() / storage.type.bytes(1)) {
                throw damaged(
                        path,
                        "has the storage '" + Json.shorten(storage.key) + "' of " + bytes.byteSize()
                                + " bytes, too few for " + storage.count + " values of " + storage.type);
            }
            storage.bytes = bytes;
        }
        return objects.contents(root, file.byteSize());
    }

    /** Whether a file starts as a pickle of protocol 2 or later. */
    static boolean isPickle(MemorySegment file) {
        return file.byteSize() >= 2
                && file.get(ValueLayout.JAVA_BYTE, 0) == (byte) 0x80
                && file.get(ValueLayout.JAVA_BYTE, 1) >= 2
                && file.get(ValueLayout.JAVA_BYTE, 1) <= 5;
    }

    /** Reads a row of pickles; {@code path} is for messages only. */
    static ModelContents readLegacy(Path path, MemorySegment file) throws ModelFormatException {
        var in = new ByteCursor(path, file);
        var objects = new TorchObjects(path);
        if (!LEGACY_MAGIC.equals(Unpickler.read(in, objects)) || !LEGACY_VERSION.equals(Unpickler.read(in, objects))) {
            throw new ModelFormatException(path, "is a Python pickle, but no PyTorch checkpoint");
        }
        if (Unpickler.read(in, objects) instanceof Dict system && Boolean.FALSE.equals(system.get("little_endian"))) {
            throw new ModelFormatException(path, "is a big-endian PyTorch checkpoint; convert it to safetensors first");
        }
        Object root = Unpickler.read(in, objects);
        if (!(Unpickler.read(in, objects) instanceof Items keys)) {
            throw damaged(path, "has no list of its storages");
        }
        for (Object key : keys.values) {
            Storage storage = key instanceof String text ? objects.storages().get(text) : null;
            if (storage == null || storage.bytes != null) {
                throw damaged(path, "lists a storage twice, or one that no tensor has");
            }
            long count = in.i64();
            if (count != storage.count || count > in.remaining() / storage.type.bytes(1)) {
                throw damaged(
                        path,
                        "has the storage '" + Json.shorten(storage.key) + "' with " + Long.toUnsignedString(count)
                                + " values in place of " + storage.count + ", or ends within it");
            }
            storage.bytes = in.slice(storage.type.bytes(count));
        }
        for (Storage storage : objects.storages().values()) {
            if (storage.bytes == null) {
                throw damaged(path, "lacks the storage '" + Json.shorten(storage.key) + "'");
            }
        }
        return objects.contents(root, file.byteSize());
    }

    private static ModelFormatException damaged(Path path, String problem) {
        return new ModelFormatException(path, problem + "; the file is damaged: download or convert it again");
    }
}
