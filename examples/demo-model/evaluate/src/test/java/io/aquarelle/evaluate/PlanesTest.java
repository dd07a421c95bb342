package io.aquarelle.evaluate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import java.awt.image.BufferedImage;
import org.junit.jupiter.api.Test;

class PlanesTest {
    @Test
    void channelsBecomePlanesFromMinusOneToOne() {
        var picture = new BufferedImage(2, 1, BufferedImage.TYPE_INT_RGB);
        picture.setRGB(0, 0, 0xff0000);
        picture.setRGB(1, 0, 0x00ff33);
        assertArrayEquals(new float[] {1, -1, -1, 1, -1, -0.6f}, Planes.of(picture), 1e-6f);
    }

    @Test
    void shrinkingTakesMeansOfSquares() {
        float[] planes = new float[3 * 4 * 2];
        for (int i = 0; i < planes.length; i++) {
            planes[i] = i;
        }
        // Rows 0 1 2 3 and 4 5 6 7: squares 0 1 4 5 and 2 3 6 7; the next planes have 8 and 16 more.
        assertArrayEquals(new float[] {2.5f, 4.5f, 10.5f, 12.5f, 18.5f, 20.5f}, Planes.shrink(planes, 4, 2), 1e-5f);
    }
}
