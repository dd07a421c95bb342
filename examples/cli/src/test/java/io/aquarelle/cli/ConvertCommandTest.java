package io.aquarelle.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.json.JsonMapper;
import io.aquarelle.demo.DemoModel;
import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.DataType;
import io.aquarelle.model.NanoModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConvertCommandTest {
    private static final String KERNEL = "model.diffusion_model.middle_block.0.in_layers.2.weight";

    @TempDir
    Path folder;

    private Path model;

    @BeforeEach
    void write() throws IOException {
        model = folder.resolve("model.safetensors");
        NanoModel.writeDrawable(model);
    }

    @Test
    void aQuantisedModelIsSmallerAndDraws() throws Exception {
        Path out = folder.resolve("model.gguf");
        CommandRun run = CommandRun.done("convert", "-m", model + "", "-o", out + "", "--type", "q8_0");

        assertTrue(run.out().contains("f16 to q8_0"), run.out());
        assertTrue(run.out().contains("is a vector"), run.out());
        assertTrue(Files.size(out) < 0.6 * Files.size(model), Files.size(out) + " bytes");
        Path picture = folder.resolve("picture.png");
        CommandRun.done(
                "generate", "an apple", "-m", out + "", "-W", "64", "-H", "64", "--steps", "1", "-o", picture + "");
        assertTrue(Files.size(picture) > 0);
    }

    @Test
    void withoutAModelItIsTheOneInTheBox() throws Exception {
        Path out = folder.resolve("box.gguf");
        CommandRun.done("convert", "-o", out + "", "--type", "q8_0");
        try (Checkpoint written = Checkpoint.open(out);
                Checkpoint box = Checkpoint.open(DemoModel.file())) {
            assertEquals(box.tensors().keySet(), written.tensors().keySet());
        }
    }

    @Test
    void aLinkToTheModelIsRefused() throws Exception {
        Path copy = Files.copy(model, folder.resolve("copy.safetensors"));
        Path link = Files.createSymbolicLink(folder.resolve("link.gguf"), copy);
        CommandRun.refused(folder, "is a link to the model", "convert", copy + "", "-o", link + "", "--type", "f16");
    }

    @Test
    void theReportTellsOfEveryTensor() throws Exception {
        Path out = folder.resolve("model.gguf");
        CommandRun run = CommandRun.done(
                "convert", model + "", "-o", out + "", "--type", "Q4_0", "--rules", "middle_block=q8_0", "--json");
        var report = new JsonMapper().readTree(run.out());

        assertEquals(out.toString(), report.get("output").asText());
        assertEquals(Files.size(out), report.get("bytes").asLong());
        try (Checkpoint written = Checkpoint.open(out)) {
            assertEquals(written.tensors().size(), report.get("tensors").size());
            assertEquals(DataType.Q8_0, written.tensors().get(KERNEL).type());
            for (var tensor : report.get("tensors")) {
                var info = written.tensors().get(tensor.get("name").asText());
                assertEquals(info.type().label(), tensor.get("to").asText());
                assertEquals(info.byteSize(), tensor.get("bytes").asLong());
                if (!info.name().contains("middle_block")) {
                    assertEquals(info.type() != DataType.Q4_0, tensor.has("reason"), info.name());
                }
            }
        }
    }

    @Test
    void weightsAreQuantisedOnLoad() throws Exception {
        Path picture = folder.resolve("picture.png");
        CommandRun run = CommandRun.done(
                "generate",
                "an apple",
                "-m",
                model + "",
                "--type",
                "q4_k",
                "-W",
                "64",
                "-H",
                "64",
                "--steps",
                "1",
                "-o",
                picture + "",
                "--json");
        assertTrue(run.out().contains("\"unet_calls\":2"), run.out());
    }

    @Test
    void aConvertedModelIsInspected() {
        Path out = folder.resolve("model.gguf");
        CommandRun.done("convert", model + "", "-o", out + "", "--type", "q5_0");
        CommandRun run = CommandRun.done("inspect", out + "");

        assertTrue(run.out().contains("Q5_0"), run.out());
        assertTrue(run.out().contains("SD 1.x, predicts eps"), run.out());
    }

    @Test
    void whatCannotBeIsRefused() throws IOException {
        String out = folder.resolve("out.gguf").toString();
        String in = model.toString();
        CommandRun.refused(folder, "no type 'q3'", "convert", in, "-o", out, "--type", "q3");
        CommandRun.refused(folder, "no type 'iq1_s'", "convert", in, "-o", out, "--type", "iq1_s");
        CommandRun.refused(folder, "REGEX=TYPE", "convert", in, "-o", out, "--rules", "unet");
        CommandRun.refused(folder, "no regular expression", "convert", in, "-o", out, "--rules", "(=q8_0");
        CommandRun.refused(folder, "--model: a model stands before it", "convert", in, "-m", in, "-o", out);
        CommandRun.refused(folder, "rename it", "convert", in, "-o", folder + "/out.ckpt");
        CommandRun.refused(
                folder, "write a .gguf file", "convert", in, "-o", folder + "/out.safetensors", "--type", "q8_0");
        CommandRun.refused(folder, "no such file", "convert", folder + "/none", "-o", out);
        CommandRun.refused(
                folder, "there is no type 'x'", "generate", "p", "-m", in, "-o", folder + "/p.png", "--type", "x");
    }
}
