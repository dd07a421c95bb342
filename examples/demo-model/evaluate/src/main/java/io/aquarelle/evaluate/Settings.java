package io.aquarelle.evaluate;

import io.aquarelle.ImageRequest;
import io.aquarelle.Pipeline;
import io.aquarelle.cli.PlanOptions;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Option;

/** How pictures are drawn, as options say it. */
final class Settings {
    @Option(names = "--steps", paramLabel = "N", description = "Sampling steps (${DEFAULT-VALUE}).")
    private int steps = 20;

    @Option(names = "--cfg-scale", paramLabel = "SCALE", description = "Guidance (what suits the model).")
    private Float guidance;

    @Option(names = "--sampling-method", paramLabel = "NAME", description = "Sampler (what suits the model).")
    private String sampler;

    @Option(names = "--scheduler", paramLabel = "NAME", description = "Noise levels (what suits the model).")
    private String schedule;

    @ArgGroup(validate = false)
    private PlanOptions plan = new PlanOptions();

    /** The request for a prompt, which the requests for others differ from by prompt and seed alone. */
    ImageRequest request(Pipeline pipeline, Prompt prompt) {
        var request = pipeline.request(prompt.text())
                .size(Atlas.PICTURE, Atlas.PICTURE)
                .seed(prompt.seed())
                .steps(steps);
        if (guidance != null) {
            request.guidance(guidance);
        }
        if (sampler != null) {
            request.sampler(sampler);
        }
        if (schedule != null) {
            request.schedule(schedule);
        }
        return plan.planned(pipeline, request.build(), picture -> {});
    }

    /** The plan that {@code --plan auto} found in a line, or null. */
    String found() {
        return plan.found();
    }
}
