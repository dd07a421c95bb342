package io.aquarelle.model;

/** The lines of Stable Diffusion models. */
public enum ModelFamily {
    SD1("SD 1.x"),
    SD2("SD 2.x"),
    SDXL("SDXL");

    private final String title;

    ModelFamily(String title) {
        this.title = title;
    }

    /** The name for people. */
    public String title() {
        return title;
    }
}
