package io.aquarelle;

import java.util.concurrent.CancellationException;

/** A generation was cancelled; the pipeline can be used again. */
public class GenerationCancelledException extends CancellationException {
    private static final long serialVersionUID = 1L;

    public GenerationCancelledException() {
        super("the generation was cancelled");
    }
}
