package io.aquarelle.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.text.LoraTags.Tag;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class LoraTagsTest {
    @ParameterizedTest
    @CsvSource({
        "a <lora:x:0.8> b, a  b, x, 0.8, 0.8",
        "<lora:sub/some file.v2:-1>a, a, sub/some file.v2, -1, -1",
        "a<lora:x>, a, x, 1, 1",
        "<lyco:x:0.5:0.25> a, a, x, 0.5, 0.25",
        "<lora:x:te=0.5:unet=0> a, a, x, 0.5, 0",
        "<lora:x:unet=2> a, a, x, 1, 2"
    })
    void tagsAreTakenOut(String prompt, String text, String name, float textScale, float unetScale) {
        LoraTags parsed = LoraTags.parse(prompt);
        assertEquals(text, parsed.text());
        assertEquals(List.of(new Tag(name, textScale, unetScale)), parsed.tags());
    }

    @Test
    void severalStandInOrder() {
        LoraTags parsed = LoraTags.parse("<lora:a:1> x <lora:b:2><lora:a:3>");
        assertEquals("x", parsed.text());
        assertEquals(
                List.of("a", "b", "a"), parsed.tags().stream().map(Tag::name).toList());
    }

    @ParameterizedTest
    @ValueSource(strings = {" a  <b> lora:x:1 ", "<lora:>", "<loras:x:1>", "(a:1.2)"})
    void whatIsNoTagStays(String prompt) {
        assertEquals(new LoraTags(prompt, List.of()), LoraTags.parse(prompt));
    }

    @ParameterizedTest
    @ValueSource(strings = {"<lora:x:>", "<lora:x:much>", "<lora:x:NaN>", "<lora:x:1:2:3>", "<lora:x:te=>"})
    void scalesThatAreNoNumbersAreRefused(String prompt) {
        String message = assertThrows(IllegalArgumentException.class, () -> LoraTags.parse("a " + prompt))
                .getMessage();
        assertTrue(message.startsWith(prompt), message);
    }

    @Test
    void tagsThatNeverEndStayText() {
        String prompt = "<lora:".repeat(5000);
        assertEquals(new LoraTags(prompt, List.of()), LoraTags.parse(prompt));
    }

    @Test
    void wordsOfTheirOwnBecomeTheirIds() {
        ClipTokenizer tokenizer = ClipTokenizer.instance();
        int[] a = tokenizer.encode("a photo of");
        int[] b = tokenizer.encode(", red");
        int[] ids = {50000, 50001, 50002};
        Map<String, int[]> words = Map.of("my-cat", ids, "cat", new int[] {7});
        int[] expected = IntStream.of(a).toArray();
        int[] tokens = PromptTokens.of("a photo of (My-Cat:1.3), red", tokenizer, words)
                .tokens()[0];
        for (int i = 0; i < expected.length; i++) {
            assertEquals(expected[i], tokens[1 + i]);
        }
        for (int i = 0; i < ids.length; i++) {
            assertEquals(ids[i], tokens[1 + a.length + i]);
        }
        for (int i = 0; i < b.length; i++) {
            assertEquals(b[i], tokens[1 + a.length + ids.length + i]);
        }
        float[] weights = PromptTokens.of("a photo of (My-Cat:1.3), red", tokenizer, words)
                .weights()[0];
        assertEquals(1.3f, weights[1 + a.length]);
        int[] cats = PromptTokens.of("cats cat", tokenizer, words).tokens()[0];
        assertEquals(tokenizer.encode("cats")[0], cats[1]);
        assertEquals(7, cats[2]);
    }
}
