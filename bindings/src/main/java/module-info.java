/** The generated bindings of libaquarelle and its loader: internal to Aquarelle. */
@SuppressWarnings("module") // io.aquarelle is built later
module io.aquarelle.bindings {
    requires io.aquarelle.natives;

    exports io.aquarelle.bindings to
            io.aquarelle;
}
