/** Carries libaquarelle for one or more platforms as resources; holds no code. */
module io.aquarelle.natives {}
