package io.aquarelle.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.GeneratedImage;
import io.aquarelle.Hires;
import io.aquarelle.ImageRequest;
import io.aquarelle.Picture;
import io.aquarelle.Pipeline;
import io.aquarelle.ProgressListener;
import io.aquarelle.Upscaler;
import io.aquarelle.model.EditableModel;
import io.aquarelle.model.EngineOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** {@code aquarelle upscale}, and what {@code generate} does with upscalers. */
class UpscaleCommandTest extends DrawingTest {
    private static final EngineOptions ONE_THREAD = EngineOptions.ofThreads(1);

    private static Path upscaler;
    private static Path picture;

    @BeforeAll
    static void write() throws IOException {
        upscaler = EditableModel.of("upscaler-nano-x4").write(models.resolve("x4.safetensors"));
        picture = models.resolve("picture.png");
        byte[] rgb = new byte[3 * 40 * 24];
        for (int i = 0; i < rgb.length; i++) {
            rgb[i] = (byte) (i * i / 7);
        }
        Picture.of(40, 24, rgb).writePng(picture);
    }

    private String[] upscale(String... more) {
        List<String> all = new ArrayList<>(List.of("upscale", picture.toString(), "-t", "1"));
        all.addAll(List.of("-o", folder.resolve("out.png").toString()));
        all.addAll(List.of(more));
        return all.toArray(String[]::new);
    }

    @Test
    void picturesAreThoseOfTheUpscaler() throws IOException {
        Path out = folder.resolve("out.png");
        try (Upscaler network = Upscaler.open(upscaler, ONE_THREAD)) {
            Picture small = Picture.read(picture);
            CommandRun run = CommandRun.done(upscale("--upscale-model", upscaler.toString()));
            assertTrue(run.out().startsWith(out + "  160x96"), run.out());
            assertEquals(network.upscale(small), Picture.read(out));
            run = CommandRun.done(
                    upscale("--upscale-model", upscaler.toString(), "--repeats", "2", "--tile-size", "16", "--json"));
            assertTrue(run.out().contains("\"width\":640,\"height\":384,\"scale\":4"), run.out());
            assertEquals(network.upscale(small, 2, 16, ProgressListener.NONE), Picture.read(out));
        }
    }

    @Test
    void wrongOptionsAndFilesAreRefused() throws IOException {
        String file = upscaler.toString();
        CommandRun.refused(folder, "--upscale-model: name the upscaler's file", upscale());
        CommandRun.refused(
                folder, "--upscale-repeats is 0", upscale("--upscale-model", file, "--upscale-repeats", "0"));
        CommandRun.refused(folder, "--upscale-tile-size is 15", upscale("--upscale-model", file, "--tile-size", "15"));
        CommandRun.refused(folder, "its sides must be", upscale("--upscale-model", file, "--repeats", "4"));
        CommandRun.refused(folder, "no upscaler", upscale("--upscale-model", model.toString()));
        CommandRun.refused(
                folder,
                "--upscale-model: " + folder.resolve("no"),
                upscale("--upscale-model", folder.resolve("no").toString()));
        String from = picture.toString();
        String to = folder.resolve("out.png").toString();
        CommandRun.refused(folder, "threads is 0", "upscale", from, "--upscale-model", file, "-o", to, "-t", "0");
        CommandRun.refused(folder, "does not end in .png", "upscale", from, "--upscale-model", file, "-o", to + ".jpg");
        CommandRun.refused(
                folder,
                file + " ",
                "upscale",
                file,
                "--upscale-model",
                file,
                "-o",
                folder.resolve("out.png").toString());
    }

    @Test
    void generatedPicturesAreEnlarged() throws IOException {
        GeneratedImage small;
        GeneratedImage second;
        try (Pipeline pipeline = Pipeline.open(model, ONE_THREAD);
                Upscaler network = Upscaler.open(upscaler, ONE_THREAD)) {
            ImageRequest.Builder request =
                    ImageRequest.builder("a red apple").size(64, 32).steps(2).seed(7);
            small = network.upscale(
                    pipeline.generate(request.build()).getFirst(), 2, Upscaler.TILE_SIZE, ProgressListener.NONE);
            Hires hires = new Hires(128, 64, Hires.Method.LANCZOS, network, 0, Hires.STRENGTH);
            second = pipeline.generate(request.hires(hires).build()).getFirst();
        }
        String file = upscaler.toString();
        CommandRun run = CommandRun.done(small("--upscale-model", file, "--upscale-repeats", "2", "--json"));
        assertArrayEquals(small.png(), Files.readAllBytes(folder.resolve("out.png")));
        assertTrue(run.out().contains("\"upscale_s\":"), run.out());
        run = CommandRun.done(small("--hires", "--hires-upscaler", file, "--json"));
        assertArrayEquals(second.png(), Files.readAllBytes(folder.resolve("out.png")));
        assertTrue(second.infotext().contains("Hires upscaler: x4"), second.infotext());
        assertTrue(!run.out().contains("upscale_s"), run.out());
    }

    @Test
    void whatGenerateCannotEnlargeIsRefusedBeforeItDraws() throws IOException {
        String file = upscaler.toString();
        CommandRun.refused(
                folder,
                "--upscale-model: a picture of 64x32 would become one of 16384x8192",
                small("--upscale-model", file, "--upscale-repeats", "4"));
        CommandRun.refused(folder, "no upscaler", small("--upscale-model", model.toString()));
        CommandRun.refused(folder, "--upscale-tile-size is -1", small("--upscale-tile-size", "-1"));
        CommandRun.refused(
                folder, "--hires-upscaler: " + model, small("--hires", "--hires-upscaler", model.toString()));
        CommandRun.refused(folder, "or the file of a model", small("--hires", "--hires-upscaler", "best"));
    }
}
