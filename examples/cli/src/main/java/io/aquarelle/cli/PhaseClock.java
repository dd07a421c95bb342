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
    private final int pictures;
    private final Map<Phase, Long> nanos = new EnumMap<>(Phase.class);
    private Phase phase;
    private long since;

    /** For as many pictures. */
    PhaseClock(Interrupt interrupt, ProgressBar bar, int pictures) {
        this.interrupt = interrupt;
        this.bar = bar;
        this.pictures = pictures;
    }

    /** Stops until something is told again. */
    void pause() {
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
                label(progress) + phase.name().toLowerCase(Locale.ROOT),
                amount,
                (double) progress.step() / Math.max(1, progress.total()));
    }

    /** Tells a picture, or several that are drawn together, from others. */
    private String label(Progress progress) {
        int first = progress.image() + 1;
        int last = progress.image() + progress.images();
        if (pictures == 1 || phase == Phase.TEXT) {
            return "";
        }
        return first == last
                ? "picture %d/%d ".formatted(first, pictures)
                : "pictures %d-%d/%d ".formatted(first, last, pictures);
    }

    double seconds(Phase phase) {
        return Json.seconds(nanos.getOrDefault(phase, 0L));
    }
}
