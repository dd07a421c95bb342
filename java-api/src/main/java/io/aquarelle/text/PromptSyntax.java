package io.aquarelle.text;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;

/**
 * The attention syntax of AUTOMATIC1111's Stable Diffusion web UI:
 * <ul>
 *   <li>{@code (text)} multiplies the weight by 1.1, {@code (text:1.3)} by 1.3, {@code [text]} divides it by 1.1;
 *   <li>brackets nest, their factors multiply, round and square ones are told apart but need not nest in each other;
 *   <li>a bracket that is never closed reaches to the end; one that was never opened is text;
 *   <li>{@code \(}, {@code \)}, {@code \[}, {@code \]} and {@code \\} are the second character; any other backslash is
 *       dropped;
 *   <li>the word {@code BREAK} ends a part. It carries the weight −1, which brackets around it multiply; if the product
 *       is not −1, it is an ordinary word of that weight.
 * </ul>
 *
 * <p>Of {@code (x:1.2.3)} the number 1.2 counts; {@code (x:.)} has no number and is text in brackets. Weights are held
 * within ±{@value #MAX_WEIGHT}, and brackets of one kind more than {@value #MAX_DEPTH} deep change no weight.
 *
 * <p>stable-diffusion.cpp gives the same weights, but keeps the backslash of every escape except {@code \(}, drops
 * {@code :1.3)} where no bracket is open, and finds {@code BREAK} at the end of longer words too.
 */
public final class PromptSyntax {
    static final float MAX_WEIGHT = 1e6f;
    static final int MAX_DEPTH = 128; // bounds the work: every bracket visits the pieces inside it

    private static final float ROUND = 1.1f;
    private static final float SQUARE = 1 / 1.1f;
    private static final String BREAK = "BREAK";
    private static final float BREAK_WEIGHT = -1;

    private final String prompt;

    /** Texts of all pieces, one after another; piece {@code p} ends at {@code ends[p]} and starts where p − 1 ends. */
    private final StringBuilder text = new StringBuilder();

    private int[] ends = new int[16];
    private float[] weights = new float[16];
    private final BitSet breaks = new BitSet();
    private int pieces;

    private final OpenBrackets round = new OpenBrackets();
    private final OpenBrackets square = new OpenBrackets();

    private PromptSyntax(String prompt) {
        this.prompt = prompt;
    }

    /**
     * Returns the parts of {@code prompt} between its {@code BREAK}s, each as runs of one weight in order. Runs are not
     * trimmed and never empty, a part may have none, and there is at least one part.
     */
    public static List<List<WeightedText>> parse(String prompt) {
        PromptSyntax syntax = new PromptSyntax(prompt);
        syntax.readPieces();
        return syntax.parts();
    }

    private void readPieces() {
        int start = 0; // of the text that is not yet a piece
        int i = 0;
        while (i < prompt.length()) {
            if ("\\()[]:B".indexOf(prompt.charAt(i)) < 0) {
                i++;
                continue;
            }
            addPiece(start, i);
            start = readSyntax(i);
            i = Math.max(start, i + 1);
        }
        addPiece(start, prompt.length());
        while (round.any()) {
            multiply(round.close(pieces), ROUND);
        }
        while (square.any()) {
            multiply(square.close(pieces), SQUARE);
        }
    }

    /** Acts on the syntax at {@code i} and returns its end; {@code i} itself if the character there is text. */
    private int readSyntax(int i) {
        switch (prompt.charAt(i)) {
            case '\\' -> {
                if (i + 1 < prompt.length() && "()[]\\".indexOf(prompt.charAt(i + 1)) >= 0) {
                    addPiece(i + 1, i + 2);
                    return i + 2;
                }
                return i + 1;
            }
            case '(' -> {
                round.open(pieces);
                return i + 1;
            }
            case '[' -> {
                square.open(pieces);
                return i + 1;
            }
            case ')' -> {
                if (round.any()) {
                    multiply(round.close(pieces), ROUND);
                    return i + 1;
                }
            }
            case ']' -> {
                if (square.any()) {
                    multiply(square.close(pieces), SQUARE);
                    return i + 1;
                }
            }
            case ':' -> {
                int bracket = round.any() ? bracketAfterNumber(i + 1) : 0;
                if (bracket > 0) {
                    multiply(round.close(pieces), number(i + 1));
                    return bracket + 1;
                }
            }
            default -> {
                if (isBreak(i)) {
                    addBreak();
                    return i + BREAK.length();
                }
            }
        }
        return i;
    }

    private void addPiece(int start, int end) {
        if (start < end) {
            text.append(prompt, start, end);
            endPiece(1);
        }
    }

    private void addBreak() {
        text.append(BREAK);
        breaks.set(pieces);
        endPiece(BREAK_WEIGHT);
    }

    private void endPiece(float weight) {
        if (pieces == ends.length) {
            ends = Arrays.copyOf(ends, 2 * pieces);
            weights = Arrays.copyOf(weights, 2 * pieces);
        }
        ends[pieces] = text.length();
        weights[pieces] = weight;
        pieces++;
    }

    private void multiply(int from, float factor) {
        for (int p = from; p < pieces; p++) {
            weights[p] = clamp(weights[p] * factor);
        }
    }

    private static float clamp(float weight) {
        return Math.clamp(weight, -MAX_WEIGHT, MAX_WEIGHT);
    }

    /** Returns the closing bracket after the number at {@code start}; 0 if there is no such number or bracket. */
    private int bracketAfterNumber(int start) {
        int end = numberEnd(start);
        boolean number = prompt.substring(start, end).chars().anyMatch(Character::isDigit); // not only a point
        while (isDigit(end) || isAt(end, '.')) {
            end++;
        }
        return number && isAt(end, ')') ? end : 0;
    }

    private float number(int start) {
        return clamp(Float.parseFloat(prompt.substring(start, numberEnd(start))));
    }

    /** Returns the end of a sign, digits, a point and digits, all of which may be absent. */
    private int numberEnd(int start) {
        int end = isAt(start, '+') || isAt(start, '-') ? start + 1 : start;
        end = digitsEnd(end);
        return isAt(end, '.') ? digitsEnd(end + 1) : end;
    }

    private int digitsEnd(int start) {
        int end = start;
        while (isDigit(end)) {
            end++;
        }
        return end;
    }

    private boolean isDigit(int index) {
        return index < prompt.length() && prompt.charAt(index) >= '0' && prompt.charAt(index) <= '9';
    }

    private boolean isAt(int index, char c) {
        return index < prompt.length() && prompt.charAt(index) == c;
    }

    private boolean isBreak(int index) {
        int end = index + BREAK.length();
        return prompt.startsWith(BREAK, index)
                && (index == 0 || !isWordCharacter(prompt.codePointBefore(index)))
                && (end == prompt.length() || !isWordCharacter(prompt.codePointAt(end)));
    }

    private static boolean isWordCharacter(int c) {
        int type = Character.getType(c);
        return Character.isLetterOrDigit(c)
                || type == Character.LETTER_NUMBER
                || type == Character.OTHER_NUMBER
                || c == '_';
    }

    private List<List<WeightedText>> parts() {
        List<List<WeightedText>> parts = new ArrayList<>();
        List<WeightedText> part = new ArrayList<>();
        int start = 0;
        for (int p = 0; p < pieces; p++) {
            if (breaks.get(p) && weights[p] == BREAK_WEIGHT) {
                parts.add(List.copyOf(part));
                part.clear();
                start = ends[p];
            } else if (!continues(p)) {
                part.add(new WeightedText(text.substring(start, ends[p]), weights[p]));
                start = ends[p];
            }
        }
        parts.add(List.copyOf(part));
        return List.copyOf(parts);
    }

    /** Whether piece {@code p} and the next one are one run. */
    private boolean continues(int p) {
        return p + 1 < pieces && weights[p] == weights[p + 1] && !breaks.get(p) && !breaks.get(p + 1);
    }

    /** The open brackets of one kind: for each the number of pieces before it. */
    private static final class OpenBrackets {
        private final int[] starts = new int[MAX_DEPTH];
        private int depth;

        boolean any() {
            return depth > 0;
        }

        void open(int piece) {
            if (depth < MAX_DEPTH) {
                starts[depth] = piece;
            }
            depth++;
        }

        /** Returns the first piece inside the innermost bracket; {@code end}, for none, where it lies too deep. */
        int close(int end) {
            depth--;
            return depth < MAX_DEPTH ? starts[depth] : end;
        }
    }
}
