package io.aquarelle;

import io.aquarelle.model.Autoencoder;
import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.Engine;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.ModelFamily;
import io.aquarelle.model.ModelFormatException;
import io.aquarelle.model.ModelSpec;
import io.aquarelle.model.TextEncoder;
import io.aquarelle.model.TextTower;
import io.aquarelle.model.UNet;
import io.aquarelle.model.Weights;
import io.aquarelle.text.ClipTokenizer;
import io.aquarelle.text.PromptTokens;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** The networks of a model on one engine, made to fit each other. */
record Networks(Engine engine, List<TextEncoder> text, UNet unet, Autoencoder vae) implements AutoCloseable {
    /**
     * Makes the networks of a checkpoint and checks that they belong together.
     *
     * @throws ModelFormatException if one is missing, is not supported, or does not fit the others
     */
    static Networks open(Checkpoint checkpoint, ModelSpec spec, EngineOptions options) throws IOException {
        Engine engine = Engine.create(options);
        List<TextEncoder> text = new ArrayList<>();
        UNet unet = null;
        Autoencoder vae = null;
        try (Weights weights = Weights.of(checkpoint)) {
            for (TextTower tower : spec.towers()) {
                text.add(TextEncoder.create(engine, weights, tower));
            }
            unet = UNet.create(engine, weights, ModelSpec.UNET_PREFIX, spec.heads());
            vae = Autoencoder.create(engine, weights, ModelSpec.VAE_PREFIX);
            Networks networks = new Networks(engine, List.copyOf(text), unet, vae);
            networks.requireFit(checkpoint, spec.family());
            return networks;
        } catch (Throwable e) {
            close(vae, unet);
            close(text.toArray(AutoCloseable[]::new));
            close(engine);
            throw e;
        }
    }

    /** Whether the UNet takes a picture to edit beside the latent (InstructPix2Pix). */
    boolean edits() {
        return unet.inChannels() == 2 * vae.latentChannels();
    }

    /** Whether the UNet takes a mask and a picture to draw on beside the latent. */
    boolean inpaints() {
        return unet.inChannels() == 2 * vae.latentChannels() + 1;
    }

    private void requireFit(Checkpoint checkpoint, ModelFamily family) throws ModelFormatException {
        int width = text.stream().mapToInt(TextEncoder::width).sum();
        if (width != unet.contextWidth()) {
            throw new ModelFormatException(
                    checkpoint.path(),
                    "has a text encoder of width " + width + " and a UNet that takes " + unet.contextWidth()
                            + "; they are parts of different models");
        }
        for (TextEncoder encoder : text) {
            requirePrompts(encoder, checkpoint);
        }
        if (unet.labelWidth() > 0) {
            int pooled = text.getLast().tower().pooled() ? text.getLast().pooledWidth() : 0;
            int numbers = unet.labelWidth() - pooled;
            if (pooled == 0 || numbers <= 0 || numbers % (2 * Conditioning.labelNumbers(family)) != 0) {
                throw new ModelFormatException(
                        checkpoint.path(),
                        "has a UNet with a label of width " + unet.labelWidth() + " and a pooled text embedding of "
                                + pooled + "; they are parts of different models");
            }
        }
        if (!vae.hasDecoder()) {
            throw new ModelFormatException(checkpoint.path(), "has a VAE without decoder; use a whole checkpoint");
        }
        int beside = unet.inChannels() - vae.latentChannels();
        boolean known = beside == 0 || beside == vae.latentChannels() || beside == vae.latentChannels() + 1;
        if (!known || unet.outChannels() != vae.latentChannels()) {
            throw new ModelFormatException(
                    checkpoint.path(),
                    "has a UNet with " + unet.inChannels() + " input and " + unet.outChannels()
                            + " output channels and a VAE with " + vae.latentChannels()
                            + "; they are parts of different models");
        }
        if (vae.imageChannels() != 3 || vae.factor() < 1 || 8 % vae.factor() != 0) {
            throw new ModelFormatException(
                    checkpoint.path(),
                    "has a VAE with " + vae.imageChannels() + " colours and " + vae.factor()
                            + " pixels a cell; 3 and at most 8 are supported");
        }
    }

    private static void requirePrompts(TextEncoder text, Checkpoint checkpoint) throws ModelFormatException {
        if (text.vocabulary() <= ClipTokenizer.END) {
            throw new ModelFormatException(
                    checkpoint.path(),
                    "has a text encoder for " + text.vocabulary() + " tokens; CLIP's tokenizer needs "
                            + (ClipTokenizer.END + 1));
        }
        if (text.maxTokens() < PromptTokens.CHUNK_LENGTH) {
            throw new ModelFormatException(
                    checkpoint.path(),
                    "has a text encoder for chunks of " + text.maxTokens() + " tokens; prompts come in chunks of "
                            + PromptTokens.CHUNK_LENGTH);
        }
    }

    @Override
    public void close() {
        close(vae, unet);
        close(text.toArray(AutoCloseable[]::new));
        close(engine);
    }

    private static void close(AutoCloseable... parts) {
        for (AutoCloseable part : parts) {
            try {
                if (part != null) {
                    part.close();
                }
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        }
    }
}
