package io.aquarelle.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is refused; a file that is written has gigabytes. */
class SynthCommandTest {
    @TempDir
    Path folder;

    @Test
    void placesThatCannotBecomeAFileAreRefused() throws IOException {
        CommandRun.refused(folder, "folder does not exist", "synth", "sd1", folder + "/none/out.safetensors");
        CommandRun.refused(folder, "end in .safetensors", "synth", "sd1", folder.toString());
        CommandRun.refused(folder, "end in .safetensors", "synth", "sd1", folder + "/out.gguf");
        Path taken = Files.createDirectory(folder.resolve("out.safetensors"));
        CommandRun.refused(folder, taken + " is not a file", "synth", "SDXL", taken.toString());
    }
}
