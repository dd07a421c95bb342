package io.aquarelle.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.Progress;
import io.aquarelle.Progress.Phase;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class ProgressBarTest {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private final PrintStream terminal = new PrintStream(bytes, true, StandardCharsets.UTF_8);

    /** What stands in the line after everything that was printed. */
    private String line() {
        var cells = new StringBuilder();
        int column = 0;
        for (char c : bytes.toString(StandardCharsets.UTF_8).toCharArray()) {
            assertFalse(c == '\n', "the bar stays in its line");
            if (c == '\r') {
                column = 0;
            } else {
                cells.replace(column, column + 1, String.valueOf(c));
                column++;
            }
        }
        return cells.toString().stripTrailing();
    }

    @Test
    void picturesThatAreDrawnTogetherAreToldTogether() {
        try (var bar = new ProgressBar(terminal, true)) {
            var clock = new PhaseClock(new Interrupt(), bar, 5);
            clock.progress(new Progress(Phase.TEXT, 0, 1, 2));
            assertTrue(line().startsWith("text ["), line());
            clock.progress(new Progress(Phase.DENOISE, 0, 4, 10, 20));
            assertTrue(line().startsWith("pictures 1-4/5 denoise [############............] 10/20 "), line());
            clock.progress(new Progress(Phase.DENOISE, 4, 10, 20));
            assertTrue(line().startsWith("picture 5/5 denoise ["), line());
        }
    }

    @Test
    void lineTellsPhaseShareAndTimes() {
        assertEquals(
                "denoise [############............] 10/20 1:02, 1:01 left",
                ProgressBar.render("denoise", "10/20", 0.5, 62.4, 60.7));
        assertEquals(
                "denoise [........................] 0/20 0:00",
                ProgressBar.render("denoise", "0/20", 0, 0, Double.NaN));
        assertEquals("decode [########################] 1/1 1:01:01", ProgressBar.render("decode", "1/1", 1, 3661, 0));
        assertEquals("load [........................] 0:03", ProgressBar.render("load", "", 0, 3, Double.NaN));
    }

    @Test
    void eachStateReplacesTheOneBefore() {
        try (var bar = new ProgressBar(terminal, true)) {
            bar.show("a longer phase", "1000/1000", 1);
            bar.show("text", "1/2", 0.5);
            assertTrue(line().startsWith("text [############............] 1/2 0:00"), line());
            assertFalse(line().contains("phase"), line());
        }
    }

    @Test
    void nothingIsLeftAtTheEndNorWhereTextIsToStand() {
        try (var bar = new ProgressBar(terminal, true)) {
            bar.show("denoise", "1/2", 0.5);
            assertFalse(line().isEmpty());
            bar.clear();
            assertEquals("", line());
            bar.show("denoise", "2/2", 1);
        }
        assertEquals("", line());
    }

    @Test
    void nothingIsPrintedWhereNobodyWatches() {
        try (var bar = new ProgressBar(terminal, false)) {
            bar.show("denoise", "1/2", 0.5);
            bar.clear();
        }
        assertEquals(0, bytes.size());
    }
}
