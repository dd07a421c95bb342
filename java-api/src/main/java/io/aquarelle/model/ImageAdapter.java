package io.aquarelle.model;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * IP-Adapter (Ye et al. 2023, arXiv 2308.06721) for SD 1.5 and SDXL: a prompt that is a picture. CLIP's embedding of it
 * becomes a few tokens, {@code LayerNorm(W e + b)}, to which each cross-attention attends besides the text.
 */
public final class ImageAdapter implements AutoCloseable {
    private static final String PROJECTION = "image_proj.proj.weight";
    private static final double EPSILON = 1e-5;

    /** Means and deviations of the pictures that CLIP was trained on. */
    private static final float[] MEAN = {0.48145466f, 0.4578275f, 0.40821073f};

    private static final float[] DEVIATION = {0.26862954f, 0.26130258f, 0.27577711f};

    private final UNet unet;
    private final AttentionAdapter attention;
    private final ImageEncoder encoder;
    private final float[] projection; // [tokens * width][embedding]
    private final float[] bias;
    private final float[] gain; // of the norm, [width]
    private final float[] offset;

    private ImageAdapter(UNet unet, AttentionAdapter attention, ImageEncoder encoder, Checkpoint file)
            throws ModelFormatException {
        this.unet = unet;
        this.attention = attention;
        this.encoder = encoder;
        int width = attention.width();
        bias = floats(file, "image_proj.proj.bias", -1);
        projection = floats(file, PROJECTION, (long) bias.length * encoder.width());
        gain = floats(file, "image_proj.norm.weight", width);
        offset = floats(file, "image_proj.norm.bias", width);
        if (bias.length % width != 0) {
            throw new ModelFormatException(
                    file.path(), "has tensor '" + PROJECTION + "' for other tokens than those of width " + width);
        }
    }

    /**
     * Opens an adapter and the encoder that it was trained with.
     *
     * @param file with {@code image_proj.*} and, for the i-th cross-attention as diffusers counts them,
     *     {@code ip_adapter.(2i+1).to_k_ip.weight} and {@code .to_v_ip.weight}
     * @param encoder CLIP's tower of pictures by the names of Hugging Face
     * @param heads of the encoder's attention, or 0 for the usual 16
     * @throws ModelFormatException if a tensor is missing or does not fit; the message names it
     * @throws IOException if a file cannot be read
     */
    public static ImageAdapter open(Engine engine, UNet unet, Path file, Path encoder, int heads) throws IOException {
        AttentionAdapter attention = null;
        ImageEncoder images = null;
        try (Checkpoint opened = Checkpoint.open(file);
                Checkpoint renamed = opened.renamed(names(unet, opened));
                Weights weights = Weights.of(renamed);
                Checkpoint tower = Checkpoint.open(encoder);
                Weights towerWeights = Weights.of(tower)) {
            attention = AttentionAdapter.create(unet, weights, "");
            images = ImageEncoder.create(engine, towerWeights, heads);
            return new ImageAdapter(unet, attention, images, opened);
        } catch (Throwable e) {
            if (attention != null) {
                attention.close();
            }
            if (images != null) {
                images.close();
            }
            throw e;
        }
    }

    /** The names in the file by those that an adapter is read by. */
    private static Map<String, String> names(UNet unet, Checkpoint file) throws ModelFormatException {
        if (file.tensors().containsKey("image_proj.latents")) {
            throw new ModelFormatException(
                    file.path(),
                    "has tensor 'image_proj.latents', that of an IP-Adapter Plus, which is not supported; use a plain"
                            + " one");
        }
        Map<String, String> names = new LinkedHashMap<>();
        int number = 1;
        for (String unit : AttentionAdapter.crossAttentions(unet)) {
            names.put("ip_adapter." + number + ".to_k_ip.weight", unit + ".k.weight");
            names.put("ip_adapter." + number + ".to_v_ip.weight", unit + ".v.weight");
            number += 2;
        }
        AttentionAdapter.requireTensors(file, names.keySet(), "IP-Adapter");
        return names;
    }

    /** The values of a tensor of a plain type. */
    private static float[] floats(Checkpoint file, String name, long length) throws ModelFormatException {
        TensorInfo tensor = file.tensors().get(name);
        if (tensor == null || length >= 0 && tensor.elements() != length) {
            throw new ModelFormatException(
                    file.path(),
                    tensor == null
                            ? "lacks tensor '" + name + "': it is no IP-Adapter"
                            : "has tensor '" + name + "' with " + tensor.elements() + " values, expected " + length
                                    + ": it was trained with another image encoder");
        }
        if (tensor.type().isQuantised()) {
            throw new ModelFormatException(
                    file.path(), "has tensor '" + name + "' quantised; use the file as published");
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment values = arena.allocate(Float.BYTES * tensor.elements(), Float.BYTES);
            NumberTypes.convert(tensor.type(), file.data(tensor), DataType.F32, values);
            return values.toArray(ValueLayout.JAVA_FLOAT.withOrder(ByteOrder.LITTLE_ENDIAN));
        }
    }

    /** The UNet that it was opened for. */
    public UNet unet() {
        return unet;
    }

    /** Pixels of a side of the picture that it takes. */
    public int side() {
        return encoder.side();
    }

    /** What it adds to cross-attentions. */
    public AttentionAdapter attention() {
        return attention;
    }

    /**
     * The tokens of a picture.
     *
     * @param picture [3][side][side], 0 to 1; null for no picture, which is an embedding of zeros
     * @return [tokens][width]
     */
    public float[] tokens(float @Nullable [] picture, @Nullable CallControl control) {
        float[] embedding = new float[encoder.width()];
        if (picture != null) {
            float[] planes = picture.clone();
            for (int i = 0; i < planes.length; i++) {
                int colour = i / (side() * side());
                planes[i] = (planes[i] - MEAN[colour]) / DEVIATION[colour];
            }
            embedding = encoder.encode(planes, control);
        }
        float[] tokens = new float[bias.length];
        for (int i = 0; i < tokens.length; i++) {
            double sum = bias[i];
            for (int k = 0; k < embedding.length; k++) {
                sum += (double) projection[i * embedding.length + k] * embedding[k];
            }
            tokens[i] = (float) sum;
        }
        for (int start = 0; start < tokens.length; start += gain.length) {
            normalize(tokens, start);
        }
        return tokens;
    }

    /** LayerNorm of one token. */
    private void normalize(float[] tokens, int start) {
        double mean = 0;
        double square = 0;
        for (int i = 0; i < gain.length; i++) {
            mean += tokens[start + i] / gain.length;
        }
        for (int i = 0; i < gain.length; i++) {
            square += Math.pow(tokens[start + i] - mean, 2) / gain.length;
        }
        for (int i = 0; i < gain.length; i++) {
            tokens[start + i] =
                    (float) ((tokens[start + i] - mean) / Math.sqrt(square + EPSILON) * gain[i] + offset[i]);
        }
    }

    @Override
    public void close() {
        attention.close();
        encoder.close();
    }
}
