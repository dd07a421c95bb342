package io.aquarelle.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class PromptSyntaxTest {
    private static WeightedText run(String text, double weight) {
        return new WeightedText(text, (float) weight);
    }

    private static void assertRuns(String prompt, WeightedText... expected) {
        List<List<WeightedText>> parts = PromptSyntax.parse(prompt);
        assertEquals(1, parts.size(), prompt);
        assertEquals(texts(List.of(expected)), texts(parts.getFirst()), prompt);
        for (int i = 0; i < expected.length; i++) {
            assertEquals(expected[i].weight(), parts.getFirst().get(i).weight(), 1e-6, prompt);
        }
    }

    private static List<String> texts(List<WeightedText> runs) {
        return runs.stream().map(WeightedText::text).toList();
    }

    @Test
    void examplesOfA1111Hold() {
        assertRuns("normal text", run("normal text", 1));
        assertRuns("an (important) word", run("an ", 1), run("important", 1.1), run(" word", 1));
        assertRuns("(unbalanced", run("unbalanced", 1.1));
        assertRuns("\\(literal\\]", run("(literal]", 1));
        assertRuns("(unnecessary)(parens)", run("unnecessaryparens", 1.1));
        assertRuns(
                "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
                run("a ", 1),
                run("house", 1.573),
                run(" ", 1.1),
                run("on", 1),
                run(" a ", 1.1),
                run("hill", 0.55),
                run(", sun, ", 1.1),
                run("sky", 1.4641),
                run(".", 1.1));
    }

    @Test
    void weightsOfNestedBracketsMultiply() {
        assertRuns("((x))", run("x", 1.21));
        assertRuns("[[x]]", run("x", 1 / 1.21));
        assertRuns("((x:1.5)y:2)", run("x", 3), run("y", 2));
        assertRuns("[(x:2)]", run("x", 2 / 1.1));
        assertRuns(
                "(x:0) (y:-1.5) (z:+.5) (w:2.)",
                run("x", 0),
                run(" ", 1),
                run("y", -1.5),
                run(" ", 1),
                run("z", 0.5),
                run(" ", 1),
                run("w", 2));
    }

    @Test
    void roundAndSquareBracketsMayCross() {
        assertRuns("(a [b) c] d", run("a ", 1.1), run("b", 1), run(" c", 1 / 1.1), run(" d", 1));
    }

    @Test
    void bracketsThatWereNeverOpenedAreText() {
        assertRuns("a) b] :) c:1.5)", run("a) b] :) c:1.5)", 1));
        assertRuns("(a)) b", run("a", 1.1), run(") b", 1));
    }

    @Test
    void bracketsThatAreNeverClosedReachToTheEnd() {
        assertRuns("a ((b [c", run("a ", 1), run("b ", 1.21), run("c", 1.1));
        assertRuns("(", new WeightedText[0]);
    }

    @Test
    void escapesGiveTheCharacter() {
        assertRuns("\\(\\)\\[\\]\\\\", run("()[]\\", 1));
        assertRuns("(smile \\(: :\\):1.2)", run("smile (: :)", 1.2));
        assertRuns("C:\\x\\", run("C:x", 1));
        assertRuns("(a\\\\) b", run("a\\", 1.1), run(" b", 1));
    }

    @Test
    void onlyANumberBeforeTheBracketIsAWeight() {
        assertRuns("(a: 1.3)", run("a: 1.3", 1.1));
        assertRuns("(a:1.3 )", run("a:1.3 ", 1.1));
        assertRuns("(a:b:1.3)", run("a:b", 1.3));
        assertRuns("(a:)", run("a:", 1.1));
        assertRuns("(a:.)", run("a:.", 1.1));
        assertRuns("(a:+)", run("a:+", 1.1));
        assertRuns("(a:nan)", run("a:nan", 1.1));
        assertRuns("(a:1e9)", run("a:1e9", 1.1));
        assertRuns("(a:1.2.3)", run("a", 1.2));
        assertRuns("at 12:30", run("at 12:30", 1));
        assertRuns("[a:1.3]", run("a:1.3", 1 / 1.1));
    }

    @Test
    void hugeWeightsStayFinite() {
        assertRuns("(a:" + "9".repeat(500) + ")", run("a", PromptSyntax.MAX_WEIGHT));
        assertRuns("(a:-" + "9".repeat(500) + ")", run("a", -PromptSyntax.MAX_WEIGHT));
        assertRuns("((a:0):" + "9".repeat(500) + ")", run("a", 0));
        assertRuns("(".repeat(20) + "a" + ":1000000)".repeat(20), run("a", PromptSyntax.MAX_WEIGHT));
    }

    @ParameterizedTest
    @CsvSource(textBlock = """
        'a BREAK b',            'a | b'
        'BREAK',                '|'
        'BREAK a',              '| a'
        'a, BREAK, b BREAK c',  'a, |, b | c'
        '(a)BREAK(b)',          'a|b'
        'BREAK BREAK',          '| |'
        '(a BREAK b:1)',        'a | b'
        'DAYBREAK BREAKS _BREAK BREAK2 \u00E9BREAK break', 'DAYBREAK BREAKS _BREAK BREAK2 \u00E9BREAK break'
        'B BB BRE BREA',        'B BB BRE BREA'
        """)
    void theWordBreakEndsAPart(String prompt, String parts) {
        assertEquals(
                parts,
                PromptSyntax.parse(prompt).stream()
                        .map(part -> String.join("", texts(part)))
                        .collect(Collectors.joining("|")));
    }

    @Test
    void bracketsAroundBreakMakeItAWordOfNegativeWeight() {
        assertRuns("(a BREAK b)", run("a ", 1.1), run("BREAK", -1.1), run(" b", 1.1));
    }

    @Test
    void emptyPromptIsOnePartWithoutRuns() {
        assertEquals(List.of(List.of()), PromptSyntax.parse(""));
        assertEquals(List.of(List.of()), PromptSyntax.parse("()[]"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"(", "[", ")", "]", "([", "(a", "[a(b", "(a:1.0)", ":1", ":1.", "\\(", "BREAK ", "(BREAK:1)"})
    void hundredsOfThousandsOfBracketsAreNoTrouble(String text) {
        String prompt = text.repeat(200_000) + "x" + ")".repeat(200_000) + "]".repeat(200_000);
        for (List<WeightedText> part : PromptSyntax.parse(prompt)) {
            for (WeightedText run : part) {
                assertTrue(Math.abs(run.weight()) <= PromptSyntax.MAX_WEIGHT);
            }
        }
    }

    @Test
    void bracketsTooDeepChangeNoWeightButStillPair() {
        int depth = 100_000;
        List<WeightedText> runs = PromptSyntax.parse("(".repeat(depth) + "x:3)" + ")".repeat(depth - 1) + "y)")
                .getFirst();
        assertEquals(List.of("x", "y)"), texts(runs));
        assertEquals(Math.pow(1.1, PromptSyntax.MAX_DEPTH), runs.get(0).weight(), 10);
        assertEquals(1, runs.get(1).weight());
    }

    @Test
    void weightMustBeFinite() {
        assertThrows(IllegalArgumentException.class, () -> new WeightedText("x", Float.NaN));
        assertThrows(IllegalArgumentException.class, () -> new WeightedText("x", Float.POSITIVE_INFINITY));
    }

    private static final Pattern TOKEN = Pattern.compile("""
        \\\\(?<escaped>[()\\[\\]\\\\])?
        | :(?<number>[+-]?(\\d+\\.?\\d*|\\.\\d+))[.\\d]*\\)
        | (?<break>(?<![\\p{L}\\p{N}_])BREAK(?![\\p{L}\\p{N}_]))
        | .
        """, Pattern.COMMENTS | Pattern.DOTALL);

    private static final class Piece {
        String text;
        float weight;

        Piece(String text, float weight) {
            this.text = text;
            this.weight = weight;
        }
    }

    /** The grammar once more, as a regular expression over lists, in quadratic time. */
    private static List<List<WeightedText>> parseByPattern(String prompt) {
        List<Piece> pieces = new ArrayList<>();
        Deque<Integer> round = new ArrayDeque<>();
        Deque<Integer> square = new ArrayDeque<>();
        Matcher token = TOKEN.matcher(prompt);
        while (token.find()) {
            String text = token.group();
            if (token.group("escaped") != null) {
                pieces.add(new Piece(token.group("escaped"), 1));
            } else if (token.group("break") != null) {
                pieces.add(new Piece(null, -1));
            } else if (token.group("number") != null && !round.isEmpty()) {
                multiply(pieces, round.pop(), Float.parseFloat(token.group("number")));
            } else if (text.equals("(")) {
                round.push(pieces.size());
            } else if (text.equals("[")) {
                square.push(pieces.size());
            } else if (text.equals(")") && !round.isEmpty()) {
                multiply(pieces, round.pop(), 1.1f);
            } else if (text.equals("]") && !square.isEmpty()) {
                multiply(pieces, square.pop(), 1 / 1.1f);
            } else if (!text.equals("\\")) {
                pieces.add(new Piece(text, 1));
            }
        }
        round.forEach(start -> multiply(pieces, start, 1.1f));
        square.forEach(start -> multiply(pieces, start, 1 / 1.1f));

        List<List<WeightedText>> parts = new ArrayList<>();
        parts.add(new ArrayList<>());
        Piece last = null; // the run that may go on
        for (Piece piece : pieces) {
            List<WeightedText> part = parts.getLast();
            if (piece.text == null && piece.weight == -1) {
                parts.add(new ArrayList<>());
                last = null;
            } else if (piece.text == null) {
                part.add(new WeightedText("BREAK", piece.weight));
                last = null;
            } else if (last != null && last.weight == piece.weight) {
                last.text += piece.text;
                part.set(part.size() - 1, new WeightedText(last.text, last.weight));
            } else {
                last = piece;
                part.add(new WeightedText(piece.text, piece.weight));
            }
        }
        return parts;
    }

    private static void multiply(List<Piece> pieces, int start, float factor) {
        for (Piece piece : pieces.subList(start, pieces.size())) {
            piece.weight *= factor;
        }
    }

    private static final String[] SYNTAX = {
        "(", ")", "[", "]", ":", ":1.3)", ":-.5)", ":0)", ":2.5.1)", ".", "1", "+", "\\", "\\(", "\\]", "\\\\"
    };
    private static final String[] WORDS =
            "cat,B,BREAK, BREAK ,BREAKS,_, ,\u00E9,\u65E5\u672C,\uD83C\uDFA8,\uD83C,\0,\n".split(",");

    @Test
    void randomPromptsParseAsTheGrammarSays() {
        Random random = new Random(7);
        for (int i = 0; i < 10_000; i++) {
            StringBuilder prompt = new StringBuilder();
            for (int j = random.nextInt(40); j > 0; j--) {
                String[] vocabulary = random.nextBoolean() ? SYNTAX : WORDS;
                prompt.append(vocabulary[random.nextInt(vocabulary.length)]);
            }
            assertEquals(parseByPattern(prompt.toString()), PromptSyntax.parse(prompt.toString()), prompt.toString());
        }
    }

    @Test
    void textWithoutBracketsIsKeptAsItIs() {
        Random random = new Random(8);
        for (int i = 0; i < 10_000; i++) {
            StringBuilder prompt = new StringBuilder("x");
            for (int j = random.nextInt(40); j > 0; j--) {
                int c = random.nextInt(random.nextBoolean() ? 0x80 : 0x10000);
                prompt.append("()[]\\".indexOf(c) < 0 ? (char) c : 'B');
            }
            assertEquals(List.of(List.of(run(prompt.toString(), 1))), PromptSyntax.parse(prompt.toString()));
        }
    }
}
