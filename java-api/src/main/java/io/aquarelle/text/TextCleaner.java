package io.aquarelle.text;

/** The cleaning that CLIP does before it splits text into words. */
final class TextCleaner {
    /** Punctuation of Unicode's word-break classes MidLetter, MidNumLet and Single_Quote. */
    private static final String INSIDE_WORDS =
            "'.:\u00B7\u0387\u055F\u05F4\u2018\u2019\u2024\u2027" + "\uFE13\uFE52\uFE55\uFF07\uFF0E\uFF1A";

    private TextCleaner() {}

    /**
     * Returns {@code text} with character references decoded twice, white space stripped at the ends and collapsed to
     * one space inside, in lower case, and every surrogate without its partner replaced by U+FFFD.
     */
    static String clean(String text) {
        return normalize(HtmlReferences.decode(HtmlReferences.decode(text)));
    }

    private static String normalize(String text) {
        int start = 0;
        int end = text.length();
        while (start < end && isStripped(text.charAt(start))) {
            start++;
        }
        while (end > start && isStripped(text.charAt(end - 1))) {
            end--;
        }
        StringBuilder clean = new StringBuilder(end - start);
        boolean inSpace = false;
        int c;
        for (int i = start; i < end; i += Character.charCount(c)) {
            c = text.codePointAt(i);
            boolean space = isSpace(c);
            if (!space) {
                appendLowerCase(clean, c, text, i);
            } else if (!inSpace) {
                clean.append(' ');
            }
            inSpace = space;
        }
        return clean.toString();
    }

    /** Unicode's property White_Space. */
    private static boolean isSpace(int c) {
        return c >= '\t' && c <= '\r' || c == 0x85 || Character.isSpaceChar(c);
    }

    /** Python's {@code str.strip} also takes the four information separators. */
    private static boolean isStripped(int c) {
        return isSpace(c) || c >= 0x1C && c <= 0x1F;
    }

    /**
     * Unicode's full lower case, without a locale. {@link String#toLowerCase} is not used because it tells a final
     * sigma by word boundaries of its own, each found anew, where Unicode asks for the nearest letters.
     */
    private static void appendLowerCase(StringBuilder clean, int c, String text, int index) {
        switch (c) {
            case 'Σ' -> clean.append(isFinal(text, index) ? 'ς' : 'σ');
            case 'İ' -> clean.append("i\u0307");
            default -> clean.appendCodePoint(isLoneSurrogate(c) ? 0xFFFD : Character.toLowerCase(c));
        }
    }

    private static boolean isLoneSurrogate(int c) {
        return c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE;
    }

    /** Unicode's condition Final_Sigma: a cased letter before and none after, case-ignorable characters aside. */
    private static boolean isFinal(String text, int index) {
        int before = index;
        int c = ' ';
        while (before > 0 && isCaseIgnorable(c = text.codePointBefore(before))) {
            before -= Character.charCount(c);
        }
        if (before == 0 || !isCased(c)) {
            return false;
        }
        int after = index + 1;
        while (after < text.length() && isCaseIgnorable(c = text.codePointAt(after))) {
            after += Character.charCount(c);
        }
        return after == text.length() || !isCased(c);
    }

    private static boolean isCased(int c) {
        return Character.isLowerCase(c) || Character.isUpperCase(c) || Character.isTitleCase(c);
    }

    private static boolean isCaseIgnorable(int c) {
        return switch (Character.getType(c)) {
            case Character.NON_SPACING_MARK,
                    Character.ENCLOSING_MARK,
                    Character.FORMAT,
                    Character.MODIFIER_LETTER,
                    Character.MODIFIER_SYMBOL -> true;
            default -> INSIDE_WORDS.indexOf(c) >= 0;
        };
    }
}
