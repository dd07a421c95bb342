package io.aquarelle.cli;

import io.aquarelle.Version;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.util.concurrent.CancellationException;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.UnmatchedArgumentException;

/** The command {@code aquarelle}. */
@Command(
        name = "aquarelle",
        description = "Draws pictures with Stable Diffusion on the CPU.",
        mixinStandardHelpOptions = true,
        versionProvider = Main.VersionLine.class,
        scope = ScopeType.INHERIT,
        synopsisSubcommandLabel = "COMMAND",
        footer = {
            "",
            "Exit status: 0 done, 1 failed while running, 2 bad arguments or a bad file, 130 stopped by Ctrl-C."
        })
public final class Main {
    static final int DONE = 0;
    static final int FAILED = 1;
    static final int BAD_INPUT = 2;
    static final int CANCELLED = 130;

    /** What Java makes of bytes in an argument that are no text in the locale of the process. */
    private static final char UNREADABLE = '\ufffd';

    private Main() {}

    /** Runs the command and ends the process with its exit status. */
    public static void main(String[] args) {
        var interrupt = new Interrupt();
        Runtime.getRuntime().addShutdownHook(new Thread(interrupt::stopAndWait));
        int status = run(args, new Context(System.out, System.err, StandardError.isTerminal(), interrupt));
        interrupt.finished();
        System.exit(status);
    }

    /** Runs the command as in a pipe and returns its exit status. */
    static int run(String[] args, PrintStream out, PrintStream err) {
        return run(args, new Context(out, err, false, new Interrupt()));
    }

    static int run(String[] args, Context context) {
        var line = new CommandLine(new Main())
                .addSubcommand(new GenerateCommand(context))
                .addSubcommand(new UpscaleCommand(context))
                .addSubcommand(new ConvertCommand(context))
                .addSubcommand(new InspectCommand(context))
                .addSubcommand(new SynthCommand(context))
                .addSubcommand(new BenchCommand(context))
                .addSubcommand(new MasksCommand(context))
                .setCaseInsensitiveEnumValuesAllowed(true)
                .setExpandAtFiles(false) // a prompt may start with @
                .setOut(new PrintWriter(context.out(), true))
                .setParameterExceptionHandler((failure, arguments) -> reject(failure, context))
                .setExecutionExceptionHandler((failure, command, parsed) -> fail(failure, command, context));
        if (String.join("", args).indexOf(UNREADABLE) >= 0) {
            context.complain("an argument holds characters that this locale lacks; set LC_ALL=C.UTF-8");
            return BAD_INPUT;
        }
        try {
            return line.execute(args);
        } catch (Error failure) {
            return fail(failure, line, context);
        }
    }

    private static int reject(ParameterException failure, Context context) {
        String command = failure.getCommandLine().getCommandSpec().qualifiedName();
        context.complain(problem(failure) + "; see " + command + " --help");
        return BAD_INPUT;
    }

    private static String problem(ParameterException failure) {
        if (failure instanceof UnmatchedArgumentException unmatched && !unmatched.isUnknownOption()) {
            String argument = unmatched.getUnmatched().getFirst();
            return failure.getCommandLine().getParent() == null
                    ? "there is no command '" + argument + "'"
                    : "unexpected argument '" + argument + "'; put words that belong together in quotes";
        }
        return failure.getMessage();
    }

    private static int fail(Throwable failure, CommandLine line, Context context) {
        if (line.getCommand() instanceof SubCommand command && command.verbose) {
            failure.printStackTrace(context.err());
        }
        if (failure instanceof CancellationException) {
            context.complain("stopped; finished pictures stay");
            return CANCELLED;
        }
        context.complain(failure.getMessage() == null ? failure.toString() : failure.getMessage());
        return failure instanceof IllegalArgumentException ? BAD_INPUT : FAILED;
    }

    static final class VersionLine implements IVersionProvider {
        @Override
        public String[] getVersion() {
            return new String[] {"aquarelle " + Version.current()};
        }
    }
}
