package io.aquarelle.model;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Names of one network's tensors in the layouts that are in use, and the rules that turn them into those of CompVis,
 * which the networks are read by. Names here are relative to the network: behind {@code unet.},
 * {@code model.diffusion_model.} or whatever a file puts before all of them.
 */
final class TensorNames {
    /** What becomes of a tensor's values under its new name. */
    enum Form {
        SAME,
        /** A matrix becomes a 1 x 1 kernel: [rows, columns, 1, 1]. */
        KERNEL,
        /** Rows and columns are exchanged. */
        TRANSPOSED,
        /** The first, second or third part of a matrix that joins three. */
        QUERY,
        KEY,
        VALUE
    }

    /**
     * @param from matches the whole name
     * @param to the new name, with groups of {@code from} as $1, $2
     */
    private record Rule(Pattern from, String to, Form form) {}

    /** A new name and what becomes of the values. */
    record Renamed(String name, Form form) {}

    /** Far above any UNet or VAE, so that a hostile file cannot make endless rules. */
    private static final int MAX_LEVELS = 8;

    private static final int MAX_LAYERS = 16;

    private final List<Rule> rules = new ArrayList<>();

    private TensorNames() {}

    private TensorNames rule(String from, String to, Form form) {
        rules.add(new Rule(Pattern.compile(from), to, form));
        return this;
    }

    private TensorNames rule(String from, String to) {
        return rule(from, to, Form.SAME);
    }

    /** The new name by the first rule that matches; null if none does. */
    @Nullable
    Renamed rename(String name) {
        for (Rule rule : rules) {
            Matcher matcher = rule.from.matcher(name);
            if (matcher.matches()) {
                return new Renamed(matcher.replaceFirst(rule.to), rule.form);
            }
        }
        return null;
    }

    /** A UNet that has CompVis names. */
    static TensorNames compVisUNet() {
        return new TensorNames()
                .rule("(?:input_blocks|middle_block|output_blocks|time_embed|label_emb|out)\\..*", "$0");
    }

    /** A control net that has CompVis names. */
    static TensorNames compVisControlNet() {
        return new TensorNames()
                .rule(
                        "(?:input_blocks|middle_block|middle_block_out|time_embed|label_emb|zero_convs|input_hint_block"
                                + "|control_add_embedding|task_embedding)(?:\\..*)?",
                        "$0");
    }

    /**
     * An upscaler to the names of BasicSR: of its own, of ESRGAN's first code, which numbers its layers, or of its second.
     *
     * @param names of all its tensors
     */
    static TensorNames upscaler(Set<String> names) {
        String kind = "\\.(weight|bias)";
        var rules = new TensorNames()
                .rule("(?:conv_first|body|conv_body|conv_up\\d+|conv_hr|conv_last)\\..*", "$0")
                .rule(
                        "(?:model\\.1\\.sub|RRDB_trunk)\\.(\\d+)\\.RDB([123])\\.conv([1-5])(?:\\.0)?" + kind,
                        "body.$1.rdb$2.conv$3.$4")
                .rule("trunk_conv" + kind, "conv_body.$1")
                .rule("upconv(\\d+)" + kind, "conv_up$1.$2")
                .rule("HRconv" + kind, "conv_hr.$1")
                .rule("model\\.0" + kind, "conv_first.$1")
                .rule("model\\.1\\.sub\\.\\d+" + kind, "conv_body.$1");
        // Numbers of layers without weights are left out; the last two are conv_hr and conv_last.
        List<Integer> layers = IntStream.range(2, MAX_LAYERS)
                .filter(i -> names.contains("model." + i + ".weight"))
                .boxed()
                .toList();
        for (int i = 0; i < layers.size(); i++) {
            String name = switch (layers.size() - i) {
                case 1 -> "conv_last";
                case 2 -> "conv_hr";
                default -> "conv_up" + (i + 1);
            };
            rules.rule("model\\." + layers.get(i) + kind, name + ".$1");
        }
        return rules;
    }

    /** A VAE that has CompVis names, or a tiny one (TAESD), which keeps those that it has. */
    static TensorNames compVisVae() {
        return new TensorNames()
                .rule("(?:encoder|decoder|quant_conv|post_quant_conv|taesd_encoder|taesd_decoder|\\d+)\\..*", "$0");
    }

    /** A CLIP text tower that has Hugging Face names, with or without {@code text_model.}, and keeps them. */
    static TensorNames clip() {
        return new TensorNames()
                .rule("(?:text_model\\.)?((?:embeddings|encoder|final_layer_norm)\\..*)", "text_model.$1");
    }

    /** A text tower that has OpenCLIP names. */
    static TensorNames openClip() {
        return new TensorNames()
                .rule("text_projection\\.weight", "text_projection", Form.TRANSPOSED)
                .rule("(?:token_embedding|transformer|ln_final)\\..*|positional_embedding|text_projection", "$0");
    }

    /** A text tower in Hugging Face names to OpenCLIP's, which keep query, key and value in one matrix. */
    static TensorNames clipToOpenClip() {
        String model = "(?:text_model\\.)?";
        String layer = model + "encoder\\.layers\\.(\\d+)\\.";
        String block = "transformer.resblocks.$1.";
        return new TensorNames()
                .rule(model + "embeddings\\.token_embedding\\.weight", "token_embedding.weight")
                .rule(model + "embeddings\\.position_embedding\\.weight", "positional_embedding")
                .rule(layer + "self_attn\\.q_proj\\.(weight|bias)", block + "attn.in_proj_$2", Form.QUERY)
                .rule(layer + "self_attn\\.k_proj\\.(weight|bias)", block + "attn.in_proj_$2", Form.KEY)
                .rule(layer + "self_attn\\.v_proj\\.(weight|bias)", block + "attn.in_proj_$2", Form.VALUE)
                .rule(layer + "self_attn\\.in_proj\\.(weight|bias)", block + "attn.in_proj_$2") // stable-diffusion.cpp
                .rule(layer + "self_attn\\.out_proj\\.(weight|bias)", block + "attn.out_proj.$2")
                .rule(layer + "layer_norm([12])\\.(weight|bias)", block + "ln_$2.$3")
                .rule(layer + "mlp\\.fc1\\.(weight|bias)", block + "mlp.c_fc.$2")
                .rule(layer + "mlp\\.fc2\\.(weight|bias)", block + "mlp.c_proj.$2")
                .rule(model + "final_layer_norm\\.(weight|bias)", "ln_final.$1")
                .rule("text_projection\\.weight", "text_projection", Form.TRANSPOSED)
                .rule("text_model\\.text_projection", "text_projection"); // stable-diffusion.cpp
    }

    /**
     * A VAE in diffusers' names, of any number of levels. Its attention has matrices where CompVis has 1 x 1 kernels, and
     * had other names before diffusers 0.15.
     *
     * @param names all of the VAE
     */
    static TensorNames diffusersVae(Set<String> names) {
        var vae = new TensorNames();
        String attention = "(encoder|decoder)\\.mid_block\\.attentions\\.0\\.";
        vae.rule("(encoder|decoder)\\.(conv_in|conv_out)\\.(weight|bias)", "$1.$2.$3")
                .rule("(encoder|decoder)\\.conv_norm_out\\.(weight|bias)", "$1.norm_out.$2")
                .rule("(?:encoder\\.)?(quant_conv)\\.(weight|bias)", "$1.$2")
                .rule("(?:decoder\\.)?(post_quant_conv)\\.(weight|bias)", "$1.$2")
                .rule(attention + "group_norm\\.(weight|bias)", "$1.mid.attn_1.norm.$2");
        Map.of("q", "to_q|query", "k", "to_k|key", "v", "to_v|value", "proj_out", "to_out\\.0|proj_attn")
                .forEach((to, from) -> vae.rule(
                                attention + "(?:" + from + ")\\.weight", "$1.mid.attn_1." + to + ".weight", Form.KERNEL)
                        .rule(attention + "(?:" + from + ")\\.bias", "$1.mid.attn_1." + to + ".bias"));
        resnets(vae, "(encoder|decoder)\\.mid_block\\.resnets\\.0\\.", "$1.mid.block_1.");
        resnets(vae, "(encoder|decoder)\\.mid_block\\.resnets\\.1\\.", "$1.mid.block_2.");
        resnets(vae, "encoder\\.down_blocks\\.(\\d+)\\.resnets\\.(\\d+)\\.", "encoder.down.$1.block.$2.");
        vae.rule(
                "encoder\\.down_blocks\\.(\\d+)\\.downsamplers\\.0\\.conv\\.(weight|bias)",
                "encoder.down.$1.downsample.conv.$2");
        // CompVis counts the decoder's levels from the picture, diffusers from the latent.
        int levels = count(names, "decoder.up_blocks.");
        for (int i = 0; i < levels; i++) {
            String from = "decoder\\.up_blocks\\." + i + "\\.";
            String to = "decoder.up." + (levels - 1 - i) + ".";
            resnets(vae, from + "resnets\\.(\\d+)\\.", to + "block.$1.");
            vae.rule(from + "upsamplers\\.0\\.conv\\.(weight|bias)", to + "upsample.conv.$1");
        }
        return vae;
    }

    private static void resnets(TensorNames vae, String from, String to) {
        int groups = Pattern.compile(from).matcher("").groupCount();
        String rest = "$" + (groups + 1) + ".$" + (groups + 2);
        vae.rule(from + "(norm[12]|conv[12])\\.(weight|bias)", to + rest)
                .rule(from + "conv_shortcut\\.(weight|bias)", to + "nin_shortcut.$" + (groups + 1));
    }

    /**
     * A UNet in diffusers' names. Its blocks are counted, so that pruned ones, of any number of levels, layers and
     * attentions, get the numbers that CompVis' own code would have given them.
     *
     * @param names all of the UNet
     */
    static TensorNames diffusersUNet(Set<String> names) {
        var unet = new TensorNames();
        unet.rule("conv_in\\.(weight|bias)", "input_blocks.0.0.$1")
                .rule("conv_norm_out\\.(weight|bias)", "out.0.$1")
                .rule("conv_out\\.(weight|bias)", "out.2.$1")
                .rule("time_embedding\\.linear_1\\.(weight|bias)", "time_embed.0.$1")
                .rule("time_embedding\\.linear_2\\.(weight|bias)", "time_embed.2.$1")
                .rule("time_embedding\\.cond_proj\\.weight", "time_embed.cond_proj.weight")
                .rule("(?:add|class)_embedding\\.linear_1\\.(weight|bias)", "label_emb.0.0.$1")
                .rule("(?:add|class)_embedding\\.linear_2\\.(weight|bias)", "label_emb.0.2.$1");
        int number = 1;
        for (int level = 0; level < MAX_LEVELS && has(names, "down_blocks." + level + "."); level++) {
            String from = "down_blocks." + level + ".";
            int layers = count(names, from + "resnets.");
            for (int layer = 0; layer < layers; layer++, number++) {
                String to = "input_blocks." + number;
                resnet(unet, from + "resnets." + layer, to + ".0");
                transformer(unet, from + "attentions." + layer, to + ".1");
            }
            if (has(names, from + "downsamplers.0.")) {
                unet.rule(quote(from + "downsamplers.0.conv.") + "(.*)", "input_blocks." + number++ + ".0.op.$1");
            }
        }
        int part = 0;
        for (String module : List.of("resnets.0", "attentions.0", "resnets.1")) {
            String from = "mid_block." + module;
            if (has(names, from + ".") && module.startsWith("resnets")) {
                resnet(unet, from, "middle_block." + part++);
            } else if (has(names, from + ".")) {
                transformer(unet, from, "middle_block." + part++);
            }
        }
        number = 0;
        for (int level = 0; level < MAX_LEVELS && has(names, "up_blocks." + level + "."); level++) {
            String from = "up_blocks." + level + ".";
            int layers = count(names, from + "resnets.");
            for (int layer = 0; layer < layers; layer++, number++) {
                String to = "output_blocks." + number;
                resnet(unet, from + "resnets." + layer, to + ".0");
                transformer(unet, from + "attentions." + layer, to + ".1");
                if (layer == layers - 1) {
                    int last = has(names, from + "attentions." + layer + ".") ? 2 : 1;
                    unet.rule(quote(from + "upsamplers.0.conv.") + "(.*)", to + "." + last + ".conv.$1");
                }
            }
        }
        return unet;
    }

    /**
     * A control net in diffusers' names: those of a UNet's encoder, and the layers of its own.
     *
     * @param names all of the control net
     */
    static TensorNames diffusersControlNet(Set<String> names) {
        TensorNames net = diffusersUNet(names);
        String hint = "controlnet_cond_embedding.";
        int blocks = count(names, hint + "blocks.");
        net.rule(quote(hint + "conv_in.") + "(.*)", "input_hint_block.0.$1");
        for (int i = 0; i < blocks; i++) {
            // Activations, which have no tensors, are counted in CompVis' names.
            net.rule(quote(hint + "blocks." + i + ".") + "(.*)", "input_hint_block." + 2 * (i + 1) + ".$1");
        }
        return net.rule(quote(hint + "conv_out.") + "(.*)", "input_hint_block." + 2 * (blocks + 1) + ".$1")
                .rule("controlnet_down_blocks\\.(\\d+)\\.(weight|bias)", "zero_convs.$1.0.$2", Form.KERNEL)
                .rule("controlnet_mid_block\\.(weight|bias)", "middle_block_out.0.$1", Form.KERNEL)
                .rule("(control_add_embedding|task_embedding)(.*)", "$1$2");
    }

    private static void resnet(TensorNames unet, String from, String to) {
        var parts = new TreeMap<String, String>();
        parts.put("norm1", "in_layers.0");
        parts.put("conv1", "in_layers.2");
        parts.put("time_emb_proj", "emb_layers.1");
        parts.put("norm2", "out_layers.0");
        parts.put("conv2", "out_layers.3");
        parts.put("conv_shortcut", "skip_connection");
        parts.forEach(
                (part, name) -> unet.rule(quote(from + "." + part + ".") + "(weight|bias)", to + "." + name + ".$1"));
    }

    private static void transformer(TensorNames unet, String from, String to) {
        unet.rule(quote(from + ".") + "(.*\\.to_out)\\.(weight|bias)", to + ".$1.0.$2") // some pruned models
                .rule(quote(from + ".") + "(.*)", to + ".$1");
    }

    private static String quote(String text) {
        return Pattern.quote(text);
    }

    private static boolean has(Set<String> names, String prefix) {
        return names.stream().anyMatch(name -> name.startsWith(prefix));
    }

    /** How many numbers from 0 on follow {@code prefix}, up to a limit. */
    private static int count(Set<String> names, String prefix) {
        int count = 0;
        while (count < MAX_LAYERS && has(names, prefix + count + ".")) {
            count++;
        }
        return count;
    }
}
