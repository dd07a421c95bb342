package io.aquarelle.demo;

import io.aquarelle.model.NativeRuntime;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Properties;

/**
 * The model that ships with the project: it draws emoji from their names, 128 pixels wide, on a background of a named
 * colour. To open it is to open any checkpoint:
 *
 * <pre>{@code
 * try (Pipeline pipeline = Pipeline.open(DemoModel.file())) {
 *     pipeline.generate(pipeline.request("red apple on a blue background").build());
 * }
 * }</pre>
 */
public final class DemoModel {
    private static final String NAME = "emoji.safetensors";
    private static final String DESCRIPTION = "emoji.properties"; // its size and SHA-256

    private DemoModel() {}

    /**
     * The checkpoint as a file. It comes inside a jar and is unpacked once into {@link NativeRuntime#cacheFolder}, since
     * checkpoints are mapped into memory.
     *
     * @throws IOException if it cannot be unpacked
     */
    public static Path file() throws IOException {
        return file(NativeRuntime.cacheFolder());
    }

    /** The same with another cache. The folder is named after the content, so that versions live side by side. */
    static Path file(Path cache) throws IOException {
        Properties description = new Properties();
        try (InputStream in = resource(DESCRIPTION)) {
            description.load(in);
        }
        String hash = description.getProperty("sha256");
        Path file = cache.resolve("model-" + hash.substring(0, 16)).resolve(NAME);
        // It was checked when it was unpacked and appeared complete.
        if (Files.isRegularFile(file) && Files.size(file) == Long.parseLong(description.getProperty("size"))) {
            return file;
        }
        try {
            unpack(file, hash);
        } catch (AccessDeniedException e) {
            throw new IOException(
                    "the model cannot be unpacked to " + file
                            + ": set the environment variable AQUARELLE_CACHE to a folder that can be written",
                    e);
        }
        return file;
    }

    private static void unpack(Path file, String hash) throws IOException {
        Files.createDirectories(file.getParent());
        Path temporary = Files.createTempFile(file.getParent(), NAME, ".tmp");
        try (var in = new DigestInputStream(resource(NAME), MessageDigest.getInstance("SHA-256"))) {
            Files.copy(in, temporary, StandardCopyOption.REPLACE_EXISTING);
            if (!HexFormat.of().formatHex(in.getMessageDigest().digest()).equals(hash)) {
                throw new IOException("the model in this build is damaged: its SHA-256 is not " + hash);
            }
            Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError(e); // every Java platform has it
        } finally {
            Files.deleteIfExists(temporary);
        }
    }

    private static InputStream resource(String name) throws IOException {
        InputStream resource = DemoModel.class.getResourceAsStream(name);
        if (resource == null) {
            throw new FileNotFoundException("the model's file " + name + " is missing from this build of Aquarelle");
        }
        return resource;
    }
}
