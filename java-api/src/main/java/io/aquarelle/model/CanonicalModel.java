package io.aquarelle.model;

import io.aquarelle.model.TensorNames.Form;
import io.aquarelle.model.TensorNames.Renamed;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Finds the networks in one or more files, whatever their tensors are called there, and gives them the names of one
 * CompVis checkpoint. Tensors of no network keep their names.
 */
final class CanonicalModel {
    /** What a file can add to or replace in a model. */
    enum Network {
        UNET("UNet"),
        VAE("VAE"),
        TEXT("text encoder"),
        CONTROL_NET("control net"),
        UPSCALER("upscaler");

        private final String title;

        Network(String title) {
            this.title = title;
        }
    }

    /** A file of a model, and which of its networks are used; an empty set stands for all there are. */
    record Part(ModelContents contents, Set<Network> use) {}

    /** Far above any model, so that a hostile file costs time in proportion to its tensors only. */
    private static final int MAX_NETWORKS = 16;

    private static final String SD_TEXT = "cond_stage_model.";
    private static final String XL_TEXT = "conditioner.embedders.";

    /** CLIP ViT-L of SD 1.x and SDXL is 768 wide, the OpenCLIP towers of SD 2.x and SDXL 1024 and 1280. */
    private static final long CLIP_L_WIDTH = 768;

    private static final Set<Long> OPEN_CLIP_WIDTHS = Set.of(1024L, 1280L);

    /** A tensor that each network has, behind what its file puts before all of its names. */
    private static final Pattern MARKER = Pattern.compile("(.*?)(out\\.2\\.weight|time_embedding\\.linear_1\\.weight"
            + "|(?:encoder|decoder)\\.mid\\.block_1\\.norm1\\.weight"
            + "|(?:encoder|decoder)\\.mid_block\\.resnets\\.0\\.norm1\\.weight"
            + "|(?:text_model\\.)?embeddings\\.token_embedding\\.weight|token_embedding\\.weight"
            + "|input_hint_block\\.0\\.weight|controlnet_cond_embedding\\.conv_in\\.weight"
            + "|body\\.0\\.rdb1\\.conv1\\.weight|(?:model\\.1\\.sub|RRDB_trunk)\\.0\\.RDB1\\.conv1(?:\\.0)?\\.weight"
            + "|(?<tiny>(?:(?:encoder|decoder)\\.(?:layers\\.)?|taesd_(?:encoder|decoder)\\.)?[01]\\.weight))");

    /** A network in a part: the prefix of its names there, the prefix that they get, the rules for what follows. */
    private static final class Found {
        final Part part;
        final Network network;
        final String prefix;
        final boolean openClip;
        final boolean huggingFace;
        String target = "";

        @Nullable
        TensorNames rules;

        Found(Part part, Network network, String prefix, boolean openClip, boolean huggingFace) {
            this.part = part;
            this.network = network;
            this.prefix = prefix;
            this.openClip = openClip;
            this.huggingFace = huggingFace;
        }

        /** The names that follow the prefix. */
        Set<String> names() {
            Set<String> names = new LinkedHashSet<>();
            for (String name : part.contents.tensors().keySet()) {
                if (name.startsWith(prefix)) {
                    names.add(name.substring(prefix.length()));
                }
            }
            return names;
        }
    }

    private final Path path;
    private final Map<String, TensorSource> tensors = new LinkedHashMap<>();
    private final Map<String, TensorSource[]> joined = new LinkedHashMap<>();

    private CanonicalModel(Path path) {
        this.path = path;
    }

    /**
     * Joins the parts of a model.
     *
     * @param path for messages only
     * @param parts of one model; where several have the same network, the last one's is used
     */
    static ModelContents of(Path path, List<Part> parts) throws ModelFormatException {
        return new CanonicalModel(path).join(parts);
    }

    /** Refuses a file that is there for a network and has none. */
    static void requireUse(Path path, Part part) throws ModelFormatException {
        List<Found> found = new CanonicalModel(path).find(part);
        for (Network network : part.use) {
            if (found.stream().noneMatch(it -> it.network == network)) {
                throw new ModelFormatException(path, "has no " + network.title + "; name a file with one");
            }
        }
    }

    private ModelContents join(List<Part> parts) throws ModelFormatException {
        List<Found> networks = new ArrayList<>();
        for (Part part : parts) {
            for (Found found : find(part)) {
                if (part.use.isEmpty() || part.use.contains(found.network)) {
                    networks.removeIf(earlier -> earlier.part != part && replaces(found, earlier));
                    networks.add(found);
                }
            }
        }
        setTargets(networks);
        for (Part part : parts) {
            List<Found> all = find(part);
            for (TensorSource tensor : part.contents.tensors().values()) {
                add(tensor, part, networks, all);
            }
        }
        for (var entry : joined.entrySet()) {
            join(entry.getKey(), entry.getValue());
        }
        Map<String, String> metadata = new LinkedHashMap<>();
        parts.forEach(part -> part.contents.metadata().forEach(metadata::putIfAbsent));
        return new ModelContents(tensors, metadata);
    }

    private static boolean replaces(Found found, Found earlier) {
        return found.network == earlier.network && found.openClip == earlier.openClip;
    }

    /** The networks of one part, at most one of each kind under a prefix. */
    private List<Found> find(Part part) throws ModelFormatException {
        Map<String, Found> found = new LinkedHashMap<>();
        Map<String, Found> tiny = new LinkedHashMap<>();
        Map<String, TensorSource> tensors = part.contents.tensors();
        for (String name : tensors.keySet()) {
            Matcher marker = MARKER.matcher(name);
            if (!marker.matches()) {
                continue;
            }
            String prefix = marker.group(1);
            String rest = marker.group(2);
            Found network = null;
            if (rest.equals("out.2.weight") && tensors.containsKey(prefix + "input_blocks.0.0.weight")) {
                network = new Found(part, Network.UNET, prefix, false, false);
            } else if (rest.startsWith("time_embedding.") && tensors.containsKey(prefix + "conv_out.weight")) {
                network = new Found(part, Network.UNET, prefix, false, true);
            } else if (rest.endsWith("norm1.weight")) {
                network = new Found(part, Network.VAE, prefix, false, rest.contains("mid_block"));
            } else if (rest.endsWith("embeddings.token_embedding.weight")) {
                network = new Found(part, Network.TEXT, prefix, isOpenClip(part, prefix, name), true);
            } else if (rest.equals("token_embedding.weight")) {
                network = new Found(part, Network.TEXT, prefix, true, false);
            } else if (rest.contains("hint_block") || rest.startsWith("controlnet_cond")) {
                network = new Found(part, Network.CONTROL_NET, prefix, false, rest.startsWith("controlnet_cond"));
            } else if (rest.toLowerCase(Locale.ROOT).contains("rdb1")) {
                network = new Found(part, Network.UPSCALER, prefix, false, false);
            }
            if (network != null) {
                found.putIfAbsent(network.network + prefix, network);
            } else if (marker.group("tiny") != null
                    // Files of one half have numbers alone.
                    && (prefix.isEmpty() || rest.length() > "0.weight".length())
                    && tensors.get(name).info().shape().size() == 4) {
                tiny.putIfAbsent(Network.VAE + prefix, new Found(part, Network.VAE, prefix, false, false));
            }
            if (found.size() + tiny.size() > MAX_NETWORKS) {
                throw new ModelFormatException(path, "has more than " + MAX_NETWORKS + " networks; name one model");
            }
        }
        if (found.values().stream().noneMatch(it -> it.network == Network.VAE)) {
            found.putAll(tiny);
        }
        // Trainers of upscalers keep the averaged weights, which are used, beside the last ones.
        if (found.containsKey(Network.UPSCALER + "params_ema.")) {
            found.remove(Network.UPSCALER + "params.");
        }
        return List.copyOf(found.values());
    }

    /** Whether a text tower in Hugging Face names is one of OpenCLIP's: by its activation, its width, its projection. */
    private static boolean isOpenClip(Part part, String prefix, String tokens) {
        if (prefix.equals(XL_TEXT + "0.transformer.")) {
            return false;
        }
        String activation = part.contents.metadata().get(prefix + DiffusersFolder.ACTIVATION);
        List<Long> shape = part.contents.tensors().get(tokens).info().shape();
        if (activation != null) {
            return activation.equals("gelu");
        }
        if (shape.size() == 2 && shape.get(1) == CLIP_L_WIDTH) {
            return false;
        }
        return shape.size() == 2 && OPEN_CLIP_WIDTHS.contains(shape.get(1))
                || part.contents.tensors().containsKey(prefix + "text_projection.weight")
                || part.contents.tensors().containsKey(prefix + "text_model.text_projection");
    }

    private static void setTargets(List<Found> networks) {
        long towers =
                networks.stream().filter(found -> found.network == Network.TEXT).count();
        boolean xl = towers > 1 || networks.stream().anyMatch(CanonicalModel::isXl);
        for (Found found : networks) {
            switch (found.network) {
                case UNET -> {
                    found.target = ModelSpec.UNET_PREFIX;
                    found.rules =
                            found.huggingFace ? TensorNames.diffusersUNet(found.names()) : TensorNames.compVisUNet();
                }
                case VAE -> {
                    found.target = ModelSpec.VAE_PREFIX;
                    found.rules =
                            found.huggingFace ? TensorNames.diffusersVae(found.names()) : TensorNames.compVisVae();
                }
                case TEXT -> {
                    String place = xl ? XL_TEXT + (found.openClip && towers > 1 ? "1." : "0.") : SD_TEXT;
                    found.target = place + (found.openClip ? "model." : "transformer.");
                    if (!found.openClip) {
                        found.rules = TensorNames.clip();
                    } else {
                        found.rules = found.huggingFace ? TensorNames.clipToOpenClip() : TensorNames.openClip();
                    }
                }
                case CONTROL_NET -> {
                    found.target = ControlNet.PREFIX;
                    found.rules = found.huggingFace
                            ? TensorNames.diffusersControlNet(found.names())
                            : TensorNames.compVisControlNet();
                }
                case UPSCALER -> {
                    found.target = RrdbNet.PREFIX;
                    found.rules = TensorNames.upscaler(found.names());
                }
            }
        }
    }

    /** SDXL's UNets are told the size of the picture; the refiner has a single text tower. */
    private static boolean isXl(Found found) {
        return switch (found.network) {
            case UNET -> found.part.contents.tensors().containsKey(found.prefix + "add_embedding.linear_1.weight");
            case VAE, CONTROL_NET, UPSCALER -> false;
            case TEXT -> found.prefix.startsWith(XL_TEXT);
        };
    }

    private void add(TensorSource tensor, Part part, List<Found> networks, List<Found> all)
            throws ModelFormatException {
        String name = tensor.info().name();
        Found best = null;
        Renamed renamed = null;
        for (Found found : networks) {
            if (found.part == part
                    && name.startsWith(found.prefix)
                    && (best == null || found.prefix.length() > best.prefix.length())) {
                Renamed candidate = found.rules.rename(name.substring(found.prefix.length()));
                if (candidate != null) {
                    best = found;
                    renamed = candidate;
                }
            }
        }
        if (best != null) {
            put(best.target + renamed.name(), tensor, renamed.form());
        } else if (part.use.isEmpty() && all.stream().noneMatch(found -> isReplaced(found, name, networks))) {
            put(name, tensor, Form.SAME);
        }
    }

    /** Whether a tensor belongs to a network in whose place that of a later part is used. */
    private static boolean isReplaced(Found found, String name, List<Found> networks) {
        return !found.prefix.isEmpty()
                && name.startsWith(found.prefix)
                && networks.stream()
                        .noneMatch(used -> used.part == found.part
                                && used.network == found.network
                                && used.prefix.equals(found.prefix));
    }

    private void put(String name, TensorSource tensor, Form form) throws ModelFormatException {
        if (form.ordinal() >= Form.QUERY.ordinal()) {
            TensorSource[] parts = joined.computeIfAbsent(name, key -> new TensorSource[3]);
            int index = form.ordinal() - Form.QUERY.ordinal();
            if (parts[index] != null) {
                throw twice(name, parts[index], tensor);
            }
            parts[index] = tensor;
            return;
        }
        TensorInfo info = tensor.info();
        List<Long> shape = info.shape();
        TensorSource source;
        if (form == Form.TRANSPOSED && shape.size() == 2 && !info.type().isQuantised()) {
            source = TensorSource.Transposed.of(name, tensor);
        } else if (form == Form.TRANSPOSED) {
            throw new ModelFormatException(
                    path,
                    "has tensor '" + info.name() + "', which is no matrix of plain values; convert it to F16 first");
        } else if (form == Form.KERNEL && shape.size() == 2) {
            List<Long> kernel = List.of(shape.get(0), shape.get(1), 1L, 1L);
            source = new TensorSource.Relabelled(new TensorInfo(name, info.type(), kernel), tensor);
        } else if (name.equals(info.name())) {
            source = tensor;
        } else {
            source = new TensorSource.Relabelled(info.named(name), tensor);
        }
        TensorSource earlier = tensors.putIfAbsent(name, source);
        if (earlier != null) {
            throw twice(name, earlier, tensor);
        }
    }

    private ModelFormatException twice(String name, TensorSource one, TensorSource other) {
        return new ModelFormatException(
                path,
                "has '" + Json.shorten(one.info().name()) + "' and '"
                        + Json.shorten(other.info().name()) + "', which are both tensor '"
                        + Json.shorten(name) + "'; remove one");
    }

    private void join(String name, TensorSource[] parts) throws ModelFormatException {
        if (Arrays.asList(parts).contains(null)) {
            throw new ModelFormatException(
                    path, "lacks a part of query, key and value of '" + name + "'; download or convert it again");
        }
        TensorInfo first = parts[0].info();
        long rows = 0;
        for (TensorSource part : parts) {
            List<Long> shape = part.info().shape();
            if (part.info().type() != first.type()
                    || shape.isEmpty()
                    || !shape.subList(1, shape.size())
                            .equals(first.shape().subList(1, first.shape().size()))) {
                throw new ModelFormatException(
                        path,
                        "has query, key and value of '" + name + "' in different types or widths; convert it again");
            }
            rows += shape.getFirst();
        }
        List<Long> shape = new ArrayList<>(first.shape());
        shape.set(0, rows);
        TensorInfo info = new TensorInfo(name, first.type(), shape);
        if (tensors.putIfAbsent(name, new TensorSource.Joined(info, List.of(parts))) != null) {
            throw twice(name, tensors.get(name), parts[0]);
        }
    }
}
