package io.aquarelle.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.Version;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class MainTest {
    @TempDir
    Path folder;

    @Test
    void helpListsTheCommands() {
        CommandRun run = CommandRun.done("--help");
        for (String command : List.of("generate", "inspect", "synth", "bench")) {
            assertTrue(run.out().contains("\n  " + command + " "), run.out());
        }
        assertEquals("", run.err());
    }

    @ParameterizedTest
    @ValueSource(strings = {"generate", "inspect", "synth", "bench", "masks", "upscale"})
    void everyCommandHasHelpAndVersion(String command) {
        CommandRun help = CommandRun.done(command, "--help");
        assertTrue(help.out().startsWith("Usage: aquarelle " + command + " "), help.out());
        CommandRun version = CommandRun.done(command, "--version");
        assertEquals("aquarelle " + Version.current(), version.out().strip());
        assertEquals(version, CommandRun.done("--version"));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "''                                | command; see aquarelle --help",
                "frobnicate                        | 'frobnicate'; see aquarelle --help",
                "generate --frobnicate             | '--frobnicate'; see aquarelle generate --help",
                "generate red apple                | unexpected argument 'apple'; put words that belong together in q",
                "generate --steps                  | '--steps'",
                "generate --steps many             | '--steps': 'many' is not an int; see aquarelle generate --help",
                "generate --steps 2 --steps 3      | '--steps'",
                "generate --steps 99999999999      | '--steps'",
                "generate -W 8.5                   | '--width'",
                "generate -s 1e3                   | '--seed'",
                "generate --cfg-scale high         | '--cfg-scale'",
                "inspect                           | MODEL",
                "inspect a b                       | 'b'",
                "synth                             | sd1|sd2|sdxl",
                "synth sd1                         | OUT",
                "synth sd9 out.safetensors         | sd9",
                "synth sd1 out.safetensors --type q4_0 | '--type'",
                "bench --output x                  | '--output'",
            })
    void wrongUseIsOneLineThatSaysWhat(String arguments, String words) throws IOException {
        CommandRun.refused(
                folder,
                words.strip(),
                arguments.isBlank() ? new String[0] : arguments.strip().split(" "));
    }

    @Test
    void argumentThatTheLocaleCouldNotReadIsRefused() throws IOException {
        CommandRun.refused(folder, "LC_ALL", "generate", "-m", "x", "caf\ufffd\ufffd");
    }

    @Test
    void messagesStayOneLineWhateverAnArgumentHolds() throws IOException {
        CommandRun.refused(folder, "no such file", "inspect", folder + "/two\nlines\u001b[2J\u2028x");
    }

    @Test
    void aPromptMayStartWithTheSignForArgumentFiles() throws IOException {
        Path file = Files.writeString(folder.resolve("arguments"), "--frobnicate");
        String missing = folder.resolve("missing.safetensors").toString();
        CommandRun.refused(folder, missing, "generate", "@" + file, "-m", missing);
    }

    @Test
    void stackTracesAreForTheVerbose() {
        CommandRun run =
                CommandRun.of("inspect", "-v", folder.resolve("missing").toString());
        assertEquals(Main.BAD_INPUT, run.status());
        assertTrue(run.err().contains("\tat io.aquarelle."), run.err());
        assertFalse(CommandRun.of("inspect", folder.resolve("missing").toString())
                .err()
                .contains("\tat "));
    }
}
