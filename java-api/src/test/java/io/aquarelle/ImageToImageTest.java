package io.aquarelle;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.Progress.Phase;
import io.aquarelle.model.Autoencoder;
import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.Engine;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.ModelSpec;
import io.aquarelle.model.NanoModel;
import io.aquarelle.model.Weights;
import io.aquarelle.sampling.RandomSources;
import io.aquarelle.sampling.Samplers;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ImageToImageTest {
    private static final int SIDE = 64;

    @TempDir
    static Path folder;

    private static Pipeline pipeline;

    @BeforeAll
    static void open() throws IOException {
        Path model = folder.resolve("nano.safetensors");
        NanoModel.writeDrawable(model);
        pipeline = Pipeline.open(model, EngineOptions.ofThreads(1));
    }

    @AfterAll
    static void close() {
        pipeline.close();
    }

    private static Picture picture() {
        return rings(SIDE, SIDE);
    }

    private static Picture rings(int width, int height) {
        byte[] rgb = new byte[3 * width * height];
        for (int i = 0; i < rgb.length; i++) {
            int p = i / 3;
            double distance = Math.hypot(p % width - width / 2.0, p / (double) width - height / 2.0);
            rgb[i] = (byte) (127 + 100 * Math.sin(distance / 5 + i % 3));
        }
        return Picture.of(width, height, rgb);
    }

    /** Light in the columns from {@code from} on. */
    private static Picture mask(int from) {
        byte[] rgb = new byte[3 * SIDE * SIDE];
        for (int i = 0; i < rgb.length; i++) {
            rgb[i] = (byte) (i / 3 % SIDE >= from ? 255 : 0);
        }
        return Picture.of(SIDE, SIDE, rgb);
    }

    private static ImageRequest.Builder request() {
        return ImageRequest.builder("a red apple")
                .image(picture())
                .steps(6)
                .seed(5)
                .guidance(2);
    }

    private static byte[] draw(ImageRequest.Builder request) {
        return pipeline.generate(request.build()).getFirst().rgb();
    }

    /** The mean difference of the columns from {@code from} to {@code to}. */
    private static double difference(byte[] a, byte[] b, int from, int to) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            int x = i / 3 % SIDE;
            sum += x >= from && x < to ? Math.abs((a[i] & 0xff) - (b[i] & 0xff)) : 0;
        }
        return sum / (a.length * (to - from) / SIDE);
    }

    @Test
    void atStrengthZeroThePictureOnlyGoesThroughTheVae() throws IOException {
        float[] expected;
        try (Checkpoint checkpoint = Checkpoint.open(folder.resolve("nano.safetensors"));
                Engine engine = Engine.create(EngineOptions.ofThreads(1));
                Weights weights = Weights.of(checkpoint);
                Autoencoder vae = Autoencoder.create(engine, weights, ModelSpec.VAE_PREFIX)) {
            int cells = SIDE / vae.factor() * SIDE / vae.factor();
            float[] input = new float[3 * SIDE * SIDE];
            byte[] rgb = picture().rgb();
            for (int i = 0; i < rgb.length; i++) {
                input[i % 3 * SIDE * SIDE + i / 3] = (rgb[i] & 0xff) / 255f * 2 - 1;
            }
            float[] moments = vae.encode(input, 1, SIDE / vae.factor(), SIDE / vae.factor(), null);
            float[] noise = RandomSources.philox(5).normal(vae.latentChannels() * cells);
            float[] latent = new float[noise.length];
            for (int i = 0; i < latent.length; i++) {
                latent[i] = moments[i] + (float) Math.exp(moments[latent.length + i] / 2) * noise[i];
            }
            expected = vae.decode(latent, 1, SIDE / vae.factor(), SIDE / vae.factor(), null);
        }
        byte[] drawn = draw(request().strength(0));
        for (int i = 0; i < drawn.length; i++) {
            float value = Math.clamp((expected[i % 3 * SIDE * SIDE + i / 3] + 1) / 2, 0, 1);
            assertEquals(255 * value, drawn[i] & 0xff, 1, "value " + i);
        }
        assertEquals(
                0, pipeline.generate(request().strength(0).build()).getFirst().unetCalls());
    }

    @Test
    void theMoreStrengthTheFartherFromThePicture() {
        byte[] kept = draw(request().strength(0));
        double before = 0;
        for (float strength : new float[] {0.01f, 0.2f, 0.4f, 0.7f}) {
            double difference = difference(kept, draw(request().strength(strength)), 0, SIDE);
            assertTrue(difference > before, strength + ": " + difference);
            before = difference;
        }
        assertTrue(difference(kept, draw(request().strength(0.01f)), 0, SIDE) < before / 4);
    }

    @Test
    void strengthLeavesItsPartOfTheSteps() {
        assertEquals(
                2 * 4,
                pipeline.generate(request().strength(0.5f).build()).getFirst().unetCalls());
        List<Progress> seen = new ArrayList<>();
        pipeline.generate(request().strength(0.5f).batch(2).build(), seen::add);
        List<Progress> expected = new ArrayList<>();
        expected.add(new Progress(Phase.ENCODE, 0, 0, 1));
        expected.add(new Progress(Phase.ENCODE, 0, 1, 1));
        for (int step = 0; step <= 4; step++) {
            expected.add(new Progress(Phase.DENOISE, 0, 2, step, 4));
        }
        for (int image = 0; image < 2; image++) {
            expected.add(new Progress(Phase.DECODE, image, 0, 1));
            expected.add(new Progress(Phase.DECODE, image, 1, 1));
        }
        assertEquals(expected, seen.subList(3, seen.size()));
    }

    @Test
    void aBatchIsVariationsOneByOne() {
        List<GeneratedImage> batch =
                pipeline.generate(request().strength(0.5f).batch(3).build());
        for (int i = 0; i < 3; i++) {
            assertArrayEquals(
                    draw(request().strength(0.5f).seed(5 + i)), batch.get(i).rgb());
        }
        assertFalse(Arrays.equals(batch.get(0).rgb(), batch.get(1).rgb()));
    }

    @Test
    void unmaskedPixelsStay() {
        byte[] original = picture().rgb();
        for (float strength : new float[] {0.3f, 1}) {
            byte[] drawn = draw(request().strength(strength).mask(mask(40)));
            assertEquals(0, difference(original, drawn, 0, 40));
            assertTrue(difference(original, drawn, 40, SIDE) > 10);
        }
    }

    /** A mask below the middle keeps every cell of the latent, and lets half of each decoded pixel through. */
    @Test
    void whatStaysInTheLatentIsThePicture() {
        byte[] grey = new byte[3 * SIDE * SIDE];
        Arrays.fill(grey, (byte) 127);
        ImageRequest.Builder request = request().mask(Picture.of(SIDE, SIDE, grey));
        assertArrayEquals(draw(request.strength(0)), draw(request.strength(1)));
    }

    @Test
    void aMaskOfAllAtFullStrengthIsTextToImage() {
        ImageRequest.Builder text = request().image(null).size(SIDE, SIDE);
        for (String sampler : List.of("euler_a", "dpm++2m_sde", "lms", "euler_cfg_pp")) {
            byte[] painted = draw(request().strength(1).mask(mask(0)).sampler(sampler));
            assertArrayEquals(draw(text.sampler(sampler)), painted, sampler);
        }
        // Without a mask the picture shines through the noise a little, as in the peers.
        assertFalse(Arrays.equals(draw(text), draw(request().strength(1).sampler("euler_cfg_pp"))));
    }

    @Test
    void aMaskOfNothingGivesThePictureBack() {
        byte[] black = new byte[3 * SIDE * SIDE];
        byte[] drawn = draw(request().mask(Picture.of(SIDE, SIDE, black)));
        assertArrayEquals(picture().rgb(), drawn);
    }

    @Test
    void everySamplerPaintsFromAPicture() {
        for (String sampler : Samplers.names()) {
            byte[] drawn = draw(request().steps(4).sampler(sampler).mask(mask(40)));
            assertEquals(0, difference(picture().rgb(), drawn, 0, 40), sampler);
        }
    }

    @Test
    void otherSizesAreCutAndResized() {
        Picture wide = rings(100, 50);
        byte[] drawn = draw(request().image(wide).size(SIDE, SIDE).strength(0.3f));
        assertArrayEquals(draw(request().image(wide.fitted(SIDE, SIDE)).strength(0.3f)), drawn);
        ImageRequest request = request().image(wide).build();
        assertEquals(104, request.width());
        assertEquals(48, request.height());
    }

    @Test
    void aVaeWithoutEncoderIsNamed() throws IOException {
        Path half = folder.resolve("half.safetensors");
        NanoModel.writeDrawable(
                half,
                name -> !name.startsWith("first_stage_model.encoder") && !name.contains("quant_conv")
                        || name.contains("post_quant_conv"));
        try (Pipeline decoding = Pipeline.open(half, EngineOptions.ofThreads(1))) {
            var failure = assertThrows(
                    IllegalArgumentException.class,
                    () -> decoding.generate(request().build()));
            assertTrue(failure.getMessage().contains("VAE without encoder"), failure.getMessage());
        }
    }

    @Test
    void inpaintingModelsSeeMaskAndPicture() throws IOException {
        Path blind = folder.resolve("blind.safetensors");
        writeInpainting(blind, 0);
        Path seeing = folder.resolve("seeing.safetensors");
        writeInpainting(seeing, 0.05f);
        ImageRequest.Builder painting = request().strength(1).mask(mask(32));
        try (Pipeline without = Pipeline.open(blind, EngineOptions.ofThreads(1));
                Pipeline with = Pipeline.open(seeing, EngineOptions.ofThreads(1))) {
            byte[] plain = without.generate(painting.build()).getFirst().rgb();
            assertArrayEquals(draw(painting), plain, "weights of 0 make an ordinary model of it");
            byte[] painted = with.generate(painting.build()).getFirst().rgb();
            assertEquals(0, difference(picture().rgb(), painted, 0, 32));
            assertTrue(difference(plain, painted, 32, SIDE) > 1);
            // With all hidden there is only the prompt, and a grey picture.
            byte[] all = with.generate(request().strength(1).mask(mask(0)).build())
                    .getFirst()
                    .rgb();
            byte[] text = with.generate(request().image(null).size(SIDE, SIDE).build())
                    .getFirst()
                    .rgb();
            assertArrayEquals(text, all);
        }
    }

    @Test
    void inpaintingModelsTellThatTheyEncodeWithoutAPictureToo() throws IOException {
        Path inpainting = folder.resolve("inpainting.safetensors");
        writeInpainting(inpainting, 0);
        List<Progress> seen = new ArrayList<>();
        try (Pipeline painting = Pipeline.open(inpainting, EngineOptions.ofThreads(1))) {
            painting.generate(request().image(null).size(SIDE, SIDE).build(), seen::add);
        }
        assertEquals(
                List.of(new Progress(Phase.ENCODE, 0, 0, 1), new Progress(Phase.ENCODE, 0, 1, 1)),
                seen.stream().filter(it -> it.phase() == Phase.ENCODE).toList());
    }

    /** The nano model with five more input channels, whose weights are all {@code weight}. */
    private static void writeInpainting(Path out, float weight) throws IOException {
        byte[] file = Files.readAllBytes(folder.resolve("nano.safetensors"));
        int headerLength =
                (int) ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).getLong();
        String header = new String(file, 8, headerLength, StandardCharsets.UTF_8);
        String name = "model.diffusion_model.input_blocks.0.0.weight";
        Matcher entry = Pattern.compile("\"" + Pattern.quote(name) + "\":(\\{\"dtype\":\"F16\",\"shape\":\\[)(\\d+),4,"
                        + "3,3(\\],\"data_offsets\":\\[)(\\d+),(\\d+)\\]\\}")
                .matcher(header);
        assertTrue(entry.find(), header.substring(0, 500));
        int rows = Integer.parseInt(entry.group(2));
        int end = file.length - 8 - headerLength;
        var weights = ByteBuffer.allocate(rows * 9 * 9 * 2).order(ByteOrder.LITTLE_ENDIAN);
        for (int row = 0; row < rows; row++) {
            weights.put(file, 8 + headerLength + Integer.parseInt(entry.group(4)) + row * 4 * 9 * 2, 4 * 9 * 2);
            for (int i = 0; i < 5 * 9; i++) {
                weights.putShort(Float.floatToFloat16(weight));
            }
        }
        String wider = "\"" + name + "\":" + entry.group(1) + rows + ",9,3,3" + entry.group(3) + end + ","
                + (end + weights.capacity()) + "]},\"old\":" + entry.group().substring(name.length() + 3);
        byte[] newHeader = header.replace(entry.group(), wider).getBytes(StandardCharsets.UTF_8);
        var whole = ByteBuffer.allocate(8 + newHeader.length + end + weights.capacity())
                .order(ByteOrder.LITTLE_ENDIAN);
        whole.putLong(newHeader.length).put(newHeader).put(file, 8 + headerLength, end);
        Files.write(out, whole.put(weights.array()).array());
    }
}
