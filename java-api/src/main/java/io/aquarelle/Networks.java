package io.aquarelle;

import io.aquarelle.model.Autoencoder;
import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.Engine;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.ModelFamily;
import io.aquarelle.model.ModelFormatException;
import io.aquarelle.model.ModelSpec;
import io.aquarelle.model.TextEncoder;
import io.aquarelle.model.UNet;
import io.aquarelle.model.Weights;
import io.aquarelle.text.ClipTokenizer;
import io.aquarelle.text.PromptTokens;
import java.io.IOException;

/** The three networks of a model on one engine, made to fit each other. */
record Networks(Engine engine, TextEncoder text, UNet unet, Autoencoder vae) implements AutoCloseable {
    /**
     * Makes the networks of a checkpoint and checks that they belong together.
     *
     * @throws ModelFormatException if one is missing, is not supported, or does not fit the others
     */
    static Networks open(Checkpoint checkpoint, ModelSpec spec, EngineOptions options) throws IOException {
        if (spec.family() != ModelFamily.SD1) {
            throw new ModelFormatException(
                    checkpoint.path(), "is an " + spec.family().title() + " model; only SD 1.x is supported so far");
        }
        Engine engine = Engine.create(options);
        TextEncoder text = null;
        UNet unet = null;
        Autoencoder vae = null;
        try (Weights weights = Weights.of(checkpoint)) {
            text = TextEncoder.create(engine, weights, ModelSpec.CLIP_PREFIX, spec.textHeads());
            unet = UNet.create(engine, weights, ModelSpec.UNET_PREFIX, spec.heads());
            vae = Autoencoder.create(engine, weights, ModelSpec.VAE_PREFIX);
            Networks networks = new Networks(engine, text, unet, vae);
            networks.requireFit(checkpoint);
            return networks;
        } catch (Throwable e) {
            close(vae, unet, text, engine);
            throw e;
        }
    }

    private void requireFit(Checkpoint checkpoint) throws ModelFormatException {
        if (text.width() != unet.contextWidth()) {
            throw new ModelFormatException(
                    checkpoint.path(),
                    "has a text encoder of width " + text.width() + " and a UNet that takes " + unet.contextWidth()
                            + "; they are parts of different models");
        }
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
        if (!vae.hasDecoder()) {
            throw new ModelFormatException(checkpoint.path(), "has a VAE without decoder; use a whole checkpoint");
        }
        if (unet.inChannels() != vae.latentChannels() || unet.outChannels() != vae.latentChannels()) {
            throw new ModelFormatException(
                    checkpoint.path(),
                    "has a UNet with " + unet.inChannels() + " input and " + unet.outChannels()
                            + " output channels and a VAE with " + vae.latentChannels()
                            + "; only plain text-to-image models are supported so far");
        }
        if (vae.imageChannels() != 3 || vae.factor() < 1 || 8 % vae.factor() != 0) {
            throw new ModelFormatException(
                    checkpoint.path(),
                    "has a VAE with " + vae.imageChannels() + " colours and " + vae.factor()
                            + " pixels a cell; 3 and at most 8 are supported");
        }
    }

    @Override
    public void close() {
        close(vae, unet, text, engine);
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
