package io.aquarelle.model;

/** The lines of Stable Diffusion models. */
public enum ModelFamily {
    SD1("SD 1.x"),
    SD2("SD 2.x"),
    SDXL("SDXL"),
    SDXL_REFINER("SDXL refiner");

    private final String title;

    ModelFamily(String title) {
        this.title = title;
    }

    /** The name for people. */
    public String title() {
        return title;
    }

    /** Whether it is one of the SDXL line: conditioned on sizes, with latents of the SDXL autoencoder. */
    public boolean isXl() {
        return this == SDXL || this == SDXL_REFINER;
    }

    /** What latents of the UNet are those of the VAE times, unless a file says otherwise. */
    public float latentScale() {
        return isXl() ? 0.13025f : 0.18215f;
    }
}
