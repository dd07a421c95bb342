package io.aquarelle.cli;

import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Option;

/** What all subcommands have. */
abstract class SubCommand implements Callable<Integer> {
    final Context context;

    @Option(
            names = {"-v", "--verbose"},
            order = 90,
            description = "Tell more on standard error, with stack traces of failures.")
    boolean verbose;

    SubCommand(Context context) {
        this.context = context;
    }

    /** For the curious, on standard error. */
    final void tell(String format, Object... values) {
        if (verbose) {
            context.err().println(Context.printable(String.format(Locale.ROOT, format, values)));
        }
    }

    /** For whoever asked, on standard output. */
    final void print(String format, Object... values) {
        context.out().println(String.format(Locale.ROOT, format, values));
    }
}
