package io.aquarelle.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.Canny;
import io.aquarelle.Control;
import io.aquarelle.GeneratedImage;
import io.aquarelle.Hires;
import io.aquarelle.ImageRequest;
import io.aquarelle.Picture;
import io.aquarelle.Pipeline;
import io.aquarelle.Variation;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.NanoControlNet;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Options of control nets, second passes and variations. */
class AddOnOptionsTest extends DrawingTest {
    private static Path net;
    private static Path picture;

    @BeforeAll
    static void write() throws IOException {
        net = NanoControlNet.of("sd1-nano").write(models.resolve("control.safetensors"));
        picture = models.resolve("picture.png");
        try (Pipeline pipeline = Pipeline.open(model, EngineOptions.ofThreads(1))) {
            pipeline.generate(ImageRequest.builder("x")
                            .size(64, 64)
                            .steps(1)
                            .seed(1)
                            .build())
                    .getFirst()
                    .writePng(picture);
        }
    }

    private byte[] drawn(String... more) throws IOException {
        CommandRun.done(small(more));
        return Files.readAllBytes(folder.resolve("out.png"));
    }

    private interface Change {
        ImageRequest.Builder apply(Pipeline pipeline, ImageRequest.Builder request) throws IOException;
    }

    private static List<GeneratedImage> images(Change change) throws IOException {
        try (Pipeline pipeline = Pipeline.open(model, EngineOptions.ofThreads(1))) {
            var request =
                    ImageRequest.builder("a red apple").size(64, 32).steps(2).seed(7);
            return pipeline.generate(change.apply(pipeline, request).build());
        }
    }

    private static byte[] image(Change change) throws IOException {
        return images(change).getFirst().png();
    }

    @Test
    void controlNetsAreThoseOfThePipeline() throws IOException {
        Picture hint = Picture.read(picture);
        String[] options = {"--control-net", net.toString(), "--control-image", picture.toString()};
        assertArrayEquals(
                image((pipeline, request) -> request.controls(List.of(Control.of(pipeline.controlNet(net), hint)))),
                drawn(options));
        assertArrayEquals(
                image((pipeline, request) -> request.controls(List.of(
                        new Control(pipeline.controlNet(net), hint, Canny.DEFAULT, 0.5f, 0, 0.5f),
                        new Control(pipeline.controlNet(net), hint, Canny.DEFAULT, 1, 0.5f, 1)))),
                drawn(("--canny --control-net %1$s --control-net %1$s --control-image %2$s --control-strength 0.5"
                                + " --control-strength 1 --control-start 0 --control-start 0.5"
                                + " --control-end 0.5 --control-end 1")
                        .formatted(net, picture)
                        .split(" ")));
    }

    @Test
    void dryRunsCountControlNets() throws IOException {
        String[] options = small("--dry-run", "--control-net", net.toString(), "--control-image", picture.toString());
        List<String> lines = CommandRun.done(options).out().lines().toList();
        assertTrue(lines.get(0).endsWith("multiply-adds  control nets"), lines.get(0));
        assertTrue(lines.get(1).matches(".* 100\\.0% +\\d\\d\\.\\d%"), lines.get(1));
        assertTrue(CommandRun.done(small("--dry-run")).out().startsWith("call  step"));
        assertTrue(!CommandRun.done(small("--dry-run")).out().contains("control nets"));
        List<String> json = new ArrayList<>(List.of(options));
        json.add("--json");
        String out = CommandRun.done(json.toArray(String[]::new)).out();
        assertTrue(out.matches("(?s).*\"control_multiply_adds\" ?: ?[1-9].*"), out);
    }

    @Test
    void wrongControlOptionsAreRefused() throws IOException {
        String file = net.toString();
        CommandRun.refused(folder, "--control-net: it needs a picture", small("--control-net", file));
        CommandRun.refused(folder, "--control-image: it needs a net", small("--control-image", picture.toString()));
        CommandRun.refused(
                folder,
                "--control-image: it is there 2 times for 1 control nets",
                small("--control-net", file, "--control-image", "a", "--control-image", "b"));
        CommandRun.refused(
                folder,
                "no control net",
                small("--control-net", model.toString(), "--control-image", picture.toString()));
        CommandRun.refused(
                folder,
                "control strength is -1.0",
                small("--control-net", file, "--control-image", picture.toString(), "--control-strength", "-1"));
        CommandRun.refused(
                folder,
                "--control-net: " + folder.resolve("no"),
                small("--control-net", folder.resolve("no").toString(), "--control-image", picture.toString()));
        CommandRun.refused(folder, "name all three", small("--ip-adapter", file));
        CommandRun.refused(
                folder,
                "--ip-adapter: " + file + " lacks tensor 'ip_adapter.1.to_k_ip.weight'",
                small("--ip-adapter", file, "--clip_vision", file, "--ip-adapter-image", picture.toString()));
        CommandRun.refused(folder, "--sun: " + model + " lacks tensor", small("--sun", model.toString()));
    }

    @Test
    void secondPassesAreThoseOfThePipeline() throws IOException {
        assertArrayEquals(
                image((pipeline, request) -> request.hires(Hires.of(128, 64))), drawn("--hires", "--hires-scale", "2"));
        Hires hires = new Hires(72, 40, Hires.Method.LANCZOS, 1, 0.3f);
        assertArrayEquals(
                image((pipeline, request) -> request.hires(hires)),
                drawn(("--hires --hires-width 72 --hires-height 40 --hires-upscaler lanczos --hires-steps 1"
                                + " --hires-denoising-strength 0.3")
                        .split(" ")));
        CommandRun.refused(folder, "no hires upscaler 'best'", small("--hires", "--hires-upscaler", "best"));
        CommandRun.refused(folder, "hires width is 71", small("--hires", "--hires-width", "71"));
    }

    @Test
    void picturesOfABatchVaryOneSeed() throws IOException {
        List<GeneratedImage> two = images(
                (pipeline, request) -> request.variation(new Variation(3, 0.2f)).batch(2));
        assertArrayEquals(
                two.getFirst().png(), drawn("--variation-seed", "3", "--variation-strength", "0.2", "-b", "2"));
        assertArrayEquals(two.getLast().png(), Files.readAllBytes(folder.resolve("out_2.png")));
        CommandRun.refused(folder, "variation strength is 2.0", small("--variation-strength", "2"));
        assertEquals(7, two.getLast().seed());
        assertTrue(CommandRun.done(small("--img-cfg-scale", "2")).err().isEmpty());
    }
}
