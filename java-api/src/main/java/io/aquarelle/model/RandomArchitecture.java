package io.aquarelle.model;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/**
 * The tensors of Stable Diffusion 1.x, 2.x and XL as CompVis and Stability AI named them: layers in the order of the
 * networks, each method one kind of layer or block.
 */
final class RandomArchitecture {
    /** Standard deviation of biases and embeddings. */
    private static final float SMALL = 0.02f;

    private static final int VOCABULARY = 49408;
    private static final int TOKENS = 77;
    private static final int LATENT = 4;

    /**
     * A UNet of the latent diffusion family.
     *
     * @param depths transformer blocks after each ResBlock of a level, finest level first; 0 is no attention
     * @param middleDepth transformer blocks in the middle
     * @param context width of the text embedding
     * @param linear whether transformers project by linear layers, not by 1×1 convolutions
     * @param label width of the vector of pooled text and sizes, 0 for none
     */
    private record Unet(
            int channels, int[] multipliers, int[] depths, int middleDepth, int context, boolean linear, int label) {}

    private final List<RandomTensor> tensors = new ArrayList<>();

    private RandomArchitecture() {}

    static List<RandomTensor> tensors(ModelFamily family) {
        var model = new RandomArchitecture();
        switch (family) {
            case SD1 -> {
                model.unet(new Unet(320, new int[] {1, 2, 4, 4}, new int[] {1, 1, 1, 0}, 1, 768, false, 0));
                model.autoencoder();
                model.clip("cond_stage_model.transformer.text_model.", 768, 12);
            }
            case SD2 -> {
                model.unet(new Unet(320, new int[] {1, 2, 4, 4}, new int[] {1, 1, 1, 0}, 1, 1024, true, 0));
                model.autoencoder();
                model.openClip("cond_stage_model.model.", 1024, 24);
            }
            case SDXL -> {
                model.unet(new Unet(320, new int[] {1, 2, 4}, new int[] {0, 2, 10}, 10, 2048, true, 2816));
                model.autoencoder();
                model.clip("conditioner.embedders.0.transformer.text_model.", 768, 12);
                model.openClip("conditioner.embedders.1.model.", 1280, 32);
            }
            case SDXL_REFINER -> {
                model.unet(new Unet(384, new int[] {1, 2, 4, 4}, new int[] {0, 4, 4, 0}, 4, 1280, true, 2560));
                model.autoencoder();
                model.openClip("conditioner.embedders.0.model.", 1280, 32);
            }
        }
        return Collections.unmodifiableList(model.tensors);
    }

    // Layers

    private void add(String name, float mean, double deviation, long... shape) {
        tensors.add(new RandomTensor(name, Arrays.stream(shape).boxed().toList(), mean, (float) deviation));
    }

    private void bias(String name, int width) {
        add(name, 0, SMALL, width);
    }

    private void matrix(String name, int in, int out) {
        add(name, 0, 1 / Math.sqrt(in), out, in);
    }

    private void linear(String name, int in, int out) {
        matrix(name + ".weight", in, out);
        bias(name + ".bias", out);
    }

    private void convolution(String name, int in, int out, int kernel) {
        add(name + ".weight", 0, 1 / Math.sqrt(in * kernel * kernel), out, in, kernel, kernel);
        bias(name + ".bias", out);
    }

    private void norm(String name, int channels) {
        add(name + ".weight", 1, 0, channels);
        bias(name + ".bias", channels);
    }

    private void embedding(String name, int count, int width) {
        add(name, 0, SMALL, count, width);
    }

    // UNet

    private void unet(Unet unet) {
        String prefix = "model.diffusion_model.";
        int time = 4 * unet.channels;
        linear(prefix + "time_embed.0", unet.channels, time);
        linear(prefix + "time_embed.2", time, time);
        if (unet.label > 0) {
            linear(prefix + "label_emb.0.0", unet.label, time);
            linear(prefix + "label_emb.0.2", time, time);
        }

        // Channels of every output on the way down: the way up takes them from the last to the first.
        var skips = new ArrayDeque<Integer>();
        int levels = unet.multipliers.length;
        int channels = unet.channels;
        int block = 1;
        convolution(prefix + "input_blocks.0.0", LATENT, channels, 3);
        skips.push(channels);
        for (int level = 0; level < levels; level++) {
            int out = unet.channels * unet.multipliers[level];
            for (int i = 0; i < 2; i++, block++) {
                String name = prefix + "input_blocks." + block;
                resBlock(name + ".0", channels, out, time);
                transformer(name + ".1", out, unet.depths[level], unet);
                skips.push(channels = out);
            }
            if (level < levels - 1) {
                convolution(prefix + "input_blocks." + block++ + ".0.op", channels, channels, 3);
                skips.push(channels);
            }
        }

        resBlock(prefix + "middle_block.0", channels, channels, time);
        transformer(prefix + "middle_block.1", channels, unet.middleDepth, unet);
        resBlock(prefix + "middle_block.2", channels, channels, time);

        block = 0;
        for (int level = levels - 1; level >= 0; level--) {
            int out = unet.channels * unet.multipliers[level];
            for (int i = 0; i < 3; i++, block++) {
                String name = prefix + "output_blocks." + block;
                resBlock(name + ".0", channels + skips.pop(), out, time);
                transformer(name + ".1", out, unet.depths[level], unet);
                if (level > 0 && i == 2) {
                    convolution(name + (unet.depths[level] > 0 ? ".2.conv" : ".1.conv"), out, out, 3);
                }
                channels = out;
            }
        }
        norm(prefix + "out.0", channels);
        convolution(prefix + "out.2", channels, LATENT, 3);
    }

    private void resBlock(String name, int in, int out, int time) {
        norm(name + ".in_layers.0", in);
        convolution(name + ".in_layers.2", in, out, 3);
        linear(name + ".emb_layers.1", time, out);
        norm(name + ".out_layers.0", out);
        convolution(name + ".out_layers.3", out, out, 3);
        if (in != out) {
            convolution(name + ".skip_connection", in, out, 1);
        }
    }

    private void transformer(String name, int channels, int depth, Unet unet) {
        if (depth == 0) {
            return;
        }
        norm(name + ".norm", channels);
        projection(name + ".proj_in", channels, unet.linear);
        for (int i = 0; i < depth; i++) {
            String block = name + ".transformer_blocks." + i;
            attention(block + ".attn1", channels, channels);
            attention(block + ".attn2", channels, unet.context);
            linear(block + ".ff.net.0.proj", channels, 8 * channels);
            linear(block + ".ff.net.2", 4 * channels, channels);
            norm(block + ".norm1", channels);
            norm(block + ".norm2", channels);
            norm(block + ".norm3", channels);
        }
        projection(name + ".proj_out", channels, unet.linear);
    }

    private void projection(String name, int channels, boolean linear) {
        if (linear) {
            linear(name, channels, channels);
        } else {
            convolution(name, channels, channels, 1);
        }
    }

    private void attention(String name, int channels, int context) {
        matrix(name + ".to_q.weight", channels, channels);
        matrix(name + ".to_k.weight", context, channels);
        matrix(name + ".to_v.weight", context, channels);
        linear(name + ".to_out.0", channels, channels);
    }

    // Autoencoder

    private void autoencoder() {
        String prefix = "first_stage_model.";
        int[] widths = {128, 256, 512, 512};
        int last = widths.length - 1;

        String encoder = prefix + "encoder.";
        int channels = widths[0];
        convolution(encoder + "conv_in", 3, channels, 3);
        for (int level = 0; level <= last; level++) {
            for (int i = 0; i < 2; i++) {
                autoencoderBlock(encoder + "down." + level + ".block." + i, channels, widths[level]);
                channels = widths[level];
            }
            if (level < last) {
                convolution(encoder + "down." + level + ".downsample.conv", channels, channels, 3);
            }
        }
        autoencoderMiddle(encoder + "mid.", channels);
        norm(encoder + "norm_out", channels);
        convolution(encoder + "conv_out", channels, 2 * LATENT, 3);

        String decoder = prefix + "decoder.";
        convolution(decoder + "conv_in", LATENT, channels, 3);
        autoencoderMiddle(decoder + "mid.", channels);
        for (int level = last; level >= 0; level--) {
            for (int i = 0; i < 3; i++) {
                autoencoderBlock(decoder + "up." + level + ".block." + i, channels, widths[level]);
                channels = widths[level];
            }
            if (level > 0) {
                convolution(decoder + "up." + level + ".upsample.conv", channels, channels, 3);
            }
        }
        norm(decoder + "norm_out", channels);
        convolution(decoder + "conv_out", channels, 3, 3);

        convolution(prefix + "quant_conv", 2 * LATENT, 2 * LATENT, 1);
        convolution(prefix + "post_quant_conv", LATENT, LATENT, 1);
    }

    private void autoencoderMiddle(String prefix, int channels) {
        autoencoderBlock(prefix + "block_1", channels, channels);
        norm(prefix + "attn_1.norm", channels);
        for (String part : List.of("q", "k", "v", "proj_out")) {
            convolution(prefix + "attn_1." + part, channels, channels, 1);
        }
        autoencoderBlock(prefix + "block_2", channels, channels);
    }

    private void autoencoderBlock(String name, int in, int out) {
        norm(name + ".norm1", in);
        convolution(name + ".conv1", in, out, 3);
        norm(name + ".norm2", out);
        convolution(name + ".conv2", out, out, 3);
        if (in != out) {
            convolution(name + ".nin_shortcut", in, out, 1);
        }
    }

    // Text towers

    /** A CLIP text tower by the names of Hugging Face. */
    private void clip(String prefix, int width, int layers) {
        embedding(prefix + "embeddings.token_embedding.weight", VOCABULARY, width);
        embedding(prefix + "embeddings.position_embedding.weight", TOKENS, width);
        for (int i = 0; i < layers; i++) {
            String layer = prefix + "encoder.layers." + i + ".";
            for (String part : List.of("q_proj", "k_proj", "v_proj", "out_proj")) {
                linear(layer + "self_attn." + part, width, width);
            }
            linear(layer + "mlp.fc1", width, 4 * width);
            linear(layer + "mlp.fc2", 4 * width, width);
            norm(layer + "layer_norm1", width);
            norm(layer + "layer_norm2", width);
        }
        norm(prefix + "final_layer_norm", width);
    }

    /** A CLIP text tower by the names of OpenCLIP. */
    private void openClip(String prefix, int width, int layers) {
        embedding(prefix + "token_embedding.weight", VOCABULARY, width);
        embedding(prefix + "positional_embedding", TOKENS, width);
        for (int i = 0; i < layers; i++) {
            String layer = prefix + "transformer.resblocks." + i + ".";
            matrix(layer + "attn.in_proj_weight", width, 3 * width);
            bias(layer + "attn.in_proj_bias", 3 * width);
            linear(layer + "attn.out_proj", width, width);
            linear(layer + "mlp.c_fc", width, 4 * width);
            linear(layer + "mlp.c_proj", 4 * width, width);
            norm(layer + "ln_1", width);
            norm(layer + "ln_2", width);
        }
        norm(prefix + "ln_final", width);
        matrix(prefix + "text_projection", width, width);
    }
}
