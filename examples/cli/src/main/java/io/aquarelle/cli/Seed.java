package io.aquarelle.cli;

import java.math.BigInteger;
import java.util.OptionalLong;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * A seed as options take it.
 *
 * @param value an unsigned 64-bit number; empty for a random one, which is what a negative number asks for
 */
record Seed(OptionalLong value) {
    static final Seed RANDOM = new Seed(OptionalLong.empty());

    /** As people and programs read it. */
    static BigInteger unsigned(long seed) {
        return new BigInteger(Long.toUnsignedString(seed));
    }

    static final class Converter implements ITypeConverter<Seed> {
        @Override
        public Seed convert(String text) {
            if (text.matches("-[0-9]+")) {
                return RANDOM;
            }
            try {
                return new Seed(OptionalLong.of(Long.parseUnsignedLong(text)));
            } catch (NumberFormatException e) {
                throw new TypeConversionException("'" + text
                        + "' is no seed; give a whole number up to 18446744073709551615, or -1 for a random one");
            }
        }
    }
}
