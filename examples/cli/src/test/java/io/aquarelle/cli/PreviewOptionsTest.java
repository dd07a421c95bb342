package io.aquarelle.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.ImageRequest;
import io.aquarelle.Picture;
import io.aquarelle.Pipeline;
import io.aquarelle.Preview;
import io.aquarelle.Progress;
import io.aquarelle.ProgressListener;
import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.ModelFiles;
import io.aquarelle.model.NanoModel;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class PreviewOptionsTest extends DrawingTest {
    private static String tiny;

    @BeforeAll
    static void write() throws IOException {
        tiny = NanoModel.golden("taesd-nano").toString();
    }

    private Path shown() {
        return folder.resolve("shown.png");
    }

    @Override
    String[] small(String... more) {
        List<String> all = new ArrayList<>(List.of(small(5, "--preview-path", shown().toString())));
        all.addAll(List.of(more));
        return all.toArray(String[]::new);
    }

    private static Pipeline pipeline(boolean withTiny) throws IOException {
        ModelFiles files = ModelFiles.of(model);
        return Pipeline.open(
                Checkpoint.open(withTiny ? files.withVae(Path.of(tiny)) : files), EngineOptions.ofThreads(1), null);
    }

    private static ImageRequest request() {
        return ImageRequest.builder("a red apple").size(64, 32).steps(5).seed(7).build();
    }

    private static byte[] drawn(boolean withTiny) throws IOException {
        try (Pipeline pipeline = pipeline(withTiny)) {
            return pipeline.generate(request()).getFirst().png();
        }
    }

    /** What a listener sees after one of the steps. */
    private static Picture preview(Pipeline pipeline, int step, Function<Preview, Picture> look) {
        List<Picture> seen = new ArrayList<>();
        pipeline.generate(request(), new ProgressListener() {
            @Override
            public void progress(Progress progress) {}

            @Override
            public void preview(Preview preview) {
                if (preview.progress().step() == step) {
                    seen.add(look.apply(preview));
                }
            }
        });
        return seen.getFirst();
    }

    @Test
    void tinyAutoencodersTakeThePlaceOfTheVae() throws IOException {
        byte[] expected = drawn(true);
        for (String option : List.of("--taesd", "--tae", "--vae")) {
            CommandRun.done(small(option, tiny));
            assertArrayEquals(expected, Files.readAllBytes(out()), option);
        }
        assertFalse(Files.exists(shown()), "nobody asked for a preview");
        CommandRun.done(small("--taesd", tiny, "--taesd-preview-only"));
        assertArrayEquals(drawn(false), Files.readAllBytes(out()));
    }

    @Test
    void previewsAreThoseOfThePipeline() throws IOException {
        try (Pipeline pipeline = pipeline(false)) {
            CommandRun.done(small("--preview", "proj"));
            assertEquals(preview(pipeline, 5, Preview::projected), Picture.read(shown()));
            CommandRun.done(small("--preview", "proj", "--preview-interval", "4"));
            assertEquals(preview(pipeline, 4, Preview::projected), Picture.read(shown()));
            CommandRun.done(small("--preview", "vae", "--preview-interval", "3"));
            assertEquals(preview(pipeline, 3, Preview::decoded), Picture.read(shown()));
            assertArrayEquals(drawn(false), Files.readAllBytes(out()));

            CommandRun.done(
                    small("--preview", "tae", "--preview-interval", "2", "--taesd", tiny, "--taesd-preview-only"));
            var autoencoder = pipeline.autoencoder(Path.of(tiny));
            assertEquals(preview(pipeline, 4, it -> it.decoded(autoencoder)), Picture.read(shown()));
            assertArrayEquals(drawn(false), Files.readAllBytes(out()));
        }
        try (Pipeline pipeline = pipeline(true)) {
            CommandRun.done(small("--preview", "TAE", "--preview-interval", "3", "--taesd", tiny));
            assertEquals(preview(pipeline, 3, Preview::decoded), Picture.read(shown()));
            assertArrayEquals(drawn(true), Files.readAllBytes(out()));
        }
    }

    @Test
    void wrongOptionsAreRefused() throws IOException {
        CommandRun.refused(folder, "--preview: tae needs a tiny autoencoder", small("--preview", "tae"));
        CommandRun.refused(folder, "--preview", small("--preview", "best"));
        CommandRun.refused(folder, "--taesd-preview-only: there is no tiny", small("--taesd-preview-only"));
        CommandRun.refused(folder, "--preview-interval: it is 0", small("--preview-interval", "0"));
        CommandRun.refused(folder, "shown.jpg does not end in .png", path("shown.jpg"));
        CommandRun.refused(folder, "its folder does not exist", path("no/shown.png"));
        CommandRun.refused(folder, "is where --output puts a picture", path("out.png"));
        Path input = folder.resolve("in.png");
        ImageIO.write(new BufferedImage(8, 8, BufferedImage.TYPE_INT_RGB), "png", input.toFile());
        CommandRun.refused(folder, "is a picture to be read", path("in.png", "-i", input.toString()));
        CommandRun.refused(
                folder,
                "there is no such file",
                small("--taesd", folder.resolve("no").toString()));
        CommandRun.refused(
                folder,
                "has no VAE",
                small("--taesd", NanoModel.golden("image-nano").toString()));
        String encoder = NanoModel.golden("taesd-nano-encoder").toString();
        CommandRun.refused(folder, "VAE without decoder", small("--taesd", encoder));
        CommandRun.refused(
                folder,
                "--taesd: " + encoder + " has an autoencoder without decoder",
                small("--taesd", encoder, "--taesd-preview-only", "--preview", "tae"));
    }

    private String[] path(String name, String... more) {
        List<String> all = new ArrayList<>(List.of(small("--preview", "proj")));
        all.replaceAll(
                it -> it.equals(shown().toString()) ? folder.resolve(name).toString() : it);
        all.addAll(List.of(more));
        return all.toArray(String[]::new);
    }

    @Test
    void dryRunsWriteNoPreview() throws IOException {
        CommandRun.done(small("--preview", "proj", "--dry-run"));
        assertEquals(0, CommandRun.listing(folder).size());
    }

    @Test
    void whatIsStoppedLeavesAWholePreviewAndNothingElse() throws IOException {
        var interrupt = new Interrupt();
        Thread stop = new Thread(() -> {
            while (!Files.exists(shown())) {
                Thread.onSpinWait();
            }
            interrupt.stopAndWait();
        });
        stop.setDaemon(true);
        stop.start();
        String[] endless = small("--preview", "proj");
        endless[List.of(endless).indexOf("--steps") + 1] = "1000";
        CommandRun run = CommandRun.of(interrupt, endless);
        interrupt.finished();
        assertEquals(Main.CANCELLED, run.status(), run.toString());
        assertEquals(List.of(shown()), List.copyOf(CommandRun.listing(folder).keySet()));
        assertTrue(Picture.read(shown()).width() == 8);
    }
}
