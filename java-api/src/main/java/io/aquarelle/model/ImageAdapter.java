package io.aquarelle.model;

import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * IP-Adapter (Ye et al. 2023, arXiv 2308.06721) for SD 1.5 and SDXL: a prompt that is a picture. A few tokens, to which each
 * cross-attention attends besides the text, are made of CLIP's embedding of the picture, or, in IP-Adapter Plus, of all
 * tokens that CLIP has for it.
 */
public final class ImageAdapter implements AutoCloseable {
    private static final String PROJECTION = "image_proj.";
    private static final String RESAMPLER = "image_proj.latents";
    private static final String RESAMPLED = "image_proj.norm_out.weight";

    /** Means and deviations of the pictures that CLIP was trained on. */
    private static final float[] MEAN = {0.48145466f, 0.4578275f, 0.40821073f};

    private static final float[] DEVIATION = {0.26862954f, 0.26130258f, 0.27577711f};

    private final UNet unet;
    private final AttentionAdapter attention;
    private final ImageEncoder encoder;
    private final @Nullable TokenProjection projection; // null where the encoder makes the tokens

    private ImageAdapter(UNet unet, AttentionAdapter attention, ImageEncoder encoder, Checkpoint file)
            throws ModelFormatException {
        this.unet = unet;
        this.attention = attention;
        this.encoder = encoder;
        projection = isPlus(file) ? null : new TokenProjection(file, encoder.width(), attention.width());
        TensorInfo resampled = file.tensors().get(RESAMPLED);
        if (projection == null && resampled != null && resampled.elements() != attention.width()) {
            throw new ModelFormatException(
                    file.path(),
                    "has tensor '" + RESAMPLED + "' with " + resampled.elements() + " values for tokens of width "
                            + attention.width());
        }
    }

    /**
     * Opens an adapter and the encoder that it was trained with.
     *
     * @param file with {@code image_proj.*}, plain or Plus, and, for the i-th cross-attention as diffusers counts them,
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
                Checkpoint reader =
                        isPlus(opened) ? tower.beside(opened, name -> name.startsWith(PROJECTION)) : tower.retain();
                Weights readerWeights = Weights.of(reader)) {
            attention = AttentionAdapter.create(unet, weights, "");
            images = ImageEncoder.create(engine, readerWeights, heads);
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

    private static boolean isPlus(Checkpoint file) {
        return file.tensors().containsKey(RESAMPLER);
    }

    /** The names in the file by those that an adapter is read by. */
    private static Map<String, String> names(UNet unet, Checkpoint file) throws ModelFormatException {
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
     * @param picture [3][side][side], 0 to 1; null for no picture, which is an embedding of zeros, or, for IP-Adapter
     *     Plus, a picture all of CLIP's mean colour
     * @return [tokens][width]
     */
    public float[] tokens(float @Nullable [] picture, @Nullable CallControl control) {
        float[] planes = new float[3 * side() * side()];
        if (picture != null) {
            Network.requireLength("picture", picture.length, 3, side(), side());
        }
        for (int i = 0; picture != null && i < planes.length; i++) {
            int colour = i / (side() * side());
            planes[i] = (picture[i] - MEAN[colour]) / DEVIATION[colour];
        }
        if (projection == null) {
            return encoder.encode(planes, control);
        }
        return projection.tokens(picture == null ? new float[encoder.width()] : encoder.encode(planes, control));
    }

    @Override
    public void close() {
        attention.close();
        encoder.close();
    }
}
