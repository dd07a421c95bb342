package io.aquarelle.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.aquarelle.model.NanoModel;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BenchCommandTest {
    @TempDir
    static Path folder;

    private static String model;

    @BeforeAll
    static void writeModel() throws IOException {
        Path file = folder.resolve("nano.safetensors");
        NanoModel.writeDrawable(file);
        model = file.toString();
    }

    @Test
    void everyNetworkTakesTime() throws IOException {
        CommandRun run =
                CommandRun.done("bench", "-m", model, "-W", "64", "-H", "64", "--steps", "2", "-t", "1", "--json");
        JsonNode json = new JsonMapper().readTree(run.out());
        assertEquals(64, json.get("width").asInt());
        assertEquals(1, json.get("threads").asInt());
        for (String key : List.of("load_s", "unet_call_s", "unet_pair_s", "decode_s")) {
            assertTrue(json.get(key).asDouble() > 0, key + " in " + run.out());
        }
        assertTrue(json.get("text_s").asDouble() >= 0, run.out());
        assertTrue(json.get("peak_rss_mb").asDouble() > 10, run.out());
    }

    @Test
    void textHasALineForEach() {
        CommandRun run = CommandRun.done("bench", "-m", model, "-W", "8", "-H", "8", "--steps", "1");
        assertTrue(run.out().contains("\nUNet call "), run.out());
        assertEquals(7, run.out().lines().count(), run.out());
        assertEquals("", run.err());
    }

    @Test
    void profileShowsNodesOfBothNetworks() {
        String arguments = "bench -m " + model + " -W 64 -H 64 --steps 1 -t 1 --conv direct --profile";
        CommandRun run = CommandRun.done(arguments.split(" "));
        assertTrue(run.out().contains("heads of 4"), run.out());
        assertTrue(run.out().contains("conv 3x3 upsampling 32 to 32 at 64x64"), run.out());
    }

    @Test
    void badInputIsRefused() throws IOException {
        CommandRun.refused(folder, "no such file", "bench", "-m", folder + "/missing.safetensors");
        CommandRun.refused(folder, "--width", "bench", "-m", model, "-W", "500");
        CommandRun.refused(folder, "--steps", "bench", "-m", model, "--steps", "0");
        CommandRun.refused(folder, "--threads", "bench", "-m", model, "-t", "0");
        CommandRun.refused(folder, "--conv", "bench", "-m", model, "--conv", "fft");
    }
}
