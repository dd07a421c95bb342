package io.aquarelle.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.aquarelle.GeneratedImage;
import io.aquarelle.ImageRequest;
import io.aquarelle.Picture;
import io.aquarelle.Pipeline;
import io.aquarelle.demo.DemoModel;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.NanoModel;
import io.aquarelle.sampling.Prediction;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class GenerateCommandTest extends DrawingTest {
    /** Arguments of a small picture in {@code folder}, and more. */
    private String[] small(Path file, String... more) {
        List<String> all = new ArrayList<>(List.of("generate", "a red apple", "-m", model.toString()));
        all.addAll(List.of("-W", "64", "-H", "32", "--steps", "2", "-t", "1", "-o", file.toString()));
        all.addAll(List.of(more));
        return all.toArray(String[]::new);
    }

    private void refused(String words, String... args) throws IOException {
        CommandRun.refused(folder, words, args);
    }

    private static List<GeneratedImage> draw(ImageRequest.Builder request) throws IOException {
        try (Pipeline pipeline = Pipeline.open(model, EngineOptions.ofThreads(1))) {
            return pipeline.generate(request.build());
        }
    }

    @Test
    void picturesAreThoseOfThePipeline() throws IOException {
        Path file = folder.resolve("apple.png");
        CommandRun run = CommandRun.done(small(
                file,
                "-n",
                "blurry",
                "-s",
                "7",
                "--cfg-scale",
                "2.5",
                "--rng",
                "cpu",
                "--sampling-method",
                "euler",
                "--scheduler",
                "karras",
                "--clip-skip",
                "2"));
        var request = ImageRequest.builder("a red apple")
                .negativePrompt("blurry")
                .size(64, 32)
                .steps(2)
                .seed(7)
                .guidance(2.5f)
                .rng("cpu")
                .sampler("euler")
                .schedule("karras")
                .clipSkip(2);
        assertArrayEquals(draw(request).getFirst().png(), Files.readAllBytes(file));
        assertTrue(run.out().matches("\\Q" + file + "\\E  seed 7  \\d+\\.\\d s\\R"), run.out());
        assertEquals("", run.err(), "nothing is shown in a pipe");
    }

    @Test
    void defaultsAreThoseOfTheLibrary() throws IOException {
        Path file = folder.resolve("out.png");
        CommandRun.done(("generate -p x -m " + model + " -W 8 -H 8 -s 3 -t 1 -o " + file).split(" "));
        assertArrayEquals(
                draw(ImageRequest.builder("x").size(8, 8).seed(3)).getFirst().png(), Files.readAllBytes(file));
    }

    @Test
    void withoutAModelItDrawsWithTheOneThatShipsAndItsSettings() throws IOException {
        Path file = folder.resolve("apple.png");
        CommandRun.done("generate", "red apple", "--steps", "2", "-s", "5", "-o", file.toString());
        try (Pipeline pipeline = Pipeline.open(DemoModel.file())) {
            var request = pipeline.request("red apple").steps(2).seed(5);
            GeneratedImage expected = pipeline.generate(request.build()).getFirst();
            assertEquals(128, expected.width());
            assertEquals(128, expected.height());
            assertArrayEquals(expected.png(), Files.readAllBytes(file));
        }
        refused("--width: width is 500", "generate", "red apple", "-W", "500", "-o", file.toString());
    }

    @Test
    void aSideThatIsGivenLeavesTheOtherToTheModel() throws IOException {
        Path file = folder.resolve("wide.png");
        CommandRun.done("generate", "red apple", "-W", "64", "--steps", "1", "-o", file.toString());
        var image = ImageIO.read(file.toFile());
        assertEquals(64, image.getWidth());
        assertEquals(128, image.getHeight());
    }

    @Test
    void predictionCanBeToldTheModel() throws IOException {
        Path file = folder.resolve("v.png");
        CommandRun.done(small(file, "-s", "7", "--prediction", "v"));
        var request = ImageRequest.builder("a red apple").size(64, 32).steps(2).seed(7);
        try (Pipeline pipeline = Pipeline.open(model, EngineOptions.ofThreads(1), Prediction.V)) {
            byte[] expected = pipeline.generate(request.build()).getFirst().png();
            assertArrayEquals(expected, Files.readAllBytes(file));
        }
        assertFalse(Arrays.equals(draw(request).getFirst().png(), Files.readAllBytes(file)));
        refused("--prediction", small(file, "--prediction", "flow"));
    }

    @Test
    void aMemoryLimitChangesThePictureByRoundingOnly() throws IOException {
        Path file = folder.resolve("out.png");
        String[] large = ("generate -p x -m " + model + " -W 128 -H 128 --steps 1 -s 7 -t 1 -o " + file).split(" ");
        CommandRun.done(large);
        BufferedImage whole = ImageIO.read(file.toFile());
        CommandRun run = CommandRun.done(Stream.concat(Stream.of(large), Stream.of("--max-memory", limit(large)))
                .toArray(String[]::new));
        assertEquals("", run.err());
        BufferedImage banded = ImageIO.read(file.toFile());
        for (int y = 0; y < 128; y++) {
            for (int x = 0; x < 128; x++) {
                for (int shift = 0; shift < 24; shift += 8) {
                    assertEquals(whole.getRGB(x, y) >> shift & 0xff, banded.getRGB(x, y) >> shift & 0xff, 1);
                }
            }
        }
        refused("max memory is 1 MB; decoding 64x32 pixels takes at least", small(file, "--max-memory", "1M"));
        for (String size : List.of("", "0", "-1", "big", "2X", "1e9", "99999T")) {
            refused("--max-memory", small(file, "--max-memory", size));
        }
    }

    /** The least memory, taken from the message that refuses less. */
    private static String limit(String... args) {
        String[] all =
                Stream.concat(Stream.of(args), Stream.of("--max-memory", "1M")).toArray(String[]::new);
        Matcher needed = Pattern.compile("at least (\\d+ ?M)B")
                .matcher(CommandRun.of(all).err());
        assertTrue(needed.find());
        return needed.group(1).replace(" ", "");
    }

    @Test
    void picturesOfABatchAreNumberedAndGoOnFromTheSeed() throws IOException {
        CommandRun run = CommandRun.done(small(folder.resolve("out.png"), "-b", "3", "-s", "41"));
        List<GeneratedImage> expected = draw(ImageRequest.builder("a red apple")
                .size(64, 32)
                .steps(2)
                .seed(41)
                .batch(3));
        List<String> names = List.of("out.png", "out_2.png", "out_3.png");
        for (int i = 0; i < 3; i++) {
            assertArrayEquals(expected.get(i).png(), Files.readAllBytes(folder.resolve(names.get(i))), names.get(i));
        }
        assertEquals(3, run.out().lines().count());
        assertTrue(run.out().contains("out_3.png  seed 43  "), run.out());
        assertEquals(3, CommandRun.listing(folder).size(), "nothing but three pictures");
    }

    @Test
    void samplersAndSchedulesGoByTheNamesOfThePeers() throws IOException {
        Path file = folder.resolve("out.png");
        CommandRun.done(
                small(file, "-s", "3", "--sampler", "DPM++ 2M SDE", "--schedule", "SGM Uniform", "--eta", "0.5"));
        var request = ImageRequest.builder("a red apple")
                .size(64, 32)
                .steps(2)
                .seed(3)
                .sampler("dpm++2m_sde")
                .schedule("sgm_uniform")
                .eta(0.5f);
        assertArrayEquals(draw(request).getFirst().png(), Files.readAllBytes(file));
    }

    @Test
    void ownSigmasCountTheSteps() throws IOException {
        Path file = folder.resolve("out.png");
        CommandRun run = CommandRun.done(small(file, "-s", "3", "--json", "--sigmas", "14.6,5,1.5,0"));
        assertEquals(3, new JsonMapper().readTree(run.out()).get("steps").asInt());
        var request = ImageRequest.builder("a red apple").size(64, 32).seed(3).sigmas(List.of(14.6f, 5f, 1.5f));
        assertArrayEquals(draw(request).getFirst().png(), Files.readAllBytes(file));
    }

    @Test
    void picturesToStartFromComeFromFiles() throws IOException {
        Path init = folder.resolve("init.png");
        Path mask = folder.resolve("mask.png");
        GeneratedImage first =
                draw(ImageRequest.builder("x").size(40, 24).steps(1).seed(1)).getFirst();
        first.writePng(init);
        draw(ImageRequest.builder("y").size(64, 32).steps(1).seed(2)).getFirst().writePng(mask);
        Path file = folder.resolve("out.png");
        CommandRun run = CommandRun.done(("generate apple -m " + model + " --steps 4 -t 1 -s 9 --json -o " + file
                        + " -i " + init + " --mask " + mask + " --strength 0.6")
                .split(" "));
        var request = ImageRequest.builder("apple")
                .steps(4)
                .seed(9)
                .image(Picture.read(init))
                .mask(Picture.read(mask))
                .strength(0.6f);
        assertArrayEquals(draw(request).getFirst().png(), Files.readAllBytes(file));
        assertEquals(40, new JsonMapper().readTree(run.out()).get("width").asInt());
        assertEquals(24, new JsonMapper().readTree(run.out()).get("height").asInt());
    }

    @Test
    void aMaskNeedsAPicture() throws IOException {
        Path mask = folder.resolve("mask.png");
        draw(ImageRequest.builder("y").size(8, 8).steps(1).seed(2)).getFirst().writePng(mask);
        refused(
                "--mask: a mask needs an image to lie on",
                "generate",
                "x",
                "-m",
                model.toString(),
                "--mask",
                mask.toString(),
                "-o",
                out().toString());
    }

    @Test
    void withoutASeedOrWithMinusOneItIsRandom() throws IOException {
        String first = CommandRun.done(small(folder.resolve("a.png"), "--json")).out();
        String second = CommandRun.done(small(folder.resolve("b.png"), "--json", "-s", "-1"))
                .out();
        long seed = new JsonMapper().readTree(first).get("seed").asLong();
        long other = new JsonMapper().readTree(second).get("seed").asLong();
        assertTrue(seed >= 0 && other >= 0 && seed != other, seed + " " + other);
        CommandRun.done(small(folder.resolve("c.png"), "-s", String.valueOf(seed)));
        assertArrayEquals(Files.readAllBytes(folder.resolve("a.png")), Files.readAllBytes(folder.resolve("c.png")));
    }

    @Test
    void seedsAreUnsigned() throws IOException {
        String seed = "18446744073709551615"; // the next one is 0
        Path file = folder.resolve("out.png");
        CommandRun run = CommandRun.done(small(file, "-s", seed, "-b", "2"));
        assertTrue(run.out().contains("out.png  seed " + seed + "  "), run.out());
        assertTrue(run.out().contains("out_2.png  seed 0  "), run.out());
        GeneratedImage image = draw(ImageRequest.builder("a red apple")
                        .size(64, 32)
                        .steps(2)
                        .seed(-1))
                .getFirst();
        assertArrayEquals(image.png(), Files.readAllBytes(file));
        assertTrue(image.infotext().contains("Seed: " + seed), image.infotext());
        JsonNode json = new JsonMapper()
                .readTree(CommandRun.done(small(file, "-s", seed, "--json")).out());
        assertEquals(seed, json.get("seed").asText());
        refused("'18446744073709551616' is no seed", small(file, "-s", "18446744073709551616"));
    }

    @Test
    void jsonIsOneObjectWithTheKeysOfTheContract() throws IOException {
        Path file = folder.resolve("äpfel.png");
        CommandRun run = CommandRun.done(small(file, "--json", "-s", "7"));
        JsonNode json = new JsonMapper().readTree(run.out());
        assertEquals(
                Set.of(
                        "seed",
                        "width",
                        "height",
                        "steps",
                        "unet_calls",
                        "load_s",
                        "text_s",
                        "denoise_s",
                        "decode_s",
                        "total_s",
                        "peak_rss_mb",
                        "output"),
                Set.copyOf(
                        json.propertyStream().map(java.util.Map.Entry::getKey).toList()));
        assertEquals(1, run.out().lines().count());
        assertEquals(7, json.get("seed").asLong());
        assertEquals(64, json.get("width").asInt());
        assertEquals(32, json.get("height").asInt());
        assertEquals(2, json.get("steps").asInt());
        assertEquals(4, json.get("unet_calls").asInt());
        assertEquals(file.toString(), json.get("output").asText());
        double parts = 0;
        for (String key : List.of("load_s", "text_s", "denoise_s", "decode_s")) {
            assertTrue(json.get(key).asDouble() > 0, key);
            parts += json.get(key).asDouble();
        }
        assertTrue(json.get("total_s").asDouble() >= parts - 0.01, run.out());
        assertTrue(json.get("peak_rss_mb").asDouble() > 10, run.out());
    }

    @Test
    void withoutGuidanceEachStepIsOneCall() throws IOException {
        CommandRun run = CommandRun.done(small(folder.resolve("out.png"), "--json", "--cfg-scale", "1"));
        assertEquals(2, new JsonMapper().readTree(run.out()).get("unet_calls").asInt());
    }

    @Test
    void jsonOfABatchNamesAllFiles() throws IOException {
        CommandRun run = CommandRun.done(small(folder.resolve("out.png"), "--json", "-b", "2"));
        JsonNode json = new JsonMapper().readTree(run.out());
        assertEquals(8, json.get("unet_calls").asInt());
        assertEquals(folder.resolve("out.png").toString(), json.get("output").asText());
        assertEquals(
                folder.resolve("out_2.png").toString(),
                json.get("outputs").get(1).asText());
        assertEquals(json.get("seed").asLong() + 1, json.get("seeds").get(1).asLong());
    }

    @Test
    void verboseTellsOfThePhasesOnStandardError() {
        CommandRun run = CommandRun.done(small(folder.resolve("out.png"), "-v"));
        assertTrue(run.err().contains("SD 1.x, threads 1"), run.err());
        assertTrue(run.err().contains("denoise "), run.err());
        assertEquals(1, run.out().lines().count());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "-W 500                  | --width: width is 500; it must be a multiple of 8",
                "-W 0                    | --width",
                "-W -8                   | --width",
                "-W 100000               | --width",
                "-H 500                  | --height",
                "-H 0                    | --height",
                "-H 100000               | --height",
                "--steps 0               | --steps",
                "--steps -1              | --steps",
                "--steps 100000          | --steps",
                "--cfg-scale NaN         | --cfg-scale",
                "--cfg-scale Infinity    | --cfg-scale",
                "--rng dice              | --rng: unknown rng 'dice'; use one of cuda, cpu, std_default",
                "--sampling-method foo   | --sampler: unknown sampler 'foo'; use one of euler, euler_a",
                "--scheduler foo         | --schedule: unknown schedule 'foo'; use one of discrete, karras",
                "--sigmas 1,2,0          | --sigmas: sigmas has 2.0 as number 2",
                "--sigmas 3,x            | --sigmas",
                "--eta -1                | --eta: eta is -1.0; it must be 0 to 100",
                "--eta NaN               | --eta",
                "--strength 1.5          | --strength: strength is 1.5; it must be 0 to 1",
                "--strength NaN          | --strength",
                "--strength 0.5          | --strength: there is no picture to start from",
                "-i /none/in.png         | /none/in.png: no such file",
                "-i /                    | / is not a file",
                "--clip-skip -1          | --clip-skip",
                "--clip-skip 99          | aquarelle: clip skip is 99; the text encoder has 3 layers",
                "--hires --hires-scale 1e9 | --hires-scale: it is 1.0E9; it must be 1 to 16",
                "--hires --hires-scale NaN | --hires-scale",
                "--canny                 | --canny: it is for control nets",
                "-b 0                    | --batch-count",
                "-b 1000000              | --batch-count",
                "-t 0                    | --threads",
                "-t 100000               | --threads",
                "-p again                | --prompt",
            })
    void badValuesAreRefused(String options, String words) throws IOException {
        List<String> args = new ArrayList<>(List.of("generate", "x", "-m", model.toString(), "-o", out().toString()));
        args.addAll(Arrays.asList(options.strip().split(" ")));
        refused(words.strip(), args.toArray(String[]::new));
    }

    @Test
    void olderNamesOfSamplersHoldThatOfTheSchedule() throws IOException {
        Path one = out();
        Path other = folder.resolve("other.png");
        CommandRun.done(small(one, "-s", "1", "--sampler", "DPM++ 2M Karras"));
        CommandRun.done(small(other, "-s", "1", "--sampler", "dpm++2m", "--schedule", "karras"));
        assertArrayEquals(Files.readAllBytes(one), Files.readAllBytes(other));
        refused("--sampler: unknown sampler 'DPM++ 9 Karras'", small(one, "--sampler", "DPM++ 9 Karras"));
        refused(
                "--sampler: unknown sampler 'DPM++ 2M Karras'",
                small(one, "--sampler", "DPM++ 2M Karras", "--schedule", "simple"));
    }

    @Test
    void aPromptIsRequiredOnce() throws IOException {
        refused("no prompt", "generate", "-m", model.toString(), "-o", out().toString());
    }

    @Test
    void promptsBeyondReasonAreRefusedByTheirName() throws IOException {
        String tooLong = "x".repeat(20_001);
        refused("--prompt: prompt has 20001", "generate", tooLong, "-m", model.toString(), "-o", out().toString());
        refused("--negative-prompt: ", "generate", "x", "-n", tooLong, "-m", model.toString(), "-o", out().toString());
    }

    @Test
    void outputIsCheckedBeforeTheModelIsOpened() throws IOException {
        String missing = folder.resolve("missing.safetensors").toString();
        refused("its folder does not exist", "generate", "x", "-m", missing, "-o", folder + "/none/out.png");
        refused("end in .png", "generate", "x", "-m", missing, "-o", folder + "/out.jpg");
        refused("end in .png", "generate", "x", "-m", missing, "-o", folder + "/");
        refused("--output: an empty name does not end in .png", "generate", "x", "-m", missing, "-o", "");
        refused("end in .png", "generate", "x", "-m", missing, "-o", folder + "/out", "-b", "2");
        refused("cannot be written", "generate", "x", "-m", missing, "-o", folder + "/" + "x".repeat(300) + ".png");
        Files.createDirectory(folder.resolve("out_2.png"));
        refused("out_2.png is not a file", "generate", "x", "-m", missing, "-b", "2", "-o", out().toString());
    }

    @Test
    void aFolderThatTakesNoFilesIsRefused() throws IOException {
        String missing = folder.resolve("missing.safetensors").toString();
        Path proc = Path.of("/proc/self");
        Path closed = Files.isDirectory(proc) ? proc : Files.createDirectory(folder.resolve("closed"));
        // Nobody writes to the one; the superuser would write to the other.
        assumeFalse(!closed.equals(proc) && closed.toFile().setWritable(false) && Files.isWritable(closed));
        refused("takes no new files", "generate", "x", "-m", missing, "-o", closed + "/out.png");
    }

    @Test
    void damagedModelsAreRefused() throws IOException {
        byte[] good = Files.readAllBytes(model);
        byte[] random = new byte[10_000];
        new Random(5).nextBytes(random);
        byte[] hugeHeader = ByteBuffer.allocate(100)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(1L << 60)
                .array();
        refusedModel("empty.safetensors", new byte[0]);
        refusedModel("tiny.safetensors", new byte[7]);
        refusedModel("half.safetensors", Arrays.copyOf(good, good.length / 2));
        refusedModel("nearly.safetensors", Arrays.copyOf(good, good.length - 1));
        refusedModel("random.safetensors", random);
        refusedModel("huge.safetensors", hugeHeader);
        refusedModel("overlap.safetensors", twoTensors("[0,8]", "[4,12]"));
        refusedModel("outside.safetensors", twoTensors("[0,8]", "[8,1000000]"));
        Path picture = folder.resolve("picture.safetensors");
        Files.write(picture, Arrays.copyOf("\u0089PNG\r\n\u001a\n".getBytes(StandardCharsets.ISO_8859_1), 100));
        refused("is a picture, not a model", "inspect", picture.toString());
        refused("no such file", "generate", "x", "-m", folder + "/missing.safetensors", "-o", out().toString());
        refused("is a folder", "generate", "x", "-m", folder.toString(), "-o", out().toString());
    }

    private void refusedModel(String name, byte[] bytes) throws IOException {
        Path file = Files.write(folder.resolve(name), bytes);
        refused(file + " ", "generate", "x", "-m", file.toString(), "-o", out().toString());
        refused(file + " ", "inspect", file.toString());
        refused(file + " ", "bench", "-m", file.toString());
    }

    private static byte[] twoTensors(String first, String second) {
        byte[] header = ("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":" + first
                        + "},\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":" + second + "}}")
                .getBytes(StandardCharsets.UTF_8);
        return ByteBuffer.allocate(Long.BYTES + header.length + 16)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(header.length)
                .put(header)
                .array();
    }

    @Test
    void modelsThatDoNotFitTogetherAreRefused() throws IOException {
        Path withoutVae = folder.resolve("without-vae.safetensors");
        NanoModel.writeDrawable(withoutVae, name -> !name.startsWith("first_stage_model."));
        refused("first_stage_model.", "generate", "x", "-m", withoutVae.toString(), "-o", out().toString());

        Path withoutText = folder.resolve("without-text.safetensors");
        NanoModel.writeDrawable(withoutText, name -> !name.startsWith("cond_stage_model."));
        refused("cond_stage_model.", "generate", "x", "-m", withoutText.toString(), "-o", out().toString());

        Path misfit = folder.resolve("misfit.safetensors");
        NanoModel.writeMisfit(misfit);
        refused("width 64", "generate", "x", "-m", misfit.toString(), "-o", out().toString());
    }

    @Test
    void aStopIsStatus130AndWritesNothing() throws IOException {
        var interrupt = new Interrupt();
        interrupt.stopAndWait();
        CommandRun run = CommandRun.of(interrupt, small(folder.resolve("out.png")));
        assertEquals(Main.CANCELLED, run.status(), run.toString());
        assertEquals(1, run.err().lines().count(), run.err());
        assertEquals(Set.of(), CommandRun.listing(folder).keySet());
    }

    @Test
    void aProcessToldToStopKeepsFinishedPicturesAndLeavesNoHalfOnes() throws Exception {
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        List<String> command = new ArrayList<>(List.of(java, "--enable-native-access=ALL-UNNAMED"));
        for (String property : List.of("aquarelle.library", "aquarelle.cache", "java.awt.headless")) {
            if (System.getProperty(property) != null) {
                command.add("-D" + property + "=" + System.getProperty(property));
            }
        }
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), Main.class.getName()));
        command.addAll(List.of(small(folder.resolve("out.png"), "-b", "1000")));
        Path log = models.resolve("stopped.log");
        Process process = new ProcessBuilder(command)
                .redirectOutput(log.toFile())
                .redirectErrorStream(true)
                .start();
        while (process.isAlive() && !Files.exists(folder.resolve("out_3.png"))) {
            Thread.sleep(20);
        }
        process.destroy(); // SIGTERM; unlike SIGINT, no shell has it ignored
        assertEquals(128 + 15, process.waitFor(), () -> read(log));
        assertTrue(read(log).strip().endsWith("aquarelle: stopped; finished pictures stay"), read(log));
        Set<Path> files = CommandRun.listing(folder).keySet();
        for (Path file : files) {
            assertTrue(file.toString().endsWith(".png"), file.toString());
            assertEquals(64, ImageIO.read(file.toFile()).getWidth());
        }
        assertTrue(files.size() < 1000, "it stopped");
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            return e.toString();
        }
    }
}
