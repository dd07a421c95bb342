package io.aquarelle.model;

import io.aquarelle.model.Unpickler.Dict;
import io.aquarelle.model.Unpickler.Global;
import io.aquarelle.model.Unpickler.Items;
import io.aquarelle.model.Unpickler.Opaque;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What a PyTorch checkpoint's pickle may hold: tensors on storages, dictionaries of them, and what training frameworks
 * leave beside them, which is passed over. A name from anywhere else is refused, though nothing would run it.
 */
final class TorchObjects implements Unpickler.Builder {
    /** Storages are limited like tensors, which may share them. */
    private static final int MAX_STORAGES = ModelContents.MAX_TENSORS;

    private static final Map<String, DataType> STORAGES = Map.ofEntries(
            Map.entry("DoubleStorage", DataType.F64),
            Map.entry("FloatStorage", DataType.F32),
            Map.entry("HalfStorage", DataType.F16),
            Map.entry("BFloat16Storage", DataType.BF16),
            Map.entry("LongStorage", DataType.I64),
            Map.entry("IntStorage", DataType.I32),
            Map.entry("ShortStorage", DataType.I16),
            Map.entry("CharStorage", DataType.I8),
            Map.entry("ByteStorage", DataType.U8),
            Map.entry("BoolStorage", DataType.BOOL),
            Map.entry("UntypedStorage", DataType.U8));

    private static final Map<String, DataType> TYPES = Map.ofEntries(
            Map.entry("float64", DataType.F64),
            Map.entry("float32", DataType.F32),
            Map.entry("float16", DataType.F16),
            Map.entry("bfloat16", DataType.BF16),
            Map.entry("int64", DataType.I64),
            Map.entry("int32", DataType.I32),
            Map.entry("int16", DataType.I16),
            Map.entry("int8", DataType.I8),
            Map.entry("uint8", DataType.U8),
            Map.entry("bool", DataType.BOOL),
            Map.entry("float8_e4m3fn", DataType.F8_E4M3),
            Map.entry("float8_e5m2", DataType.F8_E5M2));

    /** Whose objects harmless checkpoints hold. */
    private static final Set<String> PACKAGES = Set.of(
            "torch",
            "numpy",
            "collections",
            "pytorch_lightning",
            "lightning",
            "lightning_fabric",
            "omegaconf",
            "diffusers",
            "transformers",
            "accelerate",
            "ldm",
            "sgm",
            "argparse",
            "typing",
            "datetime",
            "enum",
            "_codecs",
            "copyreg",
            "copy_reg");

    private static final Set<String> BUILTINS = Set.of("builtins", "__builtin__");
    private static final Set<String> BUILTIN_TYPES = Set.of(
            "bool",
            "bytearray",
            "bytes",
            "complex",
            "dict",
            "float",
            "frozenset",
            "int",
            "list",
            "long",
            "object",
            "range",
            "set",
            "slice",
            "str",
            "tuple",
            "unicode");

    /** Where the values of tensors lie; {@code bytes} stays null until its place is known. */
    static final class Storage {
        final String key;
        final DataType type;
        final long count;

        @Nullable
        MemorySegment bytes;

        Storage(String key, DataType type, long count) {
            this.key = key;
            this.type = type;
            this.count = count;
        }
    }

    /** Part of a storage from value {@code first} on, as very old files share one. */
    private record View(Storage storage, long first) {}

    /** A tensor whose numbers are checked when all is read. */
    private record Tensor(View view, DataType type, long offset, Items shape, Items strides) {}

    private final Path path;
    private final Map<String, Storage> storages = new LinkedHashMap<>();

    private long copied; // from lists into dictionaries

    TorchObjects(Path path) {
        this.path = path;
    }

    /** The storages that the pickles read so far refer to, by their keys. */
    Map<String, Storage> storages() {
        return storages;
    }

    @Override
    public void check(Global global) throws ModelFormatException {
        String root = global.module().split("\\.", 2)[0];
        if (BUILTINS.contains(global.module()) ? BUILTIN_TYPES.contains(global.name()) : PACKAGES.contains(root)) {
            return;
        }
        throw new ModelFormatException(
                path,
                "names " + quote(global)
                        + ", which no model needs: it may be an attack; nothing was run, do not open it"
                        + " with other programs, and get the model as a safetensors file");
    }

    @Override
    public @Nullable Object call(Object function, Items arguments) throws ModelFormatException {
        if (!(function instanceof Global global)) {
            return new Opaque();
        }
        return switch (global.toString()) {
            case "collections.OrderedDict", "builtins.dict", "__builtin__.dict" -> dictionary(arguments.get(0));
            case "torch.Size" -> arguments.get(0);
            case "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state" -> arguments.get(0);
            case "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2" -> tensor(arguments, null);
            case "torch._utils._rebuild_tensor_v3" -> tensor(arguments, arguments.get(6));
            case "torch._tensor._rebuild_from_type_v2" -> rebuilt(arguments);
            default -> new Opaque();
        };
    }

    /** A tensor subclass: function, class, arguments, state. */
    private @Nullable Object rebuilt(Items arguments) throws ModelFormatException {
        boolean plain = arguments.get(0) instanceof Global global
                && global.toString().startsWith("torch._utils._rebuild_")
                && arguments.get(2) instanceof Items;
        return plain ? call(arguments.get(0), (Items) arguments.get(2)) : new Opaque();
    }

    private Dict dictionary(@Nullable Object pairs) throws ModelFormatException {
        var dict = new Dict();
        if (pairs instanceof Items items) {
            // One list may be named again and again, and each dictionary of it takes as long as the list is.
            copied += items.size();
            if (copied > Unpickler.MAX_STEPS) {
                throw damaged("has a pickle of more than " + Unpickler.MAX_STEPS + " copied values");
            }
            for (Object pair : items.values) {
                if (pair instanceof Items two && two.size() == 2) {
                    dict.put(two.get(0), two.get(1));
                }
            }
        }
        return pairs instanceof Dict other ? other : dict;
    }

    private Object tensor(Items arguments, @Nullable Object type) throws ModelFormatException {
        if (!(arguments.get(0) instanceof View view)
                || !(arguments.get(1) instanceof Long offset)
                || !(arguments.get(2) instanceof Items shape)
                || !(arguments.get(3) instanceof Items strides)) {
            throw damaged("has a pickle with a tensor that lacks its storage, offset, shape or strides");
        }
        DataType stored = view.storage.type;
        if (type != null) {
            stored = type instanceof Global global && global.module().equals("torch") ? TYPES.get(global.name()) : null;
            if (stored == null) {
                throw unknownType(type);
            }
        }
        return new Tensor(view, stored, offset, shape, strides);
    }

    /** {@code ("storage", class, key, device, count)}, in old files with {@code (key, first, count)} of a view. */
    @Override
    public Object load(@Nullable Object id) throws ModelFormatException {
        if (!(id instanceof Items items)
                || !"storage".equals(items.get(0))
                || !(items.get(1) instanceof Global type)
                || !(items.get(2) instanceof String key)
                || !(items.get(4) instanceof Long count)
                || count < 0) {
            throw damaged("has a pickle that refers to something else than a storage");
        }
        DataType stored = type.module().startsWith("torch") ? STORAGES.get(type.name()) : null;
        if (stored == null) {
            throw unknownType(type);
        }
        Storage storage = storages.get(key);
        if (storage == null) {
            if (storages.size() == MAX_STORAGES) {
                throw damaged("has more than " + MAX_STORAGES + " storages");
            }
            storage = new Storage(key, stored, count);
            storages.put(key, storage);
        } else if (storage.type != stored || storage.count != count) {
            throw damaged("has the storage " + quote(key) + " with two types or sizes");
        }
        boolean view = items.get(5) instanceof Items part && part.get(1) instanceof Long;
        return new View(storage, view ? (Long) ((Items) items.get(5)).get(1) : 0);
    }

    /**
     * The tensors of a checkpoint and what it says about itself.
     *
     * @param root what the pickle holds; all storages have their bytes by now
     * @param size of the file
     */
    ModelContents contents(@Nullable Object root, long size) throws ModelFormatException {
        Dict top = root instanceof Items list ? numbered(list) : root instanceof Dict dict ? dict : new Dict();
        if (!(root instanceof Dict) && top.keys.isEmpty()) {
            throw new ModelFormatException(
                    path, "holds no dictionary of tensors; save it again as torch.save(model.state_dict(), FILE)");
        }
        Dict state = top;
        for (String key : List.of("params", "params_ema", "state_dict")) { // the first two of BasicSR's upscalers
            state = top.get(key) instanceof Dict nested ? nested : state;
        }
        state = top.get("string_to_param") instanceof Dict words ? words : state; // A1111's textual inversions
        var tensors = new LinkedHashMap<String, TensorSource>();
        long copied = 0;
        for (int i = 0; i < state.keys.size(); i++) {
            if (state.keys.get(i) instanceof String name && state.values.get(i) instanceof Tensor tensor) {
                TensorSource source = source(name, tensor);
                if (tensors.put(name, source) != null) {
                    throw damaged("has tensor " + quote(name) + ", which occurs twice");
                }
                copied += source.copies() ? source.info().byteSize() : 0;
                if (copied > size) {
                    throw damaged("has more bytes of tensors that share their values than it is long");
                }
            }
            if (tensors.size() > ModelContents.MAX_TENSORS) {
                throw damaged("has more than " + ModelContents.MAX_TENSORS + " tensors");
            }
        }
        var metadata = new LinkedHashMap<String, String>();
        for (int i = 0; i < top.keys.size(); i++) {
            Object value = top.values.get(i);
            if (top.keys.get(i) instanceof String key && (value instanceof String || value instanceof Number)) {
                metadata.put(key, value.toString());
            }
        }
        return new ModelContents(tensors, metadata);
    }

    /** The tensors of a list, and of lists in it, named by their places: "0.2" is the third one of the first list. */
    private static Dict numbered(Items list) {
        var named = new Dict();
        int budget = ModelContents.MAX_TENSORS; // the same list may occur any number of times
        for (int i = 0; i < list.size() && budget > 0; i++, budget--) {
            if (list.get(i) instanceof Tensor tensor) {
                named.put(Integer.toString(i), tensor);
            } else if (list.get(i) instanceof Items nested) {
                for (int j = 0; j < nested.size() && budget > 0; j++, budget--) {
                    if (nested.get(j) instanceof Tensor tensor) {
                        named.put(i + "." + j, tensor);
                    }
                }
            }
        }
        return named;
    }

    private TensorSource source(String name, Tensor tensor) throws ModelFormatException {
        List<Long> shape = lengths(name, tensor.shape);
        List<Long> strides = lengths(name, tensor.strides);
        if (strides.size() != shape.size()) {
            throw damaged(name, "has " + shape.size() + " dimensions and " + strides.size() + " strides");
        }
        TensorInfo info;
        try {
            info = new TensorInfo(name, tensor.type, shape);
        } catch (IllegalArgumentException e) {
            throw damaged("has tensor " + quote(name) + ", whose " + e.getMessage());
        }
        MemorySegment bytes = tensor.view.storage.bytes;
        long width = tensor.type.bytes(1);
        try {
            long first = Math.addExact(tensor.view.first, tensor.offset);
            long last = first;
            for (int d = 0; d < shape.size() && info.elements() > 0; d++) {
                last = Math.addExact(last, Math.multiplyExact(shape.get(d) - 1, strides.get(d)));
            }
            if (first < 0
                    || info.elements() > 0 && Math.multiplyExact(Math.addExact(last, 1), width) > bytes.byteSize()) {
                throw damaged(name, "has values outside of its storage of " + bytes.byteSize() + " bytes");
            }
            if (info.elements() == 0) {
                return new TensorSource.Plain(info, bytes.asSlice(0, 0));
            }
            MemorySegment values = bytes.asSlice(first * width);
            if (isContiguous(shape, strides)) {
                return new TensorSource.Plain(info, values.asSlice(0, info.byteSize()));
            }
            if (info.byteSize() > bytes.byteSize()) {
                throw damaged(name, "has more values than its storage");
            }
            return new TensorSource.Strided(info, values, strides);
        } catch (ArithmeticException e) {
            throw damaged(name, "has values outside of its storage of " + bytes.byteSize() + " bytes");
        }
    }

    private static boolean isContiguous(List<Long> shape, List<Long> strides) {
        long step = 1;
        for (int d = shape.size() - 1; d >= 0; d--) {
            if (shape.get(d) != 1 && strides.get(d) != step) {
                return false;
            }
            step *= shape.get(d);
        }
        return true;
    }

    private List<Long> lengths(String tensor, Items items) throws ModelFormatException {
        if (items.size() > ModelContents.MAX_RANK) {
            throw damaged(tensor, "has " + items.size() + " dimensions, more than " + ModelContents.MAX_RANK);
        }
        var lengths = new ArrayList<Long>();
        for (Object item : items.values) {
            if (!(item instanceof Long length) || length < 0) {
                throw damaged(tensor, "has a negative dimension or stride, or one that is no number");
            }
            lengths.add(length);
        }
        return lengths;
    }

    private ModelFormatException unknownType(Object type) {
        String name = type instanceof Global global ? quote(global) : "a nameless one";
        return new ModelFormatException(path, "has tensors of the unknown type " + name + "; convert it to half first");
    }

    private ModelFormatException damaged(String tensor, String problem) {
        return damaged("has tensor " + quote(tensor) + ", which " + problem);
    }

    private ModelFormatException damaged(String problem) {
        return new ModelFormatException(path, problem + "; the file is damaged: download or convert it again");
    }

    private static String quote(Object name) {
        return "'" + Json.shorten(name.toString()) + "'";
    }
}
