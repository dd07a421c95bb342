package io.aquarelle.text;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * Decodes HTML 5 character references ({@code &eacute;}, {@code &amp}, {@code &#233;}, {@code &#xE9;}) by the rules of
 * Python's {@code html.unescape}, which CLIP uses: a reference may lack its semicolon, a name may run on into letters
 * that don't belong to it, numbers 128–159 mean Windows-1252, and what is no reference stays as it is.
 */
final class HtmlReferences {
    private static final String RESOURCE = "html-entities.txt";
    private static final int LONGEST_NAME = 31; // without its semicolon

    /** What the numbers 128–159 stand for. */
    private static final String WINDOWS_1252 = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008DŽ\u008F\u0090‘’“”•–—˜™š›œ\u009DžŸ";

    private HtmlReferences() {}

    static String decode(String text) {
        int ampersand = text.indexOf('&');
        if (ampersand < 0) {
            return text;
        }
        StringBuilder decoded = new StringBuilder(text.length());
        int copied = 0;
        while (ampersand >= 0) {
            decoded.append(text, copied, ampersand);
            copied = text.startsWith("#", ampersand + 1)
                    ? decodeNumber(text, ampersand, decoded)
                    : decodeName(text, ampersand, decoded);
            ampersand = text.indexOf('&', copied);
        }
        return decoded.append(text, copied, text.length()).toString();
    }

    /** Decodes the number at {@code &#} and returns its end, or copies the ampersand. */
    private static int decodeNumber(String text, int ampersand, StringBuilder decoded) {
        boolean hexadecimal = text.startsWith("x", ampersand + 2) || text.startsWith("X", ampersand + 2);
        int radix = hexadecimal ? 16 : 10;
        int start = ampersand + (hexadecimal ? 3 : 2);
        int end = start;
        int number = 0;
        while (end < text.length() && digit(text.charAt(end), radix) >= 0) {
            number = Math.min(number * radix + digit(text.charAt(end), radix), Character.MAX_CODE_POINT + 1);
            end++;
        }
        if (end == start) {
            decoded.append('&');
            return ampersand + 1;
        }
        appendNumber(decoded, number);
        return text.startsWith(";", end) ? end + 1 : end;
    }

    private static int digit(char c, int radix) {
        return c < 0x80 ? Character.digit(c, radix) : -1;
    }

    private static void appendNumber(StringBuilder decoded, int number) {
        boolean surrogate = number >= Character.MIN_SURROGATE && number <= Character.MAX_SURROGATE;
        if (number == 0 || surrogate || number > Character.MAX_CODE_POINT) {
            decoded.append('\uFFFD');
        } else if (number >= 0x80 && number <= 0x9F) {
            decoded.append(WINDOWS_1252.charAt(number - 0x80));
        } else if (!isForbidden(number)) {
            decoded.appendCodePoint(number);
        }
    }

    /** Control characters and noncharacters: a reference to one of them stands for nothing. */
    private static boolean isForbidden(int number) {
        boolean control = number < 0x20 && "\t\n\f\r".indexOf(number) < 0 || number == 0x7F;
        return control || number >= 0xFDD0 && number <= 0xFDEF || (number & 0xFFFE) == 0xFFFE;
    }

    /** Decodes the longest name at {@code ampersand} and returns its end, or copies the ampersand. */
    private static int decodeName(String text, int ampersand, StringBuilder decoded) {
        int start = ampersand + 1;
        int end = start;
        while (end < text.length() && end - start < LONGEST_NAME && digit(text.charAt(end), Character.MAX_RADIX) >= 0) {
            end++;
        }
        if (text.startsWith(";", end)) {
            end++;
        }
        for (int nameEnd = end; nameEnd > start; nameEnd--) {
            String value = Names.VALUES.get(text.substring(start, nameEnd));
            if (value != null) {
                decoded.append(value);
                return nameEnd;
            }
        }
        decoded.append('&');
        return start;
    }

    /** The 2,231 names of HTML 5, loaded when the first ampersand is met. */
    private static final class Names {
        static final Map<String, String> VALUES = load();

        private static Map<String, String> load() {
            try (InputStream resource = HtmlReferences.class.getResourceAsStream(RESOURCE)) {
                if (resource == null) {
                    throw new IllegalStateException(
                            "resource " + RESOURCE + " is missing from this build of Aquarelle");
                }
                return new String(resource.readAllBytes(), StandardCharsets.US_ASCII)
                        .lines()
                        .map(line -> line.split(" ", 2))
                        .collect(Collectors.toUnmodifiableMap(fields -> fields[0], fields -> characters(fields[1])));
            } catch (IOException e) {
                throw new UncheckedIOException("resource " + RESOURCE + " can't be read", e);
            }
        }

        private static String characters(String codePoints) {
            StringBuilder characters = new StringBuilder();
            for (String codePoint : codePoints.split(" ")) {
                characters.appendCodePoint(Integer.parseInt(codePoint, 16));
            }
            return characters.toString();
        }
    }
}
