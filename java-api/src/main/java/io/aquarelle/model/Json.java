package io.aquarelle.model;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A strict JSON reader (RFC 8259) for the headers of model files.
 *
 * <p>Values become {@link Map} (in file order), {@link List}, {@link String}, {@link Long} for a number written without
 * fraction and exponent that fits, {@link Double} for any other, {@link Boolean} and {@code null}. Stricter than the
 * RFC: a key may not occur twice in an object, an escaped surrogate needs its partner, a number must be finite. Depth
 * and number of values are limited, so that hostile text costs time and memory in proportion to its length only.
 */
final class Json {
    static final int MAX_DEPTH = 32;
    static final int MAX_VALUES = 2_000_000;
    private static final int MAX_LONG_CHARACTERS = Long.toString(Long.MIN_VALUE).length();

    /** Stands for the end of the text where only other characters matter; in a text it is a noncharacter. */
    private static final char END = '\uFFFF';

    /** The text is not JSON or goes beyond a limit; the message says what and where. */
    static final class SyntaxException extends Exception {
        private static final long serialVersionUID = 1L;

        private SyntaxException(String problem, int at) {
            super(problem + " at character " + at);
        }
    }

    private final String text;
    private int at;
    private int depth;
    private int values;

    private Json(String text) {
        this.text = text;
    }

    static @Nullable Object parse(String text) throws SyntaxException {
        var json = new Json(text);
        Object value = json.value();
        json.peek();
        if (json.at < text.length()) {
            throw json.error("text after the end of the value");
        }
        return value;
    }

    /** Writes {@code text} as a JSON string with its quotation marks. */
    static String quote(String text) {
        var out = new StringBuilder(text.length() + 2).append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < ' ') {
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        return out.append('"').toString();
    }

    /** The next character that is not white space, not consumed. */
    private char peek() {
        while (at < text.length() && " \t\n\r".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
        return at < text.length() ? text.charAt(at) : END;
    }

    private void expect(char c) throws SyntaxException {
        if (peek() != c) {
            throw error("'" + c + "' expected");
        }
        at++;
    }

    private SyntaxException error(String problem) {
        return new SyntaxException(at < text.length() ? problem : problem + ", but the text ends", at);
    }

    private @Nullable Object value() throws SyntaxException {
        if (++values > MAX_VALUES) {
            throw error("more than " + MAX_VALUES + " values");
        }
        return switch (peek()) {
            case '{' -> object();
            case '[' -> list();
            case '"' -> string();
            case 't' -> word("true", true);
            case 'f' -> word("false", false);
            case 'n' -> word("null", null);
            case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9' -> number();
            default -> throw error("a value expected");
        };
    }

    private Map<String, @Nullable Object> object() throws SyntaxException {
        var members = new LinkedHashMap<String, @Nullable Object>();
        enter('{');
        if (peek() != '}') {
            do {
                if (peek() != '"') {
                    throw error("a key in quotation marks expected");
                }
                int start = at;
                String key = string();
                if (members.containsKey(key)) {
                    at = start;
                    throw error("the key \"" + shorten(key) + "\" occurs twice:");
                }
                expect(':');
                members.put(key, value());
            } while (comma());
        }
        leave('}');
        return members;
    }

    private List<@Nullable Object> list() throws SyntaxException {
        var elements = new ArrayList<@Nullable Object>(4);
        enter('[');
        if (peek() != ']') {
            do {
                elements.add(value());
            } while (comma());
        }
        leave(']');
        return elements;
    }

    private void enter(char bracket) throws SyntaxException {
        if (++depth > MAX_DEPTH) {
            throw error("more than " + MAX_DEPTH + " levels of brackets");
        }
        expect(bracket);
    }

    private void leave(char bracket) throws SyntaxException {
        expect(bracket);
        depth--;
    }

    private boolean comma() {
        if (peek() != ',') {
            return false;
        }
        at++;
        return true;
    }

    private @Nullable Object word(String word, @Nullable Object meaning) throws SyntaxException {
        if (!text.startsWith(word, at)) {
            throw error("a value expected");
        }
        at += word.length();
        return meaning;
    }

    private String string() throws SyntaxException {
        int start = ++at;
        while (at < text.length() && text.charAt(at) >= ' ' && text.charAt(at) != '"' && text.charAt(at) != '\\') {
            at++;
        }
        if (at < text.length() && text.charAt(at) == '"') {
            return text.substring(start, at++);
        }
        var out = new StringBuilder().append(text, start, at);
        while (true) {
            char c = at < text.length() ? text.charAt(at) : END;
            if (at == text.length() || c < ' ') {
                throw error("a string without its closing quotation mark");
            }
            at++;
            if (c == '"') {
                return out.toString();
            } else if (c != '\\') {
                out.append(c);
            } else {
                escape(out);
            }
        }
    }

    private void escape(StringBuilder out) throws SyntaxException {
        char c = at < text.length() ? text.charAt(at++) : END;
        switch (c) {
            case '"', '\\', '/' -> out.append(c);
            case 'b' -> out.append('\b');
            case 'f' -> out.append('\f');
            case 'n' -> out.append('\n');
            case 'r' -> out.append('\r');
            case 't' -> out.append('\t');
            case 'u' -> {
                char high = hex();
                out.append(high);
                if (Character.isHighSurrogate(high)) {
                    if (!text.startsWith("\\u", at)) {
                        throw error("a surrogate without its partner");
                    }
                    at += 2;
                    char low = hex();
                    if (!Character.isLowSurrogate(low)) {
                        throw error("a surrogate without its partner");
                    }
                    out.append(low);
                } else if (Character.isLowSurrogate(high)) {
                    throw error("a surrogate without its partner");
                }
            }
            default -> throw error("an unknown escape");
        }
    }

    private char hex() throws SyntaxException {
        int code = 0;
        for (int i = 0; i < 4; i++) {
            char c = at < text.length() ? text.charAt(at) : END;
            int digit = c < 128 ? Character.digit(c, 16) : -1;
            if (digit < 0) {
                throw error("four hexadecimal digits expected");
            }
            code = code << 4 | digit;
            at++;
        }
        return (char) code;
    }

    /** {@code -? (0 | [1-9] [0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?} */
    private Number number() throws SyntaxException {
        int start = at;
        skip("-");
        if (!skip("0")) {
            digits();
        }
        boolean whole = true;
        if (skip(".")) {
            whole = false;
            digits();
        }
        if (skip("eE")) {
            whole = false;
            skip("+-");
            digits();
        }
        String digits = text.substring(start, at);
        if (whole && digits.length() <= MAX_LONG_CHARACTERS) {
            try {
                return Long.valueOf(digits);
            } catch (NumberFormatException e) {
                // Beyond a long, such as 9999999999999999999: a double like any other large number.
            }
        }
        double value = Double.parseDouble(digits);
        if (Double.isInfinite(value)) {
            at = start;
            throw error("a number beyond the range of a double");
        }
        return value;
    }

    /** Consumes one character if it is one of {@code characters}. */
    private boolean skip(String characters) {
        boolean found = at < text.length() && characters.indexOf(text.charAt(at)) >= 0;
        if (found) {
            at++;
        }
        return found;
    }

    private void digits() throws SyntaxException {
        int start = at;
        while (skip("0123456789")) {}
        if (at == start) {
            throw error("a digit expected");
        }
    }

    /** A name for a message: cut where it gets too long to read. */
    static String shorten(String name) {
        return name.length() <= 120 ? name : name.substring(0, 120) + "…";
    }
}
