package io.aquarelle.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class JsonTest {
    @Test
    void valuesBecomeTheirJavaCounterparts() throws Exception {
        Object value = Json.parse(" {\"a\" : [1, -2.5, 1e3, true, false, null, \"x\"], \"b\":{}, \"c\":[]}\n");

        assertEquals(
                Map.of("a", Arrays.asList(1L, -2.5, 1000.0, true, false, null, "x"), "b", Map.of(), "c", List.of()),
                value);
    }

    @Test
    void keysKeepTheirOrder() throws Exception {
        var keys = ((Map<?, ?>) Json.parse("{\"z\":1,\"a\":2,\"m\":3}")).keySet();

        assertEquals(List.of("z", "a", "m"), new ArrayList<>(keys));
    }

    @Test
    void wholeNumbersAreLongsAsFarAsTheyFit() throws Exception {
        assertEquals(Long.MAX_VALUE, Json.parse("9223372036854775807"));
        assertEquals(Long.MIN_VALUE, Json.parse("-9223372036854775808"));
        assertEquals(9223372036854775808.0, Json.parse("9223372036854775808"));
        assertEquals(0L, Json.parse("0"));
        assertEquals(1.0, Json.parse("1.0"));
        assertEquals(0.015, Json.parse("1.5E-2"));
    }

    @Test
    void escapesAreUnderstood() throws Exception {
        assertEquals(
                "\" \\ / \b \f \n \r \t é 😀 z",
                Json.parse("\"\\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u00e9 \\uD83D\\ude00 z\""));
        assertEquals("日本", Json.parse("\"日本\""));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                " ",
                "{",
                "[",
                "[1",
                "[1,",
                "[1,]",
                "[,1]",
                "{\"a\"}",
                "{\"a\":}",
                "{\"a\":1,}",
                "{a:1}",
                "{'a':1}",
                "{1:1}",
                "nul",
                "True",
                "NaN",
                "Infinity",
                "-",
                "+1",
                "01",
                "1.",
                ".5",
                "1e",
                "1e+",
                "0x10",
                "--1",
                "1 2",
                "[] x",
                "\"",
                "\"a",
                "\"\\",
                "\"\\x\"",
                "\"\\u12\"",
                "\"\\u12g4\"",
                "\"\\u\uFF11234\"",
                "\"a\nb\"",
                "\"\\ud800\"",
                "\"\\ud800\\u0041\"",
                "\"\\udc00\"",
                "\"\\ud800x\"",
                "1e999",
                "{}\uFFFF",
                "\uFEFF{}",
                "[1]]",
                "// x\n1",
                "\u00a01"
            })
    void whatIsNotJsonIsRefused(String text) {
        assertThrows(Json.SyntaxException.class, () -> Json.parse(text));
    }

    @Test
    void aMessageSaysWhatAndWhere() {
        assertEquals("':' expected at character 5", message("{\"a\" 1}"));
        assertEquals("a value expected, but the text ends at character 6", message("{\"a\": "));
    }

    @Test
    void aKeyMustNotOccurTwice() throws Exception {
        assertTrue(message("{\"a\":1, \"b\":2, \"a\":3}").contains("\"a\" occurs twice"));
        assertTrue(message("{\"a\":1, \"\\u0061\":3}").contains("\"a\" occurs twice"));
        assertEquals(2, ((List<?>) Json.parse("[{\"a\":1},{\"a\":1}]")).size());
    }

    @Test
    void depthIsLimited() throws Exception {
        assertTrue(Json.parse("[".repeat(Json.MAX_DEPTH) + "]".repeat(Json.MAX_DEPTH)) instanceof List);
        assertTrue(message("[".repeat(Json.MAX_DEPTH + 1) + "]".repeat(Json.MAX_DEPTH + 1))
                .contains("levels"));
        assertTrue(message("{\"a\":".repeat(10_000_000)).contains("levels"));
    }

    @Test
    void theNumberOfValuesIsLimited() throws Exception {
        assertEquals(Json.MAX_VALUES - 1, ((List<?>) Json.parse(zeros(Json.MAX_VALUES - 1))).size());
        assertTrue(message(zeros(Json.MAX_VALUES)).contains("values"));
    }

    @Test
    void longTokensAreRead() throws Exception {
        String text = "\\n".repeat(1_000_000) + "é".repeat(1_000_000);

        assertEquals(2_000_000, ((String) Json.parse('"' + text + '"')).length());
        assertEquals(0.1, Json.parse("0.1" + "0".repeat(1_000_000)));
        assertTrue(message("1" + "0".repeat(1_000_000)).contains("range"));
    }

    @Test
    void quotedTextReadsBackAsItself() throws Exception {
        String text = "a \"quoted\" \\ line\n\t\0\u001f é 😀 \u2028";

        assertEquals(text, Json.parse(Json.quote(text)));
        assertEquals("\"\\u000a\"", Json.quote("\n"));
    }

    private static String zeros(int count) {
        return "[" + "0,".repeat(count - 1) + "0]";
    }

    private static String message(String text) {
        return assertThrows(Json.SyntaxException.class, () -> Json.parse(text)).getMessage();
    }
}
