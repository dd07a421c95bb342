package io.aquarelle.model;

/** The Gaussian error linear unit of a text tower (Hendrycks and Gimpel, arXiv 1606.08415). Constants are aq_gelu's. */
public enum Gelu {
    /** By the names of the tensors: quick with those of Hugging Face, exact with those of OpenCLIP. */
    AUTO,
    /** {@code x Φ(x)}: OpenCLIP's towers. */
    EXACT,
    /** {@code x / (1 + exp(-1.702 x))}: OpenAI's towers. */
    QUICK
}
