package io.aquarelle.model;

import io.aquarelle.bindings.Aquarelle;
import io.aquarelle.bindings.NativeLibrary;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;

/** What the native library says about itself and this process. */
public final class NativeRuntime {
    private static final int LINE = 256;

    private NativeRuntime() {}

    /** One line with the version of ggml and the instruction set picked on this CPU. */
    public static String describe() {
        String[] line = new String[1];
        NativeCalls.run((arena, error) -> {
            MemorySegment text = arena.allocate(LINE);
            int status = Aquarelle.aq_describe(text, LINE, error);
            line[0] = text.getString(0);
            return status;
        });
        return line[0];
    }

    /**
     * The folder for files that are unpacked once and used again, which may not exist yet: what the property
     * {@code aquarelle.cache} or the environment variable {@code AQUARELLE_CACHE} names, or else this user's cache folder.
     */
    public static Path cacheFolder() {
        return NativeLibrary.cacheFolder();
    }

    /** The highest resident memory of this process so far in bytes, 0 where the system does not tell. */
    public static long peakResidentBytes() {
        NativeCalls.run((arena, error) -> Aquarelle.AQ_OK()); // loads the library
        return Aquarelle.aq_peak_rss();
    }
}
