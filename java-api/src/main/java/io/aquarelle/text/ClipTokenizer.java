package io.aquarelle.text;

import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;

/**
 * The tokenizer of OpenAI CLIP: text becomes ids of a vocabulary of 49,408 byte-pair tokens.
 *
 * <p>Text is cleaned (character references decoded twice, white space collapsed, lower case) and split into words, and
 * each word's UTF-8 bytes are merged to tokens. The ids equal those of {@code SimpleTokenizer} in OpenAI's CLIP
 * (Radford et al., 2021) without its step {@code ftfy.fix_text}, which mends wrongly decoded text and straightens curly
 * quotes; stable-diffusion.cpp leaves it out too. A surrogate without its partner, which OpenAI's program rejects,
 * counts as U+FFFD. As there, the texts {@code <|startoftext|>} and {@code <|endoftext|>} become the marks themselves.
 *
 * <p>Immutable but for a bounded cache; safe for use by many threads.
 */
public final class ClipTokenizer {
    /** Id of the mark that begins a chunk. */
    public static final int BEGIN = 49406;

    /** Id of the mark that ends a chunk. */
    public static final int END = 49407;

    private static final String BEGIN_TEXT = "<|startoftext|>";
    private static final String END_TEXT = "<|endoftext|>";

    private static final int CACHED_WORDS = 8192;
    private static final int CACHED_WORD_LENGTH = 32;

    private final BytePairEncoder encoder = BytePairEncoder.load();
    private final Map<String, int[]> cache = new ConcurrentHashMap<>();

    private ClipTokenizer() {}

    /** Returns the one tokenizer; the first call loads its merges. */
    public static ClipTokenizer instance() {
        return Holder.INSTANCE;
    }

    /** Returns the token ids of {@code text}, of any number, without begin and end marks. */
    public int[] encode(String text) {
        String clean = TextCleaner.clean(text);
        IntStream.Builder tokens = IntStream.builder();
        int start = 0;
        while (start < clean.length()) {
            int end = wordEnd(clean, start);
            if (end == start) { // between words
                start++;
                continue;
            }
            String word = clean.substring(start, end);
            switch (word) {
                case BEGIN_TEXT -> tokens.add(BEGIN);
                case END_TEXT -> tokens.add(END);
                default -> {
                    for (int token : encodeWord(word)) {
                        tokens.add(token);
                    }
                }
            }
            start = end;
        }
        return tokens.build().toArray();
    }

    private int[] encodeWord(String word) {
        int[] cached = cache.get(word);
        if (cached != null) {
            return cached;
        }
        int[] tokens = encoder.encode(word.getBytes(StandardCharsets.UTF_8));
        if (word.length() <= CACHED_WORD_LENGTH && cache.size() < CACHED_WORDS) {
            cache.put(word, tokens);
        }
        return tokens;
    }

    /**
     * Returns the end of the word that starts at {@code start}: a mark, an English contraction, a run of letters, one
     * number character, or a run of anything else but space; {@code start} itself where there is only a gap.
     */
    private static int wordEnd(String text, int start) {
        if (text.startsWith(BEGIN_TEXT, start)) {
            return start + BEGIN_TEXT.length();
        }
        if (text.startsWith(END_TEXT, start)) {
            return start + END_TEXT.length();
        }
        int contraction = contractionLength(text, start);
        if (contraction > 0) {
            return start + contraction;
        }
        Kind kind = kindAt(text, start);
        if (kind == Kind.GAP) {
            return start;
        }
        int end = start;
        do {
            end += Character.charCount(text.codePointAt(end));
        } while (kind != Kind.NUMBER && end < text.length() && kindAt(text, end) == kind);
        return end;
    }

    private static int contractionLength(String text, int start) {
        if (text.charAt(start) != '\'' || start + 1 == text.length()) {
            return 0;
        }
        char second = start + 2 < text.length() ? text.charAt(start + 2) : 0;
        return switch (text.charAt(start + 1)) {
            case 's', 't', 'm', 'd', 'ſ' -> 2; // long s: it equals s where case is ignored
            case 'r', 'v' -> second == 'e' ? 3 : 0;
            case 'l' -> second == 'l' ? 3 : 0;
            default -> 0;
        };
    }

    private enum Kind {
        LETTER,
        NUMBER,
        GAP,
        OTHER
    }

    private static Kind kindAt(String text, int index) {
        int c = text.codePointAt(index);
        return switch (Character.getType(c)) {
            case Character.UPPERCASE_LETTER,
                    Character.LOWERCASE_LETTER,
                    Character.TITLECASE_LETTER,
                    Character.MODIFIER_LETTER,
                    Character.OTHER_LETTER -> Kind.LETTER;
            case Character.DECIMAL_DIGIT_NUMBER, Character.LETTER_NUMBER, Character.OTHER_NUMBER -> Kind.NUMBER;
            // The combining iota is no letter, but equals one where case is ignored, so CLIP's pattern skips it.
            default -> c == ' ' || c == '\u0345' ? Kind.GAP : Kind.OTHER;
        };
    }

    private static final class Holder {
        static final ClipTokenizer INSTANCE = new ClipTokenizer();
    }
}
