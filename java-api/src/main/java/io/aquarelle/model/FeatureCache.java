package io.aquarelle.model;

import io.aquarelle.bindings.Aquarelle;

/**
 * Outputs of a UNet's units that calls store and later calls reuse, of one image: each branch of each picture has its
 * own. It fits latents of one size; storing at another size drops what it holds. A call that fails leaves it as it was.
 */
public final class FeatureCache extends NativeObject {
    private FeatureCache(long handle) {
        super("the feature cache", handle);
    }

    /** An empty cache for a UNet. */
    public static FeatureCache of(UNet unet) {
        try {
            return new FeatureCache(NativeCalls.create(
                    (arena, result, error) -> Aquarelle.aq_feature_cache_create(unet.handle(), result, error)));
        } catch (ModelFormatException e) {
            throw new IllegalStateException(e); // no file is read
        }
    }
}
