package io.aquarelle.model;

import io.aquarelle.model.EditableModel.Tensor;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;

/** The small control nets of the golden files. */
public final class NanoControlNet {
    private NanoControlNet() {}

    /** That for one of "sd1-nano" and "sdxl-nano", under CompVis' names. */
    public static EditableModel of(String family) throws IOException {
        EditableModel net = EditableModel.of(family);
        Map<String, Tensor> encoder = new LinkedHashMap<>(net.tensors);
        net.tensors.clear();
        encoder.forEach((name, tensor) -> {
            if (name.startsWith(ModelSpec.UNET_PREFIX) && !name.startsWith(ModelSpec.UNET_PREFIX + "out")) {
                net.tensors.put(ControlNet.PREFIX + name.substring(ModelSpec.UNET_PREFIX.length()), reversed(tensor));
            }
        });
        net.tensors.putAll(EditableModel.of(family + "-control").tensors);
        return net;
    }

    private static Tensor reversed(Tensor tensor) {
        float[] values = tensor.values();
        float[] reversed = new float[values.length];
        for (int i = 0; i < values.length; i++) {
            reversed[i] = values[values.length - 1 - i];
        }
        return new Tensor(tensor.shape(), reversed);
    }

    /** The same under the names of diffusers, written down by hand for this size. */
    public static EditableModel inDiffusersNames(EditableModel net) {
        var parts = new TreeMap<String, String>();
        parts.put("time_embed.0.", "time_embedding.linear_1.");
        parts.put("time_embed.2.", "time_embedding.linear_2.");
        parts.put("label_emb.0.0.", "add_embedding.linear_1.");
        parts.put("label_emb.0.2.", "add_embedding.linear_2.");
        parts.put("input_blocks.0.0.", "conv_in.");
        parts.put("input_blocks.1.0.", "down_blocks.0.resnets.0.");
        parts.put("input_blocks.1.1.", "down_blocks.0.attentions.0.");
        parts.put("input_blocks.2.0.", "down_blocks.0.resnets.1.");
        parts.put("input_blocks.2.1.", "down_blocks.0.attentions.1.");
        parts.put("input_blocks.3.0.op.", "down_blocks.0.downsamplers.0.conv.");
        parts.put("input_blocks.4.0.", "down_blocks.1.resnets.0.");
        parts.put("input_blocks.4.1.", "down_blocks.1.attentions.0.");
        parts.put("input_blocks.5.0.", "down_blocks.1.resnets.1.");
        parts.put("input_blocks.5.1.", "down_blocks.1.attentions.1.");
        parts.put("middle_block.0.", "mid_block.resnets.0.");
        parts.put("middle_block.1.", "mid_block.attentions.0.");
        parts.put("middle_block.2.", "mid_block.resnets.1.");
        parts.put("middle_block_out.0.", "controlnet_mid_block.");
        parts.put("input_hint_block.0.", "controlnet_cond_embedding.conv_in.");
        parts.put("input_hint_block.14.", "controlnet_cond_embedding.conv_out.");
        for (int i = 0; i < 6; i++) {
            parts.put("zero_convs." + i + ".0.", "controlnet_down_blocks." + i + ".");
            parts.put("input_hint_block." + 2 * (i + 1) + ".", "controlnet_cond_embedding.blocks." + i + ".");
        }
        var resnet = Map.of(
                "in_layers.0.", "norm1.",
                "in_layers.2.", "conv1.",
                "emb_layers.1.", "time_emb_proj.",
                "out_layers.0.", "norm2.",
                "out_layers.3.", "conv2.",
                "skip_connection.", "conv_shortcut.");
        Map<String, Tensor> renamed = new LinkedHashMap<>();
        net.tensors.forEach((name, tensor) -> {
            String rest = name.substring(ControlNet.PREFIX.length());
            String part =
                    parts.keySet().stream().filter(rest::startsWith).findFirst().orElseThrow();
            String inner = rest.substring(part.length());
            for (var entry : resnet.entrySet()) {
                if (inner.startsWith(entry.getKey())) {
                    inner = entry.getValue() + inner.substring(entry.getKey().length());
                    break;
                }
            }
            renamed.put(parts.get(part) + inner, tensor);
        });
        net.tensors.clear();
        net.tensors.putAll(renamed);
        return net;
    }
}
