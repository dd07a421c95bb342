/** Stable Diffusion inside a Java process. */
module io.aquarelle {
    requires transitive java.desktop; // BufferedImage
    requires io.aquarelle.bindings;
    requires static org.jspecify; // annotations only: users need it neither to compile nor to run

    exports io.aquarelle;
    exports io.aquarelle.model;
    exports io.aquarelle.plan;
    exports io.aquarelle.sampling;
    exports io.aquarelle.text;
}
