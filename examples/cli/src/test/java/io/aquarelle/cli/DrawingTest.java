package io.aquarelle.cli;

import io.aquarelle.model.NanoModel;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;

/** A model for tests of what the command draws, and a folder to draw into. */
abstract class DrawingTest {
    @TempDir
    static Path models;

    static Path model;

    @TempDir
    Path folder;

    @BeforeAll
    static void writeModel() throws IOException {
        model = models.resolve("nano.safetensors");
        NanoModel.writeDrawable(model);
    }

    /** Where {@link #small} draws to. */
    Path out() {
        return folder.resolve("out.png");
    }

    /** The arguments of a picture of 64x32 pixels from seed 7 in two steps, and more. */
    String[] small(String... more) {
        return small(2, more);
    }

    /** The same in as many steps. */
    String[] small(int steps, String... more) {
        List<String> all = new ArrayList<>(List.of("generate", "a red apple", "-m", model.toString(), "-s", "7"));
        all.addAll(
                List.of("-W", "64", "-H", "32", "--steps", String.valueOf(steps), "-t", "1", "-o", out().toString()));
        all.addAll(List.of(more));
        return all.toArray(String[]::new);
    }
}
