package io.aquarelle.model;

import io.aquarelle.model.Adapter.Change;
import io.aquarelle.model.AdapterNames.Module;
import io.aquarelle.model.AdapterNames.Part;
import io.aquarelle.model.AdapterNames.Place;
import io.aquarelle.model.AdapterTargets.Target;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The layers that numbers stand for in the first LoRAs of Stable Diffusion, those of cloneofsimo's lora_diffusion, whose
 * tensors are {@code unet:7:up} and the like. The file's metadata names classes of modules of diffusers and Hugging Face; its
 * numbers count the linear layers, or these and the convolutions, inside modules of these classes, in the order in which
 * PyTorch lists them.
 */
final class NumberedModules {
    private static final Pattern NUMBERED = Pattern.compile("(unet|text_encoder):(\\d{1,5})");

    private static final Set<String> ATTENTION = Set.of("CrossAttention", "Attention");
    private static final String FEED_FORWARD = "GEGLU";
    private static final String RESNET = "ResnetBlock2D";
    private static final String TEXT_ATTENTION = "CLIPAttention";

    /** Layers of modules in the order in which the modules' constructors name them. */
    private static final List<String> PROJECTIONS = List.of("to_q", "to_k", "to_v", "to_out.0");

    private static final List<String> TEXT_PROJECTIONS = List.of("k_proj", "v_proj", "q_proj", "out_proj");
    private static final List<String> CONVOLUTIONS = List.of("conv1", "time_emb_proj", "conv2", "conv_shortcut");

    private static final int MAX_BLOCKS = 8;
    private static final int MAX_LAYERS = 256;

    private final Adapter adapter;
    private final AdapterTargets targets;
    private final Map<String, Module> modules = new HashMap<>();

    private NumberedModules(Adapter adapter, AdapterTargets targets) {
        this.adapter = adapter;
        this.targets = targets;
    }

    /**
     * What the numbered modules of an adapter are called; nothing of other adapters.
     *
     * @throws ModelFormatException if they are not as many as the model has, or of other shapes
     */
    static Map<String, Module> of(Adapter adapter, AdapterTargets targets) throws ModelFormatException {
        Map<String, TreeMap<Integer, Change>> networks = new HashMap<>();
        for (Change change : adapter.changes()) {
            Matcher matcher = NUMBERED.matcher(change.module());
            if (matcher.matches() && change.has(Part.UP)) {
                networks.computeIfAbsent(matcher.group(1), key -> new TreeMap<>())
                        .put(Integer.parseInt(matcher.group(2)), change);
            }
        }
        var numbered = new NumberedModules(adapter, targets);
        for (var network : networks.entrySet()) {
            numbered.assign(network.getKey(), network.getValue());
        }
        return numbered.modules;
    }

    private void assign(String network, TreeMap<Integer, Change> numbers) throws ModelFormatException {
        Set<String> classes = classes(network);
        List<Change> changes = List.copyOf(numbers.values());
        // diffusers' transformer block has had its feed-forward layers before the second attention and behind it;
        // shapes tell.
        List<List<Module>> orders = network.equals("unet")
                ? List.of(unet(classes, false), unet(classes, true))
                : List.of(textEncoder(classes));
        boolean convolutions =
                changes.stream().anyMatch(it -> it.info(Part.DOWN).shape().size() > 2);
        for (List<Module> order : orders) {
            List<Module> layers = order.stream()
                    .filter(it -> convolutions || shape(it).size() == 2)
                    .toList();
            if (numbers.lastKey() == layers.size() - 1 && fits(changes, layers)) {
                for (int i = 0; i < changes.size(); i++) {
                    modules.put(changes.get(i).module(), layers.get(i));
                }
                return;
            }
        }
        throw new ModelFormatException(
                adapter.path(),
                "has " + changes.size() + " numbered changes, such as '"
                        + changes.getFirst().tensors().getFirst() + "', for other layers of " + classes
                        + " than this model has; it was made for another kind of model");
    }

    private Set<String> classes(String network) throws ModelFormatException {
        Set<String> classes = new LinkedHashSet<>();
        String text = adapter.metadata().getOrDefault(network, "[]");
        try {
            if (Json.parse(text) instanceof List<?> list) {
                list.forEach(it -> classes.add(String.valueOf(it)));
            }
        } catch (Json.SyntaxException e) {
            throw new ModelFormatException(
                    adapter.path(), "has metadata " + network + " that is not valid JSON: " + e.getMessage());
        }
        Set<String> known = new LinkedHashSet<>(ATTENTION);
        known.addAll(List.of(FEED_FORWARD, RESNET, TEXT_ATTENTION));
        if (classes.isEmpty() || !known.containsAll(classes)) {
            throw new ModelFormatException(
                    adapter.path(),
                    "has numbered changes of classes " + classes + " by its metadata " + network + "; known are "
                            + known);
        }
        return classes;
    }

    /** The layers of a UNet as diffusers registers them: blocks down, up, middle, attentions before resnets. */
    private List<Module> unet(Set<String> classes, boolean feedForwardFirst) {
        List<Module> layers = new ArrayList<>();
        Stream<String> levels = Stream.of("down_blocks.", "up_blocks.")
                .flatMap(part ->
                        Stream.iterate(0, i -> i < MAX_BLOCKS, i -> i + 1).map(i -> part + i));
        for (String block : Stream.concat(levels, Stream.of("mid_block")).toList()) {
            for (int i = 0; i < MAX_BLOCKS; i++) {
                addTransformer(block + ".attentions." + i + ".transformer_blocks.", classes, feedForwardFirst, layers);
            }
            for (int i = 0; i < MAX_BLOCKS && classes.contains(RESNET); i++) {
                add(Place.UNET, block + ".resnets." + i + ".", CONVOLUTIONS, layers);
            }
        }
        return layers;
    }

    private void addTransformer(String blocks, Set<String> classes, boolean feedForwardFirst, List<Module> layers) {
        boolean attention = ATTENTION.stream().anyMatch(classes::contains);
        List<String> feedForward = classes.contains(FEED_FORWARD) ? List.of("ff.net.0.proj") : List.of();
        List<String> projections = attention ? PROJECTIONS : List.of();
        for (int i = 0; i < MAX_LAYERS && targets.find(module(Place.UNET, blocks + i + ".attn1.to_q")) != null; i++) {
            String block = blocks + i + ".";
            add(Place.UNET, block + "attn1.", projections, layers);
            add(Place.UNET, block, feedForwardFirst ? feedForward : List.of(), layers);
            add(Place.UNET, block + "attn2.", projections, layers);
            add(Place.UNET, block, feedForwardFirst ? List.of() : feedForward, layers);
        }
    }

    private List<Module> textEncoder(Set<String> classes) {
        List<Module> layers = new ArrayList<>();
        for (int i = 0; i < MAX_LAYERS && classes.contains(TEXT_ATTENTION); i++) {
            add(Place.TEXT, "encoder.layers." + i + ".self_attn.", TEXT_PROJECTIONS, layers);
        }
        return layers;
    }

    private void add(Place place, String prefix, List<String> names, List<Module> layers) {
        for (String name : names) {
            Module module = module(place, prefix + name);
            if (targets.find(module) != null) {
                layers.add(module);
            }
        }
    }

    private static Module module(Place place, String name) {
        return new Module(place, AdapterNames.path(name));
    }

    private List<Long> shape(Module layer) {
        Target target = targets.find(layer);
        return target == null ? List.of() : targets.shape(target.weight());
    }

    private boolean fits(List<Change> changes, List<Module> layers) {
        if (changes.size() != layers.size()) {
            return false;
        }
        for (int i = 0; i < layers.size(); i++) {
            List<Long> shape = shape(layers.get(i));
            TensorInfo up = changes.get(i).info(Part.UP);
            TensorInfo down = changes.get(i).info(Part.DOWN);
            if (!up.shape().getFirst().equals(shape.getFirst())
                    || !down.shape().subList(1, down.shape().size()).equals(shape.subList(1, shape.size()))) {
                return false;
            }
        }
        return true;
    }
}
