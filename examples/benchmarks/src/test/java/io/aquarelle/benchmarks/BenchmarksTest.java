package io.aquarelle.benchmarks;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.model.NanoModel;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.openjdk.jmh.runner.BenchmarkList;
import org.openjdk.jmh.runner.format.OutputFormatFactory;
import org.openjdk.jmh.runner.options.VerboseMode;

class BenchmarksTest {
    @Test
    void jmhFindsEveryBenchmark() {
        var silent = OutputFormatFactory.createFormatInstance(System.out, VerboseMode.SILENT);
        Set<String> found = new TreeSet<>();
        BenchmarkList.defaultList().getAll(silent, List.of()).forEach(entry -> found.add(entry.getUsername()));
        String folder = "io.aquarelle.benchmarks.";
        assertEquals(
                Set.of(
                        folder + "DowncallBenchmark.describe",
                        folder + "DowncallBenchmark.peakResidentBytes",
                        folder + "NetworkBenchmark.unetCall",
                        folder + "NetworkBenchmark.vaeDecode",
                        folder + "NoiseBenchmark.normal",
                        folder + "SamplerBenchmark.sample",
                        folder + "TokenizerBenchmark.encode",
                        folder + "TokenizerBenchmark.prompt"),
                found);
    }

    @Test
    void promptsHaveTheLengthsTheyClaim() {
        var benchmark = new TokenizerBenchmark();
        benchmark.length = TokenizerBenchmark.Length.SHORT;
        benchmark.load();
        assertEquals(7, benchmark.encode().length);
        assertEquals(1, benchmark.prompt().chunks());
        benchmark.length = TokenizerBenchmark.Length.LONG;
        benchmark.load();
        assertEquals(4, benchmark.prompt().chunks());
    }

    @Test
    void networksRunOnAModel(@TempDir Path folder) throws IOException {
        Path model = folder.resolve("nano.safetensors");
        NanoModel.writeDrawable(model);
        var benchmark = new NetworkBenchmark();
        benchmark.model = model.toString();
        benchmark.size = 64;
        benchmark.open();
        try {
            assertTrue(benchmark.unetCall().length > 0);
            assertEquals(3 * 64 * 64, benchmark.vaeDecode().length);
        } finally {
            benchmark.close();
        }
    }

    @Test
    void networksAreLeftOutOnlyWhereTheyAreChosenWithoutAModel() {
        String networks = NetworkBenchmark.class.getName();
        assertArrayEquals(new String[] {"-f", "1", "-e", networks}, Main.runnable("-f", "1"));
        assertArrayEquals(new String[0], Main.runnable("Network"));
        for (String line : List.of("-p model=x", "Network -p model=x", "Tokenizer -f 1", "-l", "nothing", "-wrong")) {
            String[] args = line.split(" ");
            assertArrayEquals(args, Main.runnable(args), line);
        }
    }
}
