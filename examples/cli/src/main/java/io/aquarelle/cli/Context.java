package io.aquarelle.cli;

import java.io.PrintStream;

/**
 * Where a command runs.
 *
 * @param out for results
 * @param err for everything else
 * @param interactive whether somebody watches {@code err} on a terminal
 * @param interrupt tells of Ctrl-C
 */
record Context(PrintStream out, PrintStream err, boolean interactive, Interrupt interrupt) {
    /** Prints one line about a failure, whatever the message holds. */
    void complain(String message) {
        err.println("aquarelle: " + printable(message));
    }

    ProgressBar progressBar() {
        return new ProgressBar(err, interactive);
    }

    /** Text from a file or an argument without what a terminal takes for a command or a new line. */
    static String printable(String text) {
        return text.strip().replaceAll("\\R\\s*", " ").replaceAll("[\\p{Cntrl}\\p{Zl}\\p{Zp}\\p{Cf}]", "?");
    }
}
