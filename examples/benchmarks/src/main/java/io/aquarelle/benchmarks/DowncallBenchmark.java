package io.aquarelle.benchmarks;

import io.aquarelle.model.NativeRuntime;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Warmup;

/**
 * What it costs to call native code: an upper bound, since these calls, the cheapest of the API, do a little work there.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 2, jvmArgsAppend = "--enable-native-access=ALL-UNNAMED")
public class DowncallBenchmark {
    /** A call without arguments: argument memory made and freed, one downcall, one question to the system. */
    @Benchmark
    public long peakResidentBytes() {
        return NativeRuntime.peakResidentBytes();
    }

    /** A call with a buffer for text, which becomes a Java string. */
    @Benchmark
    public String describe() {
        return NativeRuntime.describe();
    }
}
