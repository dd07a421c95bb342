package io.aquarelle.model;

import io.aquarelle.bindings.Aquarelle;

/** How 3 x 3 convolutions are computed. */
public enum Convolution {
    /** Whatever is fastest for the shape. */
    AUTO(Aquarelle.AQ_CONVOLUTION_AUTO()),

    /** Tap by tap, by matrix products. */
    DIRECT(Aquarelle.AQ_CONVOLUTION_DIRECT()),

    /** By Winograd transforms wherever they apply (Lavin and Gray 2015, arXiv 1509.09308). */
    WINOGRAD(Aquarelle.AQ_CONVOLUTION_WINOGRAD());

    private final int nativeValue;

    Convolution(int nativeValue) {
        this.nativeValue = nativeValue;
    }

    int nativeValue() {
        return nativeValue;
    }
}
