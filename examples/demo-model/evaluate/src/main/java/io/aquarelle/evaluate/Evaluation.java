package io.aquarelle.evaluate;

import io.aquarelle.GeneratedImage;
import io.aquarelle.ImageRequest;
import io.aquarelle.Picture;
import io.aquarelle.Pipeline;
import io.aquarelle.model.Autoencoder;
import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.Engine;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.ModelSpec;
import io.aquarelle.model.Weights;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;

/** Draws prompts with their seeds and judges the pictures. */
final class Evaluation implements AutoCloseable {
    /** The pictures of another run, by the number of the prompt. */
    interface Baseline {
        /** Has none. */
        Baseline NONE = (number, picture) -> OptionalDouble.empty();

        /** The peak signal-to-noise ratio of a picture in dB, where there is one to compare it with. */
        OptionalDouble psnr(int number, BufferedImage picture) throws IOException;

        /** These results. */
        static Baseline of(List<Result> results) {
            return (number, picture) -> OptionalDouble.of(
                    Picture.of(picture).psnr(Picture.of(results.get(number).picture())));
        }
    }

    private final Path model;
    private final EngineOptions options;
    private final List<Prompt> prompts;
    private final Checkpoint checkpoint;
    private final Engine engine;
    private final Autoencoder vae;
    private final Retrieval retrieval;

    /** Opens a model to draw some prompts with. */
    Evaluation(Path model, EngineOptions options, List<Prompt> prompts) throws IOException {
        this.model = model;
        this.options = options;
        this.prompts = prompts;
        checkpoint = Checkpoint.open(model);
        engine = Engine.create(options);
        try (Weights weights = Weights.of(checkpoint)) {
            vae = Autoencoder.create(engine, weights, ModelSpec.VAE_PREFIX);
        }
        retrieval = new Retrieval(new Atlas(), vae);
    }

    @Override
    public void close() {
        vae.close();
        engine.close();
        checkpoint.close();
    }

    /** One result a prompt. A plan that is to be found is found before the clock starts. */
    List<Result> results(Settings settings, Baseline baseline) throws IOException {
        List<Result> results = new ArrayList<>();
        try (Pipeline pipeline = Pipeline.open(model, options)) {
            ImageRequest first = settings.request(pipeline, prompts.getFirst());
            for (Prompt prompt : prompts) {
                ImageRequest request = first.toBuilder()
                        .prompt(prompt.text())
                        .seed(prompt.seed())
                        .build();
                long start = System.nanoTime();
                GeneratedImage image = pipeline.generate(request).getFirst();
                double seconds = (System.nanoTime() - start) / 1e9;
                BufferedImage picture = image.toBufferedImage();
                results.add(new Result(
                        prompt,
                        picture,
                        retrieval.byPixels(picture, prompt.background()),
                        retrieval.byLatent(picture, prompt.background()),
                        Backgrounds.of(picture),
                        baseline.psnr(results.size(), picture),
                        image.unetCalls(),
                        image.work().multiplyAdds(),
                        seconds));
            }
        }
        return results;
    }
}
