package io.aquarelle.model;

import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

/** An engine of two threads for tests of networks, and a folder for their files. */
abstract class EngineTest {
    @TempDir
    Path folder;

    Engine engine;

    @BeforeEach
    void open() {
        engine = Engine.create(EngineOptions.ofThreads(2));
    }

    @AfterEach
    void close() {
        engine.close();
    }
}
