package io.aquarelle;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.Progress.Phase;
import io.aquarelle.model.Autoencoder;
import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.EditableModel;
import io.aquarelle.model.EditableModel.Tensor;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.ModelFiles;
import io.aquarelle.model.ModelFormatException;
import io.aquarelle.model.ModelSpec;
import io.aquarelle.model.NanoModel;
import io.aquarelle.sampling.NoiseSchedule;
import io.aquarelle.sampling.SigmaSchedules;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PreviewTest {
    private static final int SIDE = 64;

    @TempDir
    static Path folder;

    private static Path nano;
    private static Pipeline pipeline;

    @BeforeAll
    static void open() throws IOException {
        nano = EditableModel.of("sd1-nano").withVocabulary().write(folder.resolve("nano.safetensors"));
        pipeline = Pipeline.open(nano, EngineOptions.ofThreads(1));
    }

    @AfterAll
    static void close() {
        pipeline.close();
    }

    private static ImageRequest.Builder request() {
        return ImageRequest.builder("a red apple")
                .size(SIDE, SIDE)
                .steps(3)
                .seed(5)
                .sampler("euler");
    }

    /** Hears previews alone. */
    private static ProgressListener listener(Consumer<Preview> each) {
        return new ProgressListener() {
            @Override
            public void progress(Progress progress) {}

            @Override
            public void preview(Preview preview) {
                each.accept(preview);
            }
        };
    }

    private static byte[] draw(Pipeline on, ImageRequest.Builder request, Consumer<Preview> each) {
        return on.generate(request.build(), listener(each)).getFirst().rgb();
    }

    private static void assertClose(byte[] expected, byte[] actual) {
        assertEquals(expected.length, actual.length);
        for (int i = 0; i < expected.length; i++) {
            assertEquals(expected[i] & 0xff, actual[i] & 0xff, 1, "value " + i);
        }
    }

    @Test
    void aPreviewOfEachPictureFollowsEachStep() {
        List<Object> heard = new ArrayList<>();
        var listener = new ProgressListener() {
            @Override
            public void progress(Progress progress) {
                heard.add(progress);
            }

            @Override
            public void preview(Preview preview) {
                heard.add(preview.progress());
            }
        };
        pipeline.generate(request().batch(2).build(), listener);
        List<Object> expected = new ArrayList<>();
        expected.add(new Progress(Phase.DENOISE, 0, 2, 0, 3));
        for (int step = 1; step <= 3; step++) {
            expected.add(new Progress(Phase.DENOISE, 0, 2, step, 3));
            expected.add(new Progress(Phase.DENOISE, 0, step, 3));
            expected.add(new Progress(Phase.DENOISE, 1, step, 3));
        }
        for (int image = 0; image < 2; image++) {
            expected.add(new Progress(Phase.DECODE, image, 0, 1));
            expected.add(new Progress(Phase.DECODE, image, 1, 1));
        }
        assertEquals(expected, heard.subList(3, heard.size()));
    }

    @Test
    void previewsEndInThePictureAndLeaveItAlone() {
        List<Picture> pictures = new ArrayList<>();
        byte[] drawn = draw(pipeline, request(), preview -> pictures.add(preview.decoded()));
        assertArrayEquals(
                pipeline.generate(request().build()).getFirst().rgb(), drawn, "pictures don't depend on previews");
        assertEquals(3, pictures.size());
        // Euler's last step takes its estimate.
        assertClose(drawn, pictures.getLast().rgb());
        // The first estimate is that of a run of the first level alone.
        float first = SigmaSchedules.DISCRETE.sigmas(NoiseSchedule.stableDiffusion(), 3)[0];
        byte[] alone = draw(pipeline, request().sigmas(List.of(first)), preview -> {});
        assertClose(alone, pictures.getFirst().rgb());
    }

    @Test
    void aTinyAutoencoderSeesWhatItWouldDecodeAtTheEnd() throws IOException {
        Path tiny = NanoModel.golden("taesd-nano");
        Autoencoder autoencoder = pipeline.autoencoder(tiny);
        assertSame(autoencoder, pipeline.autoencoder(tiny));
        List<Picture> pictures = new ArrayList<>();
        draw(pipeline, request(), preview -> pictures.add(preview.decoded(autoencoder)));
        try (Pipeline other =
                Pipeline.open(Checkpoint.open(ModelFiles.of(nano).withVae(tiny)), EngineOptions.ofThreads(1), null)) {
            List<Picture> own = new ArrayList<>();
            byte[] drawn = draw(other, request(), preview -> own.add(preview.decoded()));
            assertEquals(own, pictures);
            assertClose(drawn, pictures.getLast().rgb());
        }
    }

    /** By hand from the numbers of the two families: (1 + factors + offsets) / 2 of 255. */
    @Test
    void coloursAreThoseOfTheFamily() throws IOException {
        assertArrayEquals(new byte[] {(byte) 168, (byte) 148, (byte) 147}, colour("sd1-nano", 1, 0, 0, 0));
        assertArrayEquals(new byte[] {(byte) 168, (byte) 148, (byte) 147}, colour("sd2-nano", 1, 0, 0, 0));
        assertArrayEquals(new byte[] {(byte) 173, (byte) 142, (byte) 139}, colour("sdxl-nano", 0, 0, 0, -1));
    }

    private static byte[] colour(String model, float... latent) throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(NanoModel.golden(model))) {
            return LatentColours.of(ModelSpec.of(checkpoint))
                    .picture(latent, 1, 1)
                    .rgb();
        }
    }

    @Test
    void projectionsHaveAPixelForEachCell() {
        List<Picture> pictures = new ArrayList<>();
        draw(pipeline, request().size(SIDE, SIDE / 2), preview -> pictures.add(preview.projected()));
        assertEquals(3, pictures.size());
        assertEquals("8x4", pictures.getFirst().toString());
        assertTrue(!pictures.getFirst().equals(pictures.getLast()));
        // Cells and channels in their order.
        float[] latent = {1, 0, 0, 0, 0, 0, 0, 0};
        byte[] rgb = colours().picture(latent, 1, 2).rgb();
        assertEquals(168, rgb[0] & 0xff);
        assertEquals(125, rgb[3] & 0xff);
    }

    private static LatentColours colours() {
        return LatentColours.of(pipeline.spec());
    }

    @Test
    void whereTheColoursAreUnknownTheVaeTellsThem() throws IOException {
        EditableModel other = EditableModel.of("sd1-nano").withVocabulary();
        other.metadata.put("scale_factor", "0.5");
        Path file = other.write(folder.resolve("other.safetensors"));
        try (Pipeline own = Pipeline.open(file, EngineOptions.ofThreads(1))) {
            draw(own, request(), preview -> assertEquals(preview.decoded().fitted(8, 8), preview.projected()));
        }
    }

    @Test
    void secondPassesHavePreviewsOfTheirSize() {
        List<String> sizes = new ArrayList<>();
        draw(pipeline, request().hires(Hires.of(96, 80)), preview -> sizes.add("" + preview.projected()));
        assertEquals(List.of("8x8", "8x8", "8x8", "12x10", "12x10", "12x10"), sizes);
    }

    @Test
    void previewsAreThereDuringTheirCallOnly() {
        List<Preview> kept = new ArrayList<>();
        draw(pipeline, request(), kept::add);
        for (Preview preview : kept) {
            assertThrows(IllegalStateException.class, preview::projected);
            assertThrows(IllegalStateException.class, preview::decoded);
        }
    }

    @Test
    void aListenersFailureAndCancellingEndTheGeneration() {
        var failure = new IllegalStateException("enough");
        assertSame(
                failure,
                assertThrows(
                        IllegalStateException.class,
                        () -> draw(pipeline, request(), preview -> {
                            throw failure;
                        })));
        assertThrows(
                GenerationCancelledException.class,
                () -> draw(pipeline, request(), preview -> {
                    pipeline.cancel();
                    preview.decoded();
                }));
    }

    @Test
    void autoencodersThatDoNotFitAreRefused() throws IOException {
        assertRefused(NanoModel.golden("sd1-nano-control"), "there is no VAE here");
        assertRefused(NanoModel.golden("taesd-nano-encoder"), "an autoencoder without decoder");
        EditableModel wide = EditableModel.empty();
        EditableModel.of("taesd-nano-decoder").tensors.forEach((name, tensor) -> {
            boolean first = name.endsWith("model.1.weight");
            wide.tensors.put(name, first ? new Tensor(List.of(8L, 16L, 3L, 3L), new float[8 * 16 * 9]) : tensor);
        });
        assertRefused(
                wide.write(folder.resolve("wide.safetensors")), "16 latent channels, 3 colours and 8 pixels a cell");
    }

    private static void assertRefused(Path file, String words) {
        var failure = assertThrows(ModelFormatException.class, () -> pipeline.autoencoder(file));
        assertTrue(failure.getMessage().startsWith(file + " "), failure.getMessage());
        assertTrue(failure.getMessage().contains(words), failure.getMessage());
    }

    @Test
    void picturesAreWrittenWhole() throws IOException {
        byte[] rgb = new byte[3 * 6];
        IntStream.range(0, rgb.length).forEach(i -> rgb[i] = (byte) (10 * i));
        Picture picture = Picture.of(3, 2, rgb);
        Path file = folder.resolve("picture.png");
        picture.writePng(file);
        assertEquals(picture, Picture.read(file));
        assertEquals(picture, Picture.of(ImageIO.read(file.toFile())));
        assertEquals(picture, Picture.of(picture.toBufferedImage()));
        assertThrows(IOException.class, () -> picture.writePng(folder));
    }
}
