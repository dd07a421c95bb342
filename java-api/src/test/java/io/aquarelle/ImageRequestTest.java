package io.aquarelle;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.plan.CallSelection;
import io.aquarelle.plan.SelectiveGuidance;
import java.util.List;
import org.junit.jupiter.api.Test;

class ImageRequestTest {
    private static void assertRefused(ImageRequest.Builder request, String... words) {
        String message =
                assertThrows(IllegalArgumentException.class, request::build).getMessage();
        for (String word : words) {
            assertTrue(message.contains(word), message);
        }
    }

    private static ImageRequest.Builder request() {
        return ImageRequest.builder("x");
    }

    @Test
    void defaultsAreThoseOfStableDiffusionCpp() {
        ImageRequest request = ImageRequest.of("x");
        assertEquals("", request.negativePrompt());
        assertEquals(512, request.width());
        assertEquals(512, request.height());
        assertEquals(20, request.steps());
        assertEquals(7, request.guidance());
        assertEquals("cuda", request.rng());
        assertEquals("euler_a", request.sampler());
        assertEquals("discrete", request.schedule());
        assertEquals(1, request.batch());
        assertEquals(0, request.clipSkip());
        assertNull(request.sizes());
    }

    @Test
    void builderOfARequestMakesItsEqual() {
        var sizes = new PictureSizes(1, 2, 3, 4, 5, 6);
        ImageRequest request = ImageRequest.builder("x")
                .negativePrompt("y")
                .size(64, 72)
                .steps(3)
                .guidance(2.5f)
                .seed(9)
                .rng("cpu")
                .sampler("euler")
                .schedule("karras")
                .batch(4)
                .strength(0.5f)
                .clipSkip(2)
                .sizes(sizes)
                .plan(new SelectiveGuidance(CallSelection.ALL))
                .build();
        assertNotEquals(request, ImageRequest.builder("x").seed(9).build());
        assertEquals(request, request.toBuilder().build());
        ImageRequest more =
                request.toBuilder().sigmas(List.of(14f, 3f)).eta(0.5f).build();
        assertEquals(more, more.toBuilder().build());
        assertNotEquals(request, more);
    }

    @Test
    void defaultScheduleIsTheSamplers() {
        assertEquals("lcm", request().sampler("lcm").build().schedule());
        assertEquals(
                "leading",
                request().sampler("DDIM").schedule("Automatic").build().schedule());
        assertEquals(
                "karras", request().sampler("lcm").schedule("Karras").build().schedule());
    }

    @Test
    void ownSigmasCountTheSteps() {
        assertEquals(2, request().sigmas(List.of(14f, 3f)).build().steps());
        assertEquals(2, request().steps(9).sigmas(List.of(14f, 3f, 0f)).build().steps());
        assertRefused(request().sigmas(List.of(3f, 14f)), "sigmas", "14.0");
        assertRefused(request().sigmas(List.of(0f)), "sigmas");
        assertRefused(request().eta(-1f), "eta", "-1.0");
    }

    @Test
    void seedIsRandomUnlessGiven() {
        assertNotEquals(ImageRequest.of("x").seed(), ImageRequest.of("x").seed());
        assertEquals(-3, request().seed(-3).build().seed());
    }

    @Test
    void imagesGiveTheSizeAndMasksNeedThem() {
        Picture picture = Picture.of(35, 4, new byte[3 * 35 * 4]);
        ImageRequest request = request().image(picture).build();
        assertEquals(32, request.width());
        assertEquals(8, request.height());
        assertEquals(0.75f, request.strength());
        assertEquals(64, request().image(picture).width(64).build().width());
        assertEquals(request, request.toBuilder().build());
        assertRefused(request().mask(picture), "mask", "image");
        assertRefused(request().strength(1.01f), "strength", "1.01");
        assertRefused(request().strength(-0.1f), "strength");
        assertRefused(request().strength(Float.NaN), "strength", "NaN");
    }

    @Test
    void sizesThatNoModelDrawsAreRefusedWithANearbyOne() {
        assertRefused(request().size(500, 512), "width", "500", "multiple of 8", "504");
        assertRefused(request().size(512, 100000), "height", "100000", "8192");
        assertRefused(request().size(0, 512), "width", "0");
        assertRefused(request().size(512, -8), "height", "-8");
    }

    @Test
    void numbersOutOfRangeAreRefused() {
        assertRefused(request().steps(0), "steps", "0");
        assertRefused(request().steps(1001), "steps", "1001");
        assertRefused(request().batch(0), "batch");
        assertRefused(request().clipSkip(-1), "clip skip");
        assertRefused(request().guidance(Float.NaN), "guidance", "NaN");
        assertRefused(request().guidance(Float.POSITIVE_INFINITY), "guidance");
        assertRefused(request().guidance(1e9f), "guidance");
    }

    @Test
    void promptsBeyondReasonAreRefused() {
        assertRefused(ImageRequest.builder("x".repeat(20_001)), "prompt", "20001", "20000");
        assertRefused(request().negativePrompt("x".repeat(1 << 20)), "negative prompt");
    }

    @Test
    void unknownNamesListTheKnownOnes() {
        assertRefused(request().sampler("elder"), "elder", "euler_a");
        assertRefused(request().schedule("x"), "x", "karras");
        assertRefused(request().rng("dice"), "dice", "std_default");
    }
}
