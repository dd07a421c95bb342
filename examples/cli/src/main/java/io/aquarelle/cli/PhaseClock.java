package io.aquarelle.cli;

import io.aquarelle.Progress;
import io.aquarelle.Progress.Phase;
import io.aquarelle.ProgressListener;
import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;

/** Adds up how long each phase of generations takes, shows how far they are, and ends them on Ctrl-C. */
final class PhaseClock implements ProgressListener {
    private final Interrupt interrupt;
    private final ProgressBar bar;
    private final Map<Phase, Long> nanos = new EnumMap<>(Phase.class);
    private String label = "";
    private Phase phase;
    private long since;

    PhaseClock(Interrupt interrupt, ProgressBar bar) {
        this.interrupt = interrupt;
        this.bar = bar;
    }

    /** Starts a picture; {@code label} tells it from others on the bar. */
    void start(String label) {
        this.label = label;
        phase = null;
    }

    @Override
    public void progress(Progress progress) {
        interrupt.check();
        long now = System.nanoTime();
        if (phase != null) {
            nanos.merge(phase, now - since, Long::sum);
        }
        phase = progress.phase();
        since = now;
        String amount = progress.step() + "/" + progress.total();
        bar.show(
                label + phase.name().toLowerCase(Locale.ROOT),
                amount,
                (double) progress.step() / Math.max(1, progress.total()));
    }

    double seconds(Phase phase) {
        return Json.seconds(nanos.getOrDefault(phase, 0L));
    }
}
