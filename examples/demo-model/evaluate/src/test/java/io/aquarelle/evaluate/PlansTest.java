package io.aquarelle.evaluate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.demo.DemoModel;
import io.aquarelle.model.EngineOptions;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PlansTest {
    @TempDir
    Path folder;

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    private BufferedImage compare(String list) throws IOException {
        Path file = Files.writeString(folder.resolve("plans.txt"), list);
        try (var evaluation = new Evaluation(
                DemoModel.file(),
                EngineOptions.best(),
                Prompt.all().stream().limit(2).toList())) {
            return Plans.compare(file, evaluation, new PrintStream(out, true, StandardCharsets.UTF_8));
        }
    }

    @Test
    void plansAreComparedWithTheFirst() throws IOException {
        BufferedImage pictures =
                compare("# full\n--steps 4\n\n# plans\n--steps 4 --inherit block/1\n--steps 4  --inherit layer:0/4\n");
        List<String> lines = out.toString(StandardCharsets.UTF_8).lines().toList();
        assertEquals(4, lines.size());
        assertTrue(
                lines.get(1).matches("full,\"--steps 4\",8.0,1.0000,[0-9.]+,Infinity,Infinity,.*,\"\""), lines.get(1));
        assertTrue(lines.get(2).matches("plans,\"--steps 4 --inherit block/1\",8.0,1.0000,.*Infinity.*"), lines.get(2));
        assertTrue(lines.get(3).matches(".*,8.0,0.[3-6]\\d*,[0-9.]+,\\d\\d[0-9.]+,.*"), lines.get(3));
        assertEquals(3 * Atlas.PICTURE, pictures.getWidth());
        assertEquals(2 * Atlas.PICTURE, pictures.getHeight());
        assertEquals(pictures.getRGB(60, 60), pictures.getRGB(Atlas.PICTURE + 60, 60), "the same picture");
    }

    @ParameterizedTest
    @CsvSource({"'',plans.txt lists nothing", "# full,plans.txt lists nothing", "--stepz 3,--stepz", "--inherit x,'x'"})
    void wrongListsAreRefused(String list, String words) {
        var failure = assertThrows(IllegalArgumentException.class, () -> compare(list));
        assertTrue(failure.getMessage().contains(words), failure.getMessage());
        assertEquals(1, failure.getMessage().lines().count());
    }
}
