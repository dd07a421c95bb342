package io.aquarelle.evaluate;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.aquarelle.demo.DemoModel;
import io.aquarelle.model.Autoencoder;
import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.Engine;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.ModelSpec;
import io.aquarelle.model.Weights;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.IOException;
import org.junit.jupiter.api.Test;

class RetrievalTest {
    @Test
    void glyphsAreFoundThoughMovedAndDecoded() throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(DemoModel.file());
                Engine engine = Engine.create(EngineOptions.best());
                Weights weights = Weights.of(checkpoint);
                Autoencoder vae = Autoencoder.create(engine, weights, ModelSpec.VAE_PREFIX)) {
            var atlas = new Atlas();
            var retrieval = new Retrieval(atlas, vae);
            for (String name : new String[] {"red apple", "octopus", "rocket", "tiger face"}) {
                BufferedImage picture = moved(atlas.picture(atlas.names().indexOf(name), "white"), 3, -2);
                assertEquals(name, retrieval.byPixels(picture, "white"));
                assertEquals(name, retrieval.byLatent(picture, "white"));
            }
        }
    }

    private static BufferedImage moved(BufferedImage picture, int dx, int dy) {
        var moved = new BufferedImage(picture.getWidth(), picture.getHeight(), BufferedImage.TYPE_INT_RGB);
        Graphics2D graphics = moved.createGraphics();
        graphics.drawImage(picture, 0, 0, null); // what the moved one leaves open
        graphics.drawImage(picture, dx, dy, null);
        graphics.dispose();
        return moved;
    }
}
