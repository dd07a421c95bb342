package io.aquarelle.model;

import io.aquarelle.model.AdapterNames.Module;
import io.aquarelle.model.AdapterNames.Place;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The layers of a model that adapters can change, by all names that a file may have for them: those of CompVis and
 * OpenCLIP, which are the model's own here, and those of diffusers and Hugging Face.
 */
final class AdapterTargets {
    /**
     * A layer; {@code /0} to {@code /2} behind a name stands for the first to last third of a tensor's rows.
     *
     * @param weight its tensor of weights
     * @param bias its other tensor, which need not be there
     */
    record Target(String weight, String bias) {}

    /** A part of a ResBlock of CompVis, and what diffusers calls it. */
    private static final Map<String, String> RESNET = Map.of(
            "in_layers.0", "norm1",
            "in_layers.2", "conv1",
            "emb_layers.1", "time_emb_proj",
            "out_layers.0", "norm2",
            "out_layers.3", "conv2",
            "skip_connection", "conv_shortcut");

    private static final Map<String, String> SINGLE = Map.of(
            "input_blocks.0.0", "conv_in",
            "out.0", "conv_norm_out",
            "out.2", "conv_out",
            "time_embed.0", "time_embedding.linear_1",
            "time_embed.2", "time_embedding.linear_2",
            "time_embed.cond_proj", "time_embedding.cond_proj",
            "label_emb.0.0", "add_embedding.linear_1",
            "label_emb.0.2", "add_embedding.linear_2");

    private static final Map<String, String> OPEN_CLIP = Map.of(
            "ln_1", "layer_norm1",
            "ln_2", "layer_norm2",
            "attn.out_proj", "self_attn.out_proj",
            "mlp.c_fc", "mlp.fc1",
            "mlp.c_proj", "mlp.fc2");

    private static final int MAX_BLOCKS = 256;
    private static final int MAX_MODULES = 8;

    private final Checkpoint model;
    private final Map<Module, Target> targets = new HashMap<>();

    private AdapterTargets(Checkpoint model) {
        this.model = model;
    }

    static AdapterTargets of(Checkpoint model) throws ModelFormatException {
        var all = new AdapterTargets(model);
        Map<String, String> diffusers = new HashMap<>(SINGLE);
        all.addDownBlocks(diffusers);
        all.addMiddle(diffusers);
        all.addUpBlocks(diffusers);
        for (String module : all.modules(ModelSpec.UNET_PREFIX)) {
            all.addUNet(module, diffusers);
        }
        List<TextTower> towers = ModelSpec.of(model).towers();
        all.addTower(Place.TEXT, towers.getFirst().prefix());
        all.addTower(Place.TEXT_2, towers.getLast().prefix());
        return all;
    }

    /** Null where the model has no such layer. */
    @Nullable
    Target find(Module module) {
        return targets.get(module);
    }

    /** The shape of a target's tensor, or of its third; empty where the model has none. */
    List<Long> shape(String target) {
        int slash = target.lastIndexOf('/');
        TensorInfo tensor = model.tensors().get(slash < 0 ? target : target.substring(0, slash));
        if (tensor == null) {
            return List.of();
        }
        List<Long> shape = new ArrayList<>(tensor.shape());
        if (slash >= 0 && !shape.isEmpty()) {
            shape.set(0, shape.getFirst() / 3);
        }
        return shape;
    }

    /** Names under a prefix that have weights, without prefix and ending. */
    private List<String> modules(String prefix) {
        return model.tensors().keySet().stream()
                .filter(name -> name.startsWith(prefix) && name.endsWith(".weight"))
                .map(name -> name.substring(prefix.length(), name.length() - ".weight".length()))
                .toList();
    }

    private boolean has(String module) {
        return model.tensors().containsKey(ModelSpec.UNET_PREFIX + module + ".weight");
    }

    private void add(Place place, String name, Target target) {
        targets.putIfAbsent(new Module(place, AdapterNames.path(name)), target);
        String attention = ".to_out.0";
        if (name.endsWith(attention)) { // a list of two in PyTorch, whose place some names leave out
            add(place, name.substring(0, name.length() - 2), target);
        }
    }

    private void addUNet(String module, Map<String, String> diffusers) {
        String name = ModelSpec.UNET_PREFIX + module;
        Target target = new Target(name + ".weight", name + ".bias");
        add(Place.UNET, module, target);
        // The longest beginning that diffusers has a name for: the layer itself, or the block or transformer around it.
        for (int end = module.length(); end > 0; end = module.lastIndexOf('.', end - 1)) {
            String outer = diffusers.get(module.substring(0, end));
            if (outer != null) {
                add(Place.UNET, outer + module.substring(end), target);
                return;
            }
        }
    }

    private void addDownBlocks(Map<String, String> diffusers) {
        int level = 0;
        int layer = 0;
        for (int i = 1; i < MAX_BLOCKS; i++) {
            String block = "input_blocks." + i;
            if (has(block + ".0.op")) {
                diffusers.put(block + ".0.op", "down_blocks." + level++ + ".downsamplers.0.conv");
                layer = 0;
            } else if (addLayer(diffusers, block, "down_blocks." + level, layer)) {
                layer++;
            }
        }
    }

    private void addMiddle(Map<String, String> diffusers) {
        int resnets = 0;
        int attentions = 0;
        for (int i = 0; i < MAX_MODULES; i++) {
            String module = "middle_block." + i;
            if (has(module + ".in_layers.0")) {
                addResnet(diffusers, module, "mid_block.resnets." + resnets++);
            } else if (has(module + ".norm")) {
                diffusers.put(module, "mid_block.attentions." + attentions++);
            }
        }
    }

    private void addUpBlocks(Map<String, String> diffusers) {
        int level = 0;
        int layer = 0;
        for (int i = 0; i < MAX_BLOCKS; i++) {
            String block = "output_blocks." + i;
            if (addLayer(diffusers, block, "up_blocks." + level, layer)) {
                layer++;
            }
            for (int j = 0; j < MAX_MODULES; j++) {
                if (has(block + "." + j + ".conv")) {
                    diffusers.put(block + "." + j + ".conv", "up_blocks." + level++ + ".upsamplers.0.conv");
                    layer = 0;
                }
            }
        }
    }

    /** A ResBlock and the transformer behind it; false where the block has none. */
    private boolean addLayer(Map<String, String> diffusers, String block, String level, int layer) {
        if (!has(block + ".0.in_layers.0")) {
            return false;
        }
        addResnet(diffusers, block + ".0", level + ".resnets." + layer);
        if (has(block + ".1.norm")) {
            diffusers.put(block + ".1", level + ".attentions." + layer);
        }
        return true;
    }

    private static void addResnet(Map<String, String> diffusers, String module, String name) {
        RESNET.forEach((part, other) -> diffusers.put(module + "." + part, name + "." + other));
    }

    private void addTower(Place place, String prefix) {
        for (String module : modules(prefix)) {
            if (module.contains("embedding")) {
                continue; // tables, which nothing multiplies
            }
            Target target = new Target(prefix + module + ".weight", prefix + module + ".bias");
            add(place, module, target);
            add(place, huggingFace(module), target);
        }
        String joined = ".attn.in_proj_weight";
        for (String name : model.tensors().keySet()) {
            if (name.startsWith(prefix) && name.endsWith(joined)) {
                String block = name.substring(prefix.length(), name.length() - joined.length());
                String bias = name.substring(0, name.length() - "weight".length()) + "bias";
                for (int third = 0; third < 3; third++) {
                    String projection = huggingFace(block) + ".self_attn." + "qkv".charAt(third) + "_proj";
                    add(place, projection, new Target(name + "/" + third, bias + "/" + third));
                }
            }
        }
    }

    /** What Hugging Face calls a layer of OpenCLIP; other names stay. */
    private static String huggingFace(String module) {
        String name =
                module.replace("transformer.resblocks.", "encoder.layers.").replace("ln_final", "final_layer_norm");
        for (var entry : OPEN_CLIP.entrySet()) {
            if (module.startsWith("transformer.resblocks.") && module.endsWith("." + entry.getKey())) {
                return name.substring(0, name.length() - entry.getKey().length()) + entry.getValue();
            }
        }
        return name;
    }
}
