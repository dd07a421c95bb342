package io.aquarelle.bindings;

/** Loads the library in a process of its own; prints the ABI version or the error. */
class LoadProgram {
    public static void main(String[] arguments) {
        try {
            NativeLibrary.load();
            NativeLibrary.load();
            System.out.println("version " + Aquarelle.aq_abi_version());
        } catch (UnsatisfiedLinkError e) {
            System.out.println(e.getMessage());
        }
    }
}
