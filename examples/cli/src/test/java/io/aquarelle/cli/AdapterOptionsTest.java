package io.aquarelle.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.model.AdapterFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Adapters and textual inversions by options and in prompts. */
class AdapterOptionsTest extends DrawingTest {
    private static final Path LORA = AdapterFile.golden("sd1-lora.safetensors");
    private static final String PROMPT = "a red apple";

    private static String[] arguments(Path model, Path out, String prompt, String... more) {
        List<String> all = new ArrayList<>(List.of("generate", prompt, "-m", model.toString(), "-s", "5"));
        all.addAll(List.of("-W", "32", "-H", "32", "--steps", "2", "-t", "1", "-o", out.toString()));
        all.addAll(List.of(more));
        return all.toArray(String[]::new);
    }

    private byte[] pixels(String prompt, String... more) throws IOException {
        return pixels(model, prompt, more);
    }

    private byte[] pixels(Path of, String prompt, String... more) throws IOException {
        CommandRun.done(arguments(of, out(), prompt, more));
        return io.aquarelle.Picture.read(out()).rgb();
    }

    private void refused(String words, String prompt, String... more) throws IOException {
        CommandRun.refused(folder, words, arguments(model, folder.resolve("no.png"), prompt, more));
    }

    /** The largest difference of two pictures, in steps of 256. */
    private static int difference(byte[] a, byte[] b) {
        int largest = 0;
        for (int i = 0; i < a.length; i++) {
            largest = Math.max(largest, Math.abs((a[i] & 0xff) - (b[i] & 0xff)));
        }
        return largest;
    }

    @Test
    void tagsAndOptionsAndMergingGiveTheSame() throws Exception {
        String dir = LORA.getParent().toString();
        byte[] plain = pixels(PROMPT);
        byte[] option = pixels(PROMPT, "--lora", LORA + ":0.2");
        assertFalse(Arrays.equals(plain, option));
        assertArrayEquals(option, pixels(PROMPT + " <lora:sd1-lora:0.2>", "--lora-model-dir", dir));
        assertArrayEquals(
                option, pixels(PROMPT, "-n", "<lora:sd1-lora:0.1>", "--lora", LORA + ":0.1", "--lora-model-dir", dir));
        assertArrayEquals(plain, pixels(PROMPT, "--lora", LORA + ":0"));
        byte[] immediately = pixels(PROMPT, "--lora", LORA + ":0.2", "--lora-apply-mode", "immediately");
        assertTrue(difference(option, immediately) <= 2, "off by " + difference(option, immediately));
        assertArrayEquals(immediately, pixels(PROMPT, "--lora", LORA + ":0.2", "--lora-apply-mode", "auto"));
        Path merged = folder.resolve("merged.safetensors");
        CommandRun.done("convert", model + "", "-o", merged + "", "--lora", LORA + ":0.2");
        assertArrayEquals(immediately, pixels(merged, PROMPT));
    }

    @Test
    void tensorsWithoutUseAreToldInOneLine() throws Exception {
        AdapterFile file = AdapterFile.of("sd1-lora.safetensors");
        for (String name : List.of("conv_in", "conv_out", "time_embed_0", "time_embed_2")) {
            file.tensors.put(
                    "lora_unet_" + name + ".oft_blocks",
                    file.tensors.values().iterator().next());
        }
        Path more = file.write(folder.resolve("more.safetensors"));
        CommandRun run = CommandRun.done(arguments(model, folder.resolve("a.png"), PROMPT, "--lora", more.toString()));
        assertEquals(1, run.err().lines().count(), run.err());
        assertTrue(run.err().contains("more.safetensors: 4 tensors are not used"), run.err());
        assertTrue(run.err().contains("lora_unet_conv_in.oft_blocks"), run.err());
        String last = "lora_unet_time_embed_2.oft_blocks";
        assertFalse(run.err().contains(last), run.err());
        run = CommandRun.done(arguments(model, folder.resolve("a.png"), PROMPT, "--lora", more.toString(), "-v"));
        assertTrue(run.err().contains(last), run.err());
    }

    @Test
    void wordsInAnAdapterCountWhereAPromptHasThem() throws Exception {
        String lora = AdapterFile.golden("numbered.safetensors") + ":0.3";
        byte[] plain = pixels("a red apple", "--lora", lora);
        assertFalse(Arrays.equals(plain, pixels("a red <s1>", "--lora", lora)));
        assertFalse(Arrays.equals(pixels("a red <s2>", "--lora", lora), pixels("a red <s1>", "--lora", lora)));
    }

    @Test
    void wrongFilesAndNamesAreRefused() throws Exception {
        refused("missing.safetensors", PROMPT, "--lora", folder.resolve("missing.safetensors") + ":0.5");
        refused("another kind of model", PROMPT, "--lora", AdapterFile.golden("sdxl-lora.safetensors") + "");
        refused("no adapter", PROMPT, "--lora", AdapterFile.golden("sd1-word.safetensors") + "");
        refused("--lora-model-dir", PROMPT + "<lora:some:1>");
        refused("has no LoRA 'some'", PROMPT + "<lora:some:1>", "--lora-model-dir", folder + "");
        refused("there is no folder", PROMPT + "<lora:some:1>", "--lora-model-dir", folder + "/none");
        refused("has no LoRA", PROMPT + "<lora:../" + LORA.getFileName() + ":1>", "--lora-model-dir", folder + "");
        refused("is no number", PROMPT + "<lora:some:x>", "--lora-model-dir", folder + "");
        refused("--embd-dir", PROMPT, "--embd-dir", folder.resolve("missing") + "");
        CommandRun.refused(
                folder,
                "another kind of model",
                "convert",
                model + "",
                "-o",
                folder.resolve("x.gguf") + "",
                "--lora",
                AdapterFile.golden("sdxl-lora.safetensors") + "");
    }

    @Test
    void bakedGuidanceDrawsWithOneCallAStep() throws Exception {
        AdapterFile file = AdapterFile.of("sd1-lora.safetensors");
        file.metadata.put("aquarelle.guidance", "7.5");
        String student = file.write(folder.resolve("student.safetensors")).toString();
        byte[] expected = pixels(PROMPT, "--lora", LORA + "", "--cfg-scale", "1");
        assertArrayEquals(expected, pixels(PROMPT, "--lora", student));
        refused("negative prompt", PROMPT, "--lora", student, "-n", "blurry");
        refused("guidance is 5.0", PROMPT, "--lora", student, "--cfg-scale", "5");
    }

    @Test
    void wordsAreNamesOfFiles() throws Exception {
        Path words = Files.createDirectory(folder.resolve("words"));
        Files.copy(AdapterFile.golden("sd1-word.pt"), words.resolve("Apple.pt"));
        Files.writeString(words.resolve("broken.safetensors"), "not read, as no prompt has its name");
        byte[] plain = pixels(PROMPT);
        assertFalse(Arrays.equals(plain, pixels(PROMPT, "--embd-dir", words + "")));
        assertArrayEquals(plain, pixels(PROMPT + "<lora:sd1-lora:0>", "--lora-model-dir", LORA.getParent() + ""));
        refused("broken.safetensors", PROMPT + " broken", "--embd-dir", words + "");
    }
}
