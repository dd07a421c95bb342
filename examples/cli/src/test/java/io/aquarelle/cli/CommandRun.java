package io.aquarelle.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;

/** What a run of the command printed and returned. */
record CommandRun(int status, String out, String err) {
    static CommandRun of(String... args) {
        return of(new Interrupt(), args);
    }

    static CommandRun of(Interrupt interrupt, String... args) {
        var out = new ByteArrayOutputStream();
        var err = new ByteArrayOutputStream();
        var context = new Context(
                new PrintStream(out, true, StandardCharsets.UTF_8),
                new PrintStream(err, true, StandardCharsets.UTF_8),
                false,
                interrupt);
        int status = Main.run(args, context);
        return new CommandRun(status, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
    }

    /** Requires that the command refuses its arguments in one line with these words and leaves {@code folder} alone. */
    static void refused(Path folder, String words, String... args) throws IOException {
        Map<Path, String> before = listing(folder);
        CommandRun run = of(args);
        assertTrue(run.err.contains(words), run.toString());
        assertTrue(run.err.matches("aquarelle: .+\\R"), run.toString()); // . is no line break
        assertEquals(Main.BAD_INPUT, run.status, run.toString());
        assertEquals("", run.out);
        assertEquals(before, listing(folder));
    }

    /** Requires success and returns it. */
    static CommandRun done(String... args) {
        CommandRun run = of(args);
        assertEquals(Main.DONE, run.status, run.toString());
        return run;
    }

    /** What lies in a folder, with size and time. */
    static Map<Path, String> listing(Path folder) throws IOException {
        Map<Path, String> listing = new TreeMap<>();
        try (var files = Files.list(folder)) {
            for (Path file : files.toList()) {
                listing.put(file, Files.size(file) + " " + Files.getLastModifiedTime(file));
            }
        }
        return listing;
    }
}
