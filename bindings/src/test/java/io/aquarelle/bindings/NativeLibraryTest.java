package io.aquarelle.bindings;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NativeLibraryTest {
    private static final String FOLDER = "io/aquarelle/native/" + NativeLibrary.platform() + "/";
    private static final URL DESCRIPTION =
            NativeLibrary.class.getClassLoader().getResource(FOLDER + "library.properties");
    private static final String VERSION = "version " + Aquarelle.AQ_ABI_VERSION();

    @TempDir
    Path cache;

    @Test
    void loadsFromTheClassPath() throws Exception {
        assertEquals(VERSION, run(classPath(bindings(), natives()), "-Daquarelle.cache=" + cache));
    }

    @Test
    void loadsFromTheModulePath() throws Exception {
        List<String> command = List.of(
                "--module-path",
                join(bindings(), natives()),
                "--patch-module",
                "io.aquarelle.bindings=" + tests(),
                "--enable-native-access=io.aquarelle.bindings",
                "-Daquarelle.cache=" + cache,
                "--module",
                "io.aquarelle.bindings/io.aquarelle.bindings.LoadProgram");
        assertEquals(VERSION, output(start(command)));
    }

    @Test
    void processesMayUnpackAtOnce() throws Exception {
        List<Process> processes = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            List<String> command = new ArrayList<>(List.of("-Daquarelle.cache=" + cache));
            command.addAll(classPath(bindings(), natives()));
            processes.add(start(command));
        }
        for (Process process : processes) assertEquals(VERSION, output(process));
        assertEquals(1, filesBelow(cache).size());
    }

    @Test
    void unpacksOnlyOnce() throws IOException {
        FileTime past = FileTime.fromMillis(0);
        Path file = NativeLibrary.unpack(DESCRIPTION, FOLDER, cache);
        Files.setLastModifiedTime(file, past);
        assertEquals(file, NativeLibrary.unpack(DESCRIPTION, FOLDER, cache));
        assertEquals(past, Files.getLastModifiedTime(file));
    }

    @Test
    void replacesADamagedFileInTheCache() throws IOException {
        Path file = NativeLibrary.unpack(DESCRIPTION, FOLDER, cache);
        byte[] library = Files.readAllBytes(file);
        for (byte[] damage : new byte[][] {{}, {1, 2, 3}}) {
            Files.write(file, damage);
            NativeLibrary.unpack(DESCRIPTION, FOLDER, cache);
            assertArrayEquals(library, Files.readAllBytes(file));
        }
        assertEquals(List.of(file), filesBelow(cache));
    }

    @Test
    void doesWithoutACacheThatCannotBeWritten() throws Exception {
        Path file = Files.createFile(cache.resolve("file"));
        assertEquals(VERSION, run(classPath(bindings(), natives()), "-Daquarelle.cache=" + file.resolve("below")));
    }

    @Test
    void loadsTheFileThatThePropertyNames() throws Exception {
        Path file = NativeLibrary.unpack(DESCRIPTION, FOLDER, cache);
        assertEquals(VERSION, run(classPath(bindings()), "-Daquarelle.library=" + file));
    }

    @Test
    void namesThePropertyWhoseFileIsMissing() throws Exception {
        Path missing = cache.resolve("missing.so");
        String message = run(classPath(bindings(), natives()), "-Daquarelle.library=" + missing);
        assertTrue(message.startsWith("the property aquarelle.library names " + missing), message);
    }

    @Test
    void refusesAnotherLibrary() throws Exception {
        String name = System.mapLibraryName("prefs"); // of the JDK, not loaded yet
        Path other = Stream.of("lib", "bin")
                .map(folder -> Path.of(System.getProperty("java.home"), folder, name))
                .filter(Files::exists)
                .findFirst()
                .orElseThrow();
        String message = run(classPath(bindings(), natives()), "-Daquarelle.library=" + other);
        assertTrue(message.startsWith(other + " is not libaquarelle"), message);
    }

    @Test
    void namesThePlatformAndThePropertyWhenThereIsNoLibrary() throws Exception {
        String message = run(classPath(bindings()), "-Daquarelle.cache=" + cache);
        assertTrue(message.startsWith("there is no libaquarelle for " + NativeLibrary.platform()), message);
        assertTrue(message.contains("aquarelle.library"), message);
    }

    private static String run(List<String> command, String property) throws Exception {
        return output(start(Stream.concat(Stream.of(property), command.stream()).toList()));
    }

    private static List<String> classPath(Path... entries) throws Exception {
        return List.of(
                "--enable-native-access=ALL-UNNAMED",
                "--class-path",
                join(entries) + File.pathSeparator + tests(),
                "io.aquarelle.bindings.LoadProgram");
    }

    private static Process start(List<String> arguments) throws IOException {
        List<String> command = new ArrayList<>(
                List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-XX:TieredStopAtLevel=1"));
        command.addAll(arguments);
        return new ProcessBuilder(command).redirectErrorStream(true).start();
    }

    private static String output(Process process) throws Exception {
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(0, process.waitFor(), output);
        return output.strip();
    }

    private static String join(Path... entries) {
        return Stream.of(entries).map(Path::toString).collect(Collectors.joining(File.pathSeparator));
    }

    private static Path bindings() {
        return location("io.aquarelle.bindings");
    }

    private static Path natives() {
        return location("io.aquarelle.natives");
    }

    private static Path location(String module) {
        URI location = ModuleLayer.boot()
                .configuration()
                .findModule(module)
                .orElseThrow()
                .reference()
                .location()
                .orElseThrow();
        return Path.of(location);
    }

    private static Path tests() throws Exception {
        return Path.of(LoadProgram.class.getResource("LoadProgram.class").toURI())
                .resolve("../../../..")
                .normalize();
    }

    private static List<Path> filesBelow(Path folder) throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            return files.filter(Files::isRegularFile).toList();
        }
    }
}
