package io.aquarelle.bindings;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.SymbolLookup;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Properties;
import java.util.stream.Stream;

/**
 * Loads libaquarelle, which the generated classes then find through this class loader.
 *
 * <p>The library is the file that the system property {@code aquarelle.library} names, or else the one that lies on the
 * class path or module path for this platform. The latter is unpacked once for each of its versions into the folder
 * that {@code aquarelle.cache} or the environment variable {@code AQUARELLE_CACHE} names, by default this user's cache
 * folder.
 */
public final class NativeLibrary {
    private static boolean loaded;

    private NativeLibrary() {}

    /**
     * Loads the library, if no call has done so yet.
     *
     * @throws UnsatisfiedLinkError if there is none for this platform, it can't be unpacked or loaded, or it is of
     *     another version than these bindings
     */
    public static synchronized void load() {
        if (loaded) return;
        String override = System.getProperty("aquarelle.library");
        String source = override != null ? loadFile(Path.of(override).toAbsolutePath()) : loadResource();
        if (SymbolLookup.loaderLookup().find("aq_abi_version").isEmpty()) {
            throw new UnsatisfiedLinkError(source + " is not libaquarelle: correct the property aquarelle.library");
        }
        int version = Aquarelle.aq_abi_version();
        if (version != Aquarelle.AQ_ABI_VERSION()) {
            throw new UnsatisfiedLinkError("%s has ABI version %d, but these bindings need %d: use files of one release"
                    .formatted(source, version, Aquarelle.AQ_ABI_VERSION()));
        }
        loaded = true;
    }

    private static String loadFile(Path file) {
        try {
            System.load(file.toString());
        } catch (UnsatisfiedLinkError e) {
            throw new UnsatisfiedLinkError("the property aquarelle.library names " + file
                    + ", which can't be loaded on " + platform() + describeLibc() + ": " + e.getMessage());
        }
        return file.toString();
    }

    private static String loadResource() {
        String folder = "io/aquarelle/native/" + platform() + "/";
        URL description = resource(folder + "library.properties");
        if (description == null) {
            throw new UnsatisfiedLinkError("there is no libaquarelle for " + platform() + describeLibc()
                    + " on the class or module path: build it and name its file in the property aquarelle.library");
        }
        List<String> reasons = new ArrayList<>();
        // A private copy helps where the cache can't be written or executed, or another class loader has its file.
        for (boolean shared : new boolean[] {true, false}) {
            try {
                Path file = unpack(description, folder, shared ? cacheFolder() : temporaryFolder());
                if (!shared) file.toFile().deleteOnExit();
                System.load(file.toString());
                return file.toString();
            } catch (IOException | UnsatisfiedLinkError e) {
                reasons.add(e.getMessage() != null ? e.getMessage() : e.toString());
            }
        }
        throw new UnsatisfiedLinkError(
                "libaquarelle for " + platform() + describeLibc() + " can't be unpacked and loaded ("
                        + String.join("; ", reasons)
                        + "): set the property aquarelle.cache to a writable folder or aquarelle.library to a file");
    }

    /**
     * Puts the library into {@code cache}, unless it is there unchanged.
     *
     * @param description library.properties: the library's file name and SHA-256
     * @return the file, named after its content, so that versions live side by side
     */
    static Path unpack(URL description, String folder, Path cache) throws IOException {
        Properties properties = new Properties();
        try (InputStream in = description.openStream()) {
            properties.load(in);
        }
        String name = properties.getProperty("file");
        String hash = properties.getProperty("sha256");
        Path file = cache.resolve("native-" + hash).resolve(name);
        if (Files.exists(file) && hash.equals(sha256(Files.newInputStream(file), OutputStream.nullOutputStream()))) {
            return file;
        }
        URL library = resource(folder + name);
        if (library == null) throw new FileNotFoundException(folder + name + " is missing beside " + description);
        Files.createDirectories(file.getParent());
        Path temporary = Files.createTempFile(file.getParent(), name, ".tmp");
        try {
            String actual;
            try (OutputStream out = Files.newOutputStream(temporary)) {
                actual = sha256(library.openStream(), out);
            }
            if (!actual.equals(hash)) throw new IOException(library + " is damaged: its SHA-256 is not " + hash);
            Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } finally {
            Files.deleteIfExists(temporary);
        }
        return file;
    }

    private static URL resource(String name) {
        return NativeLibrary.class.getClassLoader().getResource(name);
    }

    /** Copies {@code in} to {@code out} and returns the SHA-256 of what went through. */
    private static String sha256(InputStream in, OutputStream out) throws IOException {
        try (in) {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            new DigestInputStream(in, digest).transferTo(out);
            return HexFormat.of().formatHex(digest.digest());
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError(e); // every Java platform has it
        }
    }

    /** Where this project keeps what it unpacks; the folder may not exist yet. */
    public static Path cacheFolder() {
        String home = System.getProperty("user.home");
        String named = System.getProperty("aquarelle.cache", System.getenv("AQUARELLE_CACHE"));
        if (named != null) return Path.of(named).toAbsolutePath();
        if (platform().startsWith("windows"))
            return environment("LOCALAPPDATA", home).resolve("aquarelle");
        if (platform().startsWith("macos")) return Path.of(home, "Library", "Caches", "aquarelle");
        return environment("XDG_CACHE_HOME", home + "/.cache").resolve("aquarelle");
    }

    private static Path environment(String variable, String otherwise) {
        String value = System.getenv(variable);
        return Path.of(value == null || value.isEmpty() ? otherwise : value).toAbsolutePath();
    }

    private static Path temporaryFolder() throws IOException {
        Path folder = Files.createTempDirectory("aquarelle");
        folder.toFile().deleteOnExit();
        return folder;
    }

    /** Operating system and architecture, as the native build names its folder: linux-x86_64. */
    static String platform() {
        String name = System.getProperty("os.name").toLowerCase(Locale.ROOT);
        String os = name.startsWith("mac") ? "macos" : name.startsWith("windows") ? "windows" : name;
        String arch = System.getProperty("os.arch");
        return os + "-" + (arch.equals("amd64") ? "x86_64" : arch.equals("arm64") ? "aarch64" : arch);
    }

    /** Names musl, for which the libraries that were built with glibc don't load. */
    private static String describeLibc() {
        try (Stream<String> mappings = Files.lines(Path.of("/proc/self/maps"))) {
            return mappings.anyMatch(line -> line.contains("/ld-musl-")) ? " with musl libc" : "";
        } catch (IOException | UncheckedIOException e) {
            return ""; // not Linux
        }
    }
}
