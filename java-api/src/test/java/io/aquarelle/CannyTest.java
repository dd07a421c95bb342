package io.aquarelle;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class CannyTest {
    private static final int WIDTH = 64;
    private static final int HEIGHT = 40;

    /** Ramps with jumps, a disc, a rectangle, and a fainter one in it. */
    private static Picture picture() {
        byte[] rgb = new byte[3 * WIDTH * HEIGHT];
        for (int y = 0; y < HEIGHT; y++) {
            for (int x = 0; x < WIDTH; x++) {
                int[] colour = {
                    (x * 3 + y * 5) % 256 / 4, (x * 3 + y * 5 + 40) % 256 / 4, (x * 3 + y * 5 + 80) % 256 / 4
                };
                if ((x - 20) * (x - 20) + (y - 15) * (y - 15) <= 81) {
                    colour = new int[] {230, 180, 60};
                }
                if (y >= 25 && y < 36 && x >= 30 && x < 55) {
                    boolean inner = y >= 28 && y < 33 && x >= 36 && x < 48;
                    colour = inner ? new int[] {40, 190, 230} : new int[] {20, 200, 240};
                }
                for (int c = 0; c < 3; c++) {
                    rgb[3 * (y * WIDTH + x) + c] = (byte) colour[c];
                }
            }
        }
        return Picture.of(WIDTH, HEIGHT, rgb);
    }

    private static List<String> rows(Picture edges, char light) {
        List<String> rows = new ArrayList<>();
        for (int y = 0; y < edges.height(); y++) {
            StringBuilder row = new StringBuilder();
            for (int x = 0; x < edges.width(); x++) {
                row.append(edges.lightness(x, y) == 1 ? light : light == '#' ? '.' : '#');
            }
            rows.add(row.toString());
        }
        return rows;
    }

    /** By NumPy, whole arrays at once and hysteresis by repeated dilation. */
    @Test
    void edgesAreThoseOfAnIndependentImplementation() throws IOException {
        try (var in = new BufferedReader(
                new InputStreamReader(CannyTest.class.getResourceAsStream("canny.txt"), StandardCharsets.UTF_8))) {
            for (int i = 0; i < 3; i++) {
                String[] thresholds = in.readLine().split(" ");
                float high = Float.parseFloat(thresholds[0]);
                float low = Float.parseFloat(thresholds[1]);
                List<String> expected = new ArrayList<>();
                for (int y = 0; y < HEIGHT; y++) {
                    expected.add(in.readLine());
                }
                assertEquals(expected, rows(picture().edges(new Canny(high, low, false)), '#'));
                assertEquals(expected, rows(picture().edges(new Canny(high, low, true)), '.'));
            }
        }
    }

    @Test
    void plainPicturesHaveNoEdges() {
        byte[] grey = new byte[3 * 8 * 8];
        Picture edges = Picture.of(8, 8, grey).edges(Canny.DEFAULT);
        assertArrayEquals(grey, edges.rgb());
        assertEquals(1, Picture.of(1, 1, new byte[3]).edges(Canny.DEFAULT).width());
    }
}
