package io.aquarelle.model;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What a reader found in a model file.
 *
 * @param tensors by the names that they have in the file, in file order; unmodifiable
 * @param metadata what the file says about itself, in file order; unmodifiable
 */
record ModelContents(Map<String, TensorSource> tensors, Map<String, String> metadata) {
    /** Far above any diffusion model (SDXL: 2,600); keeps the memory that a hostile file takes small. */
    static final int MAX_TENSORS = 100_000;

    static final int MAX_RANK = 8;

    ModelContents {
        tensors = Collections.unmodifiableMap(new LinkedHashMap<>(tensors));
        metadata = Collections.unmodifiableMap(new LinkedHashMap<>(metadata));
    }
}
