package io.aquarelle.benchmarks;

import io.aquarelle.model.Autoencoder;
import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.Engine;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.ModelSpec;
import io.aquarelle.model.UNet;
import io.aquarelle.model.UNet.Condition;
import io.aquarelle.model.Weights;
import io.aquarelle.sampling.RandomSources;
import io.aquarelle.text.PromptTokens;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** The networks of a checkpoint, {@code -p model=FILE}, on all processors; each iteration is one call. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 1)
@Measurement(iterations = 5)
@Fork(value = 1, jvmArgsAppend = "--enable-native-access=ALL-UNNAMED")
public class NetworkBenchmark {
    private static final float[] TIMESTEP = {500};

    /** A checkpoint as one .safetensors file. */
    @Param("")
    String model;

    /** Pixels of a picture's side. */
    @Param("512")
    int size;

    private Engine engine;
    private UNet unet;
    private Autoencoder vae;
    private int side; // of the latent
    private float[] latent;
    private Condition condition;

    /** Makes the networks, and a latent and a text embedding of noise. */
    @Setup
    public void open() throws IOException {
        engine = Engine.create(EngineOptions.best());
        try (Checkpoint checkpoint = Checkpoint.open(Path.of(model));
                Weights weights = Weights.of(checkpoint)) {
            ModelSpec spec = ModelSpec.of(checkpoint);
            unet = UNet.create(engine, weights, ModelSpec.UNET_PREFIX, spec.heads());
            vae = Autoencoder.create(engine, weights, ModelSpec.VAE_PREFIX);
        }
        if (size < vae.factor() || size % vae.factor() != 0) {
            throw new IllegalArgumentException("size is " + size + "; it must be a multiple of " + vae.factor());
        }
        side = size / vae.factor();
        latent = RandomSources.philox(1).normal(unet.inChannels() * side * side);
        var random = RandomSources.philox(2);
        condition = new Condition(
                random.normal(PromptTokens.CHUNK_LENGTH * unet.contextWidth()),
                PromptTokens.CHUNK_LENGTH,
                random.normal(unet.labelWidth()),
                random.normal(unet.guidanceWidth()));
    }

    /** Gives native memory back. */
    @TearDown
    public void close() {
        vae.close();
        unet.close();
        engine.close();
    }

    /** One evaluation of the UNet, batch 1, with one chunk of prompt. */
    @Benchmark
    public float[] unetCall() {
        return unet.evaluate(latent, TIMESTEP, condition, side, side, null);
    }

    /** One latent to a picture. */
    @Benchmark
    public float[] vaeDecode() {
        return vae.decode(latent, 1, side, side, null);
    }
}
