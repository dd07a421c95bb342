package io.aquarelle.plan;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Plans in a few characters, for commands. */
public final class PlanSyntax {
    private static final Pattern INHERITANCE = Pattern.compile("(block|layer|unit)(?::([^/@^]+))?([/@^~])(.*)");
    private static final String FORM =
            "write block, block:COUNT, layer:BRANCH or unit:NAME, then the calls that compute in full:"
                    + " /N every N-th, @0-3,5 those listed, ^COUNT:CENTRE:POWER by power law,"
                    + " ~CHANGE or ~CHANGE:MOST where the output is estimated to have changed by that share, at least after MOST"
                    + " others";

    private PlanSyntax() {}

    /**
     * A feature inheritance: {@code block/3}, {@code block:6/3}, {@code layer:0/3}, {@code unit:cross@0-9}, {@code layer:1^8:10:1.4}; or an
     * adaptive one: {@code block~0.1}, {@code block~0.1:4}.
     *
     * @throws IllegalArgumentException if it is none; one line that tells the form
     */
    public static StepPolicy inheritance(String text) {
        Matcher parts = INHERITANCE.matcher(text.strip());
        if (!parts.matches()) {
            throw new IllegalArgumentException("'" + text + "' is no plan: " + FORM);
        }
        UnitSelection units = units(text, parts.group(1), parts.group(2));
        String calls = parts.group(4);
        if (parts.group(3).equals("~")) {
            return adaptive(text, units, calls.split(":", -1));
        }
        CallSelection keys = switch (parts.group(3)) {
            case "/" -> CallSelection.every(whole(text, calls));
            case "@" -> CallSelection.listed(calls);
            default -> powerLaw(text, calls.split(":", -1));
        };
        return new FeatureInheritance(units, keys);
    }

    private static StepPolicy adaptive(String text, UnitSelection units, String[] numbers) {
        if (numbers.length > 2) {
            throw new IllegalArgumentException("'" + text + "' is no plan: " + FORM);
        }
        int most = numbers.length == 1 ? AdaptiveInheritance.MOST : whole(text, numbers[1]);
        return new AdaptiveInheritance(units, number(text, numbers[0]), most);
    }

    private static UnitSelection units(String text, String level, String what) {
        return switch (level) {
            case "block" -> UnitSelection.encoder(what == null ? 0 : whole(text, what));
            case "layer" -> UnitSelection.decoderLayer(what == null ? 0 : whole(text, what));
            default -> {
                if (what == null) {
                    throw new IllegalArgumentException("'" + text + "': name a unit, as in unit:cross");
                }
                yield UnitSelection.named(what);
            }
        };
    }

    private static CallSelection powerLaw(String text, String[] numbers) {
        if (numbers.length != 3) {
            throw new IllegalArgumentException("'" + text + "' is no plan: " + FORM);
        }
        return CallSelection.powerLaw(whole(text, numbers[0]), whole(text, numbers[1]), number(text, numbers[2]));
    }

    private static double number(String text, String number) {
        try {
            return Double.parseDouble(number);
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException("'" + text + "': '" + number + "' is no number");
        }
    }

    private static int whole(String text, String number) {
        if (!number.matches("\\d{1,6}")) {
            throw new IllegalArgumentException("'" + text + "': '" + number + "' is no whole number");
        }
        return Integer.parseInt(number);
    }
}
