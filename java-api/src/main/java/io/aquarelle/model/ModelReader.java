package io.aquarelle.model;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Maps a model file and reads it by the format that it has, whatever its name. */
final class ModelReader {
    private static final String INDEX_SUFFIX = ".json";
    private static final int MAX_INDEX = 100_000_000;
    private static final int MAX_SHARDS = 1000;
    private static final int SAFETENSORS_START = Long.BYTES + 1;
    private static final String WEB_PAGE =
            "is a web page in place of the model; download it again, perhaps after signing in";

    /** What is no model, by its first bytes, and what to do about it. */
    private static final Map<String, String> FOREIGN = Map.of(
            "version ", "is a Git LFS pointer in place of the model; run 'git lfs pull' to get it",
            "<!DOCTYP", WEB_PAGE,
            "<!doctyp", WEB_PAGE,
            "<html", WEB_PAGE,
            "PK\5\6", "is an empty zip archive; download it again");

    private ModelReader() {}

    /**
     * Reads a file, an index of shards, or a folder; the files stay mapped as long as {@code arena} lives.
     *
     * @throws ModelFormatException if it is no model or is damaged
     * @throws IOException if it cannot be read
     */
    static ModelContents read(Path path, Arena arena) throws IOException {
        var attributes = Files.readAttributes(path, BasicFileAttributes.class);
        if (attributes.isDirectory()) {
            return DiffusersFolder.read(path, arena);
        }
        // Opening a pipe or a device could wait for ever or have effects.
        if (!attributes.isRegularFile()) {
            throw new ModelFormatException(path, "is a pipe or a device; name a model file");
        }
        if (String.valueOf(path.getFileName()).endsWith(INDEX_SUFFIX)) {
            return readShards(path, arena);
        }
        return read(path, map(path, arena));
    }

    /**
     * Recognises the format of a file by its contents.
     *
     * @param path for messages only
     * @param file all bytes of the file
     */
    static ModelContents read(Path path, MemorySegment file) throws ModelFormatException {
        String start = new String(
                file.asSlice(0, Math.min(Long.BYTES, file.byteSize())).toArray(ValueLayout.JAVA_BYTE),
                StandardCharsets.ISO_8859_1);
        for (var foreign : FOREIGN.entrySet()) {
            if (start.startsWith(foreign.getKey())) {
                throw new ModelFormatException(path, foreign.getValue());
            }
        }
        if (start.startsWith(GgufReader.MAGIC)) {
            return GgufReader.read(path, file);
        }
        if (start.startsWith(ZipEntries.MAGIC)) {
            return TorchReader.readZip(path, file);
        }
        // The length of a safetensors file's header may look like the start of a pickle.
        boolean isSafetensors =
                file.byteSize() >= SAFETENSORS_START && file.get(ValueLayout.JAVA_BYTE, Long.BYTES) == '{';
        if (TorchReader.isPickle(file) && !isSafetensors) {
            return TorchReader.readLegacy(path, file);
        }
        return SafetensorsReader.read(path, file);
    }

    private static MemorySegment map(Path file, Arena arena) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            return channel.map(MapMode.READ_ONLY, 0, channel.size(), arena);
        } catch (ClosedChannelException e) {
            throw e;
        } catch (java.nio.file.FileSystemException e) {
            throw e;
        } catch (IOException e) {
            String size = Files.size(file) / 1_000_000 + " MB";
            throw new IOException(file + " cannot be mapped; raise the limit on virtual memory above its " + size, e);
        }
    }

    /** {@code {"weight_map": {"tensor": "file beside the index"}}} */
    private static ModelContents readShards(Path index, Arena arena) throws IOException {
        if (Files.size(index) > MAX_INDEX) {
            throw new ModelFormatException(index, "is larger than any index of shards; name the model file itself");
        }
        Object json;
        try {
            json = Json.parse(Files.readString(index));
        } catch (Json.SyntaxException | java.nio.charset.CharacterCodingException e) {
            throw new ModelFormatException(index, "is not valid JSON: " + e.getMessage() + "; download it again");
        }
        if (!(json instanceof Map<?, ?> map) || !(map.get("weight_map") instanceof Map<?, ?> places)) {
            throw new ModelFormatException(index, "has no 'weight_map'; name the model file or folder itself");
        }
        var shards = new HashMap<String, ModelContents>();
        var tensors = new LinkedHashMap<String, TensorSource>();
        var metadata = new LinkedHashMap<String, String>();
        for (var place : places.entrySet()) {
            String name = (String) place.getKey();
            String shard = shardName(index, place.getValue());
            if (!shards.containsKey(shard)) {
                if (shards.size() == MAX_SHARDS) {
                    throw new ModelFormatException(index, "names more than " + MAX_SHARDS + " files");
                }
                Path file = index.resolveSibling(shard);
                if (!Files.isRegularFile(file)) {
                    throw new ModelFormatException(
                            index, "names the file '" + shard + "', which is missing; get it too");
                }
                ModelContents contents = read(file, map(file, arena));
                shards.put(shard, contents);
                contents.metadata().forEach(metadata::putIfAbsent);
            }
            TensorSource tensor = shards.get(shard).tensors().get(name);
            if (tensor == null) {
                throw new ModelFormatException(
                        index, "says that '" + shard + "' has tensor '" + Json.shorten(name) + "'; download it again");
            }
            tensors.put(name, tensor);
        }
        return new ModelContents(tensors, metadata);
    }

    /** Only files beside the index: a name with a path could reach anything. */
    private static String shardName(Path index, Object value) throws ModelFormatException {
        if (value instanceof String name
                && !name.isEmpty()
                && List.of('/', '\\', '\0', ':').stream().noneMatch(c -> name.indexOf(c) >= 0)
                && !name.equals("..")) {
            return name;
        }
        throw new ModelFormatException(
                index,
                "names '" + Json.shorten(String.valueOf(value)) + "', which is no file beside it; download it again");
    }
}
