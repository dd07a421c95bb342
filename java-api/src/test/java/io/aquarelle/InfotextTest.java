package io.aquarelle;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class InfotextTest {
    private static final Path MODEL = Path.of("models", "v1-5-pruned.emaonly.safetensors");

    private static ImageRequest.Builder apple() {
        return ImageRequest.builder("a red apple, (sharp:1.2)");
    }

    private static String of(ImageRequest.Builder request) {
        return Infotext.of(request.build(), 1, MODEL);
    }

    /** The line of settings without the version at its end. */
    private static String settings(ImageRequest.Builder request) {
        String text = of(request);
        return text.substring(text.lastIndexOf('\n') + 1, text.indexOf(", Version: Aquarelle "));
    }

    @Test
    void defaultsReadAsInA1111() {
        String expected = """
            a red apple, (sharp:1.2)
            Steps: 20, Sampler: Euler a, Schedule type: Uniform, CFG scale: 7, Seed: 1, Size: 512x512, \
            Model: v1-5-pruned.emaonly, Version: Aquarelle\s\
            """;
        assertEquals(expected + Version.current(), of(apple()));
    }

    @Test
    void everySettingThatDiffersIsNamed() {
        var request = ImageRequest.builder("a red\napple")
                .negativePrompt("blurry, (worst quality:1.4)\nugly")
                .size(768, 640)
                .steps(30)
                .guidance(7.5f)
                .sampler("euler")
                .schedule("karras")
                .rng("cpu")
                .clipSkip(2)
                .build();
        String expected = """
            a red
            apple
            Negative prompt: blurry, (worst quality:1.4)
            ugly
            Steps: 30, Sampler: Euler, Schedule type: Karras, CFG scale: 7.5, Seed: 123456789012, Size: 768x640, \
            Model: v1-5-pruned.emaonly, Clip skip: 2, RNG: CPU, Version: Aquarelle\s\
            """;
        assertEquals(expected + Version.current(), Infotext.of(request, 123456789012L, MODEL));
    }

    @Test
    void etaAndOwnSigmasAreNamed() {
        String text = settings(apple().eta(0.5f).sigmas(List.of(14.5f, 3f, 0.25f)));
        assertTrue(text.startsWith("Steps: 3, Sampler: Euler a, Custom Sigmas: \"[14.5, 3, 0.25, 0]\", CFG"), text);
        assertTrue(text.endsWith(", Eta: 0.5"), text);
        assertTrue(settings(apple().sampler("ddim").eta(1f)).endsWith(", Eta DDIM: 1"));
        assertFalse(text.contains("Schedule type"));
    }

    @Test
    void strengthIsNamedIfThereIsAnImage() {
        var picture = Picture.of(8, 8, new byte[3 * 8 * 8]);
        assertTrue(settings(apple().image(picture)).endsWith("Denoising strength: 0.75"));
        assertFalse(settings(apple().strength(0.5f)).contains("Denoising"));
    }

    @Test
    void anEmptyPromptLeavesNoEmptyLine() {
        assertTrue(of(ImageRequest.builder("")).startsWith("Steps: 20, "));
        assertTrue(of(ImageRequest.builder("").negativePrompt("blurry"))
                .startsWith("Negative prompt: blurry\nSteps: 20, "));
    }

    @ParameterizedTest
    @CsvSource({
        "7,7",
        "7.5,7.5",
        "0.1,0.1",
        "-1,-1",
        "0,0",
        "100,100",
        "1000,1000",
        "1e-4,0.0001",
        "6.9999995,6.9999995"
    })
    void scalesAreWrittenInTheFewestDigits(float guidance, String expected) {
        assertTrue(settings(apple().guidance(guidance)).contains("CFG scale: " + expected + ", "));
    }

    @ParameterizedTest
    @CsvSource({"cuda,''", "GPU,''", "CPU,', RNG: CPU'", "std_default,', RNG: std_default'"})
    void randomSourceIsNamedUnlessItIsTheOneThatA1111Assumes(String rng, String expected) {
        assertTrue(settings(apple().rng(rng)).endsWith("Model: v1-5-pruned.emaonly" + expected));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "model.safetensors       | model",
                "a.b.ckpt                | a.b",
                "plain                   | plain",
                ".hidden                 | .hidden",
                "one, two.safetensors    | \"one, two\"",
                "ratio 1:2.safetensors   | \"ratio 1:2\"",
                "say \"a, b\" \\.gguf    | \"say \\\"a, b\\\" \\\\\"",
                "no \"comma\".gguf       | no \"comma\"",
            })
    void modelIsNamedWithoutEndingAndQuotedWhereItWouldEndEarly(String file, String expected) {
        String text = Infotext.of(apple().build(), 1, Path.of("folder").resolve(file));
        assertTrue(text.contains(", Model: " + expected + ", Version: "), text);
    }

    @Test
    void aLineFeedInAModelNameDoesNotStartALine() {
        String text = Infotext.of(apple().build(), 1, Path.of("two\nlines.safetensors"));
        assertTrue(text.contains("Model: \"two\\u000alines\""), text);
    }

    @Test
    void seedsAreUnsigned() {
        assertTrue(Infotext.of(apple().build(), -1, MODEL).contains("Seed: 18446744073709551615, "));
    }

    @Test
    void versionComesFromTheBuild() {
        assertFalse(Version.current().isBlank());
        assertTrue(Character.isDigit(Version.current().charAt(0)), Version.current());
    }
}
