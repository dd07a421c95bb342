package io.aquarelle.model;

/**
 * Where a text tower lies in a checkpoint, and what its family takes from it.
 *
 * @param prefix what stands before "embeddings.token_embedding.weight" (Hugging Face) or "token_embedding.weight"
 *     (OpenCLIP) in its tensors' names
 * @param heads attention heads, or 0 for 64 channels each
 * @param gelu its activation
 * @param padding id of the tokens that fill a chunk behind the first end mark
 * @param clipSkip which hidden state the UNet was trained on: 1 is the last layer's, 2 that of the layer before
 * @param missingLayers layers at the end that the file lacks because no hidden state of them is used
 * @param finalNorm whether hidden states pass the final LayerNorm
 * @param pooled whether the UNet takes its pooled embedding
 */
public record TextTower(
        String prefix,
        int heads,
        Gelu gelu,
        int padding,
        int clipSkip,
        int missingLayers,
        boolean finalNorm,
        boolean pooled) {

    /**
     * Layers to leave out of the hidden states.
     *
     * @param clipSkip 1 for the last layer, 2 for the one before, and so on; 0 for what the UNet was trained on
     */
    public int skipLayers(int clipSkip) {
        return Math.max(0, (clipSkip == 0 ? this.clipSkip : clipSkip) - 1 - missingLayers);
    }
}
