package io.aquarelle.benchmarks;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.openjdk.jmh.runner.BenchmarkList;
import org.openjdk.jmh.runner.BenchmarkListEntry;
import org.openjdk.jmh.runner.format.OutputFormatFactory;
import org.openjdk.jmh.runner.options.CommandLineOptionException;
import org.openjdk.jmh.runner.options.CommandLineOptions;
import org.openjdk.jmh.runner.options.VerboseMode;

/** JMH's command line, but the networks are left out where no model is named. */
public final class Main {
    private static final String NETWORKS = NetworkBenchmark.class.getName();

    private Main() {}

    /** Takes JMH's arguments. */
    public static void main(String[] args) throws IOException {
        String[] rest = runnable(args);
        if (rest.length > 0 || args.length == 0) {
            org.openjdk.jmh.Main.main(rest);
        }
    }

    /**
     * The arguments with the networks excluded if they cannot run, which is said on standard output; none if the
     * networks were all that was asked for.
     */
    static String[] runnable(String... args) {
        CommandLineOptions options;
        try {
            options = new CommandLineOptions(args);
        } catch (CommandLineOptionException e) {
            return args; // JMH reports it
        }
        if (onlyTells(options) || options.getParameter("model").hasValue()) {
            return args;
        }
        List<String> chosen = chosen(options);
        if (!chosen.contains(NETWORKS)) {
            return args;
        }
        System.out.println("NetworkBenchmark is skipped: name a model with -p model=FILE");
        return chosen.stream().allMatch(NETWORKS::equals)
                ? new String[0]
                : Stream.concat(Arrays.stream(args), Stream.of("-e", NETWORKS)).toArray(String[]::new);
    }

    /** Whether the options ask for help or a list, not for measurements. */
    private static boolean onlyTells(CommandLineOptions options) {
        return options.shouldHelp()
                || options.shouldList()
                || options.shouldListWithParams()
                || options.shouldListProfilers()
                || options.shouldListResultFormats();
    }

    /** The classes of the benchmarks that the options choose. */
    private static List<String> chosen(CommandLineOptions options) {
        var silent = OutputFormatFactory.createFormatInstance(System.out, VerboseMode.SILENT);
        List<String> includes = options.getIncludes().isEmpty() ? List.of(".*") : options.getIncludes();
        return BenchmarkList.defaultList().find(silent, includes, options.getExcludes()).stream()
                .map(BenchmarkListEntry::getUserClassQName)
                .toList();
    }
}
