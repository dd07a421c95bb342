package io.aquarelle;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.Progress.Phase;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.NanoModel;
import io.aquarelle.plan.StepPolicy;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AutoPlanTest {
    @TempDir
    static Path models;

    @TempDir
    Path folder;

    private static Pipeline pipeline;
    private static AutoPlan found; // for 18 dB

    @BeforeAll
    static void open() throws IOException {
        Path model = models.resolve("nano.safetensors");
        NanoModel.writeDrawable(model);
        pipeline = Pipeline.open(model, EngineOptions.ofThreads(1));
        found = pipeline.autoPlan(request().build(), 18, ProgressListener.NONE, models.resolve("cache"));
    }

    @AfterAll
    static void close() {
        pipeline.close();
    }

    private static ImageRequest.Builder request() {
        return ImageRequest.builder("anything")
                .size(32, 32)
                .steps(6)
                .sampler("euler")
                .guidance(2);
    }

    /** The lowest PSNR of the calibration pictures, written out. */
    private static double psnr(StepPolicy plan) {
        double worst = Double.POSITIVE_INFINITY;
        List<String> prompts = List.of("a red apple", "a smiling face", "a house by a lake");
        for (int i = 0; i < prompts.size(); i++) {
            ImageRequest full = request().prompt(prompts.get(i)).seed(1001 + i).build();
            byte[] a = pipeline.generate(full).getFirst().rgb();
            byte[] b = pipeline.generate(full.toBuilder().plan(plan).build())
                    .getFirst()
                    .rgb();
            long sum = 0;
            for (int p = 0; p < a.length; p++) {
                long difference = Byte.toUnsignedInt(a[p]) - Byte.toUnsignedInt(b[p]);
                sum += difference * difference;
            }
            worst = Math.min(worst, 20 * Math.log10(255) - 10 * Math.log10((double) sum / a.length));
        }
        return worst;
    }

    @Test
    void theBoundHoldsAndTheShareIsMeasured() {
        assertTrue(found.psnr() >= 18, found.toString());
        assertTrue(found.share() < 0.95, found.toString());
        assertEquals(psnr(found.policy()), found.psnr(), 1e-9);
        ImageRequest planned =
                request().prompt("a red apple").seed(1001).plan(found.policy()).build();
        double work = pipeline.generate(planned).getFirst().work().multiplyAdds();
        double whole = pipeline.generate(
                        planned.toBuilder().plan(StepPolicy.FULL).build())
                .getFirst()
                .work()
                .multiplyAdds();
        if (found.inherit().stream()
                .noneMatch(each -> each.contains("~"))) { // adaptive ones differ from picture to picture
            assertEquals(work / whole, found.share(), 1e-9);
        }
    }

    @Test
    void whatWasFoundIsKept() throws IOException {
        ProgressListener never = progress -> {
            throw new AssertionError(progress);
        };
        Path cache = models.resolve("cache");
        assertEquals(found, pipeline.autoPlan(request().build(), 18, never, cache));
        assertEquals(found, pipeline.autoPlan(request().seed(9).prompt("else").build(), 18, never, cache));
        try (Stream<Path> files = Files.list(cache)) {
            assertEquals(1, files.count(), "no temporary file stays");
        }
        // Anything that the plan depends on makes it be found anew.
        for (ImageRequest other : List.of(
                request().steps(7).build(),
                request().sampler("heun").build(),
                request().guidance(3).build(),
                request().size(32, 64).build())) {
            assertThrows(AssertionError.class, () -> pipeline.autoPlan(other, 18, never, cache));
        }
        assertThrows(AssertionError.class, () -> pipeline.autoPlan(request().build(), 19, never, cache));
    }

    @Test
    void damagedFilesAreNone() throws IOException {
        Path cache = models.resolve("cache");
        Path file;
        try (Stream<Path> files = Files.list(cache)) {
            file = files.findFirst().orElseThrow();
        }
        String text = Files.readString(file);
        Path copy = Files.createDirectories(folder.resolve("copy")).resolve(file.getFileName());
        ProgressListener stop = progress -> {
            throw new IllegalStateException("a search");
        };
        for (String damaged : List.of(
                "",
                text.substring(0, text.length() / 2),
                text.replace("complete=true\n", ""),
                text.replaceAll("share=.*", "share=x"),
                text.replaceAll("share=.*", "share=NaN"),
                text.replaceAll("psnr=.*\n", ""),
                text.replaceAll("inherit=.*", "inherit=nonsense"),
                "\\u12")) {
            Files.writeString(copy, damaged);
            assertThrows(
                    IllegalStateException.class,
                    () -> pipeline.autoPlan(request().build(), 18, stop, copy.getParent()),
                    damaged);
        }
        Files.writeString(copy, text);
        assertEquals(found, pipeline.autoPlan(request().build(), 18, stop, copy.getParent()));
    }

    @Test
    void cancelledSearchesLeaveNothing() throws IOException {
        ProgressListener cancel = progress -> {
            if (progress.phase() == Phase.DENOISE && progress.step() == 2) {
                pipeline.cancel();
            }
        };
        Path cache = folder.resolve("cancelled");
        assertThrows(
                GenerationCancelledException.class,
                () -> pipeline.autoPlan(request().build(), 18, cancel, cache));
        assertTrue(!Files.exists(cache) || Files.list(cache).findAny().isEmpty());
    }

    @Test
    void whatHasNoPlanIsRefused() {
        Picture picture = Picture.of(8, 8, new byte[3 * 64]);
        for (double quality : new double[] {9, 101, Double.NaN}) {
            assertThrows(
                    IllegalArgumentException.class,
                    () -> pipeline.autoPlan(request().build(), quality, ProgressListener.NONE, folder));
        }
        assertThrows(
                IllegalArgumentException.class,
                () -> pipeline.autoPlan(request().image(picture).build(), 20, ProgressListener.NONE, folder));
    }

    @Test
    void largePicturesAreMeasuredSmall() {
        ImageRequest large =
                PlanSearch.calibration(request().size(512, 768).batch(4).build());
        assertEquals(192, large.width());
        assertEquals(320, large.height());
        assertEquals(1, large.batch());
        ImageRequest small = PlanSearch.calibration(request().size(40, 72).build());
        assertEquals(40, small.width());
        assertEquals(72, small.height());
    }

    @Test
    void plansAreSaidInALine() {
        AutoPlan plan = new AutoPlan(50, List.of("layer:2/6", "layer:0/3"), 30, 31.26, 0.4, 3, 64, 32);
        assertEquals(
                "--cond-only-last 50 --inherit layer:2/6 --inherit layer:0/3 no middle block in the last 30% (40.0% of the"
                        + " multiply-adds, at least 31.3 dB on 3 pictures of 64x32)",
                plan.toString());
        assertArrayEquals(new int[] {50, 30}, new int[] {plan.condOnlyLast(), plan.skipMiddleLast()});
        assertThrows(IllegalArgumentException.class, () -> new AutoPlan(50, List.of("x"), 0, 30, 1, 3, 8, 8));
    }
}
