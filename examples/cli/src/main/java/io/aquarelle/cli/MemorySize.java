package io.aquarelle.cli;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Bytes, written as 800000000, 800M, 800MB or 0.8G. */
final class MemorySize implements ITypeConverter<Long> {
    private static final Pattern SIZE = Pattern.compile("([0-9]{1,15}(?:\\.[0-9]{1,9})?)([KMGT]?)B?");

    @Override
    public Long convert(String text) {
        Matcher size = SIZE.matcher(text.toUpperCase(Locale.ROOT));
        double bytes = 0;
        if (size.matches()) {
            bytes = Double.parseDouble(size.group(1)) * Math.pow(1000, " KMGT".indexOf(unit(size.group(2))));
        }
        if (!(bytes >= 1 && bytes <= 1e15)) {
            throw new TypeConversionException("'" + text + "' is no size; give one as in 500M or 2G");
        }
        return (long) bytes;
    }

    private static char unit(String letter) {
        return letter.isEmpty() ? ' ' : letter.charAt(0);
    }
}
