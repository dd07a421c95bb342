package io.aquarelle.cli;

import java.io.PrintStream;
import java.util.Locale;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/**
 * One line on a terminal that tells how far work is and how long it will take; nothing where nobody watches. It is
 * drawn with every step and every second, and gone after {@link #close}.
 */
final class ProgressBar implements AutoCloseable {
    private static final int CELLS = 24;

    private final PrintStream terminal;
    private final ScheduledExecutorService clock; // null where nobody watches
    private String phase = "";
    private String amount;
    private double fraction;
    private long phaseStart;
    private long stepEnd;
    private int drawn;

    ProgressBar(PrintStream terminal, boolean visible) {
        this.terminal = terminal;
        clock = visible
                ? Executors.newSingleThreadScheduledExecutor(
                        Thread.ofPlatform().daemon().factory())
                : null;
        if (visible) {
            clock.scheduleAtFixedRate(this::draw, 1, 1, TimeUnit.SECONDS);
        }
    }

    /**
     * Shows a new state.
     *
     * @param phase what is being done; a new one starts the time anew
     * @param amount what is done of how much: "8/20"
     * @param fraction the same, 0 to 1
     */
    synchronized void show(String phase, String amount, double fraction) {
        stepEnd = System.nanoTime();
        if (!phase.equals(this.phase)) {
            phaseStart = stepEnd;
        }
        this.phase = phase;
        this.amount = amount;
        this.fraction = fraction;
        draw();
    }

    /** Shows how many bytes are done. */
    void showBytes(String phase, long bytes, long total) {
        String amount = String.format(Locale.ROOT, "%.1f/%.1f GB", bytes / 1e9, total / 1e9);
        show(phase, amount, total == 0 ? 1 : (double) bytes / total);
    }

    /** Makes room for a line of text; the next {@link #show} draws the bar again. */
    synchronized void clear() {
        write("");
        phase = "";
    }

    @Override
    public void close() {
        if (clock != null) {
            clock.shutdownNow();
            clear();
        }
    }

    private synchronized void draw() {
        if (clock == null || phase.isEmpty() || clock.isShutdown()) {
            return;
        }
        double elapsed = (System.nanoTime() - phaseStart) / 1e9;
        // Steps so far tell how long all take; what has passed of the current one is taken off.
        double all = fraction == 0 ? Double.NaN : (stepEnd - phaseStart) / 1e9 / fraction;
        write(render(phase, amount, fraction, elapsed, Math.max(0, all - elapsed)));
    }

    /** Draws over what stands there; blanks cover what a longer line left. */
    private void write(String line) {
        if (line.length() + drawn > 0) {
            terminal.print("\r" + line + " ".repeat(Math.max(0, drawn - line.length())) + (line.isEmpty() ? "\r" : ""));
            terminal.flush();
            drawn = line.length();
        }
    }

    /** The line; {@code remaining} is NaN while nothing is known of it. Times in seconds. */
    static String render(String phase, String amount, double fraction, double elapsed, double remaining) {
        int full = (int) Math.round(fraction * CELLS);
        String bar = "#".repeat(full) + ".".repeat(CELLS - full);
        String left = Double.isNaN(remaining) || fraction >= 1 ? "" : ", " + time(remaining) + " left";
        return phase + " [" + bar + "] " + (amount.isEmpty() ? "" : amount + " ") + time(elapsed) + left;
    }

    private static String time(double seconds) {
        long whole = Math.round(seconds);
        return whole < 3600
                ? String.format(Locale.ROOT, "%d:%02d", whole / 60, whole % 60)
                : String.format(Locale.ROOT, "%d:%02d:%02d", whole / 3600, whole / 60 % 60, whole % 60);
    }
}
