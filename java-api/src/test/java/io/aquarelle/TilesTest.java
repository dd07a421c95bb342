package io.aquarelle;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import org.junit.jupiter.api.Test;

class TilesTest {
    @Test
    void sharesAddUpToOneWhateverTheLength() {
        for (int tile : new int[] {4, 16, 33, 128}) {
            int overlap = tile / 4;
            for (int length = tile; length <= 5 * tile; length += Math.max(1, tile / 16)) {
                for (int scale : new int[] {1, 2, 4}) {
                    verify(new Tiles(length, tile, overlap), scale);
                }
            }
        }
        verify(new Tiles(100, 100, 25), 4);
        verify(new Tiles(101, 100, 25), 3);
    }

    private static void verify(Tiles tiles, int scale) {
        float[] sums = new float[tiles.length() * scale];
        for (int i = 0; i < tiles.count(); i++) {
            float[] shares = tiles.shares(i, scale);
            assertEquals(tiles.tile() * scale, shares.length);
            for (int j = 0; j < shares.length; j++) {
                assertTrue(shares[j] >= 0, tiles.toString());
                sums[tiles.start(i) * scale + j] += shares[j];
            }
        }
        float[] ones = new float[sums.length];
        Arrays.fill(ones, 1);
        for (int i = 0; i < sums.length; i++) {
            assertEquals(1, sums[i], 1e-6, tiles + " at " + i);
        }
    }

    @Test
    void tilesCoverTheSideAndOverlapEnough() {
        assertEquals(1, new Tiles(128, 128, 32).count());
        assertEquals(2, new Tiles(129, 128, 32).count());
        assertEquals(2, new Tiles(224, 128, 32).count());
        assertEquals(3, new Tiles(225, 128, 32).count());
        for (int length = 128; length < 1000; length++) {
            Tiles tiles = new Tiles(length, 128, 32);
            int last = tiles.count() - 1;
            assertEquals(0, tiles.start(0));
            assertEquals(length - 128, tiles.start(last));
            for (int i = 0; i < last; i++) {
                assertTrue(tiles.start(i) + 128 - tiles.start(i + 1) >= 32, tiles.toString());
            }
        }
    }

    /** What lies within a quarter of the overlap from where a tile was cut counts for nothing. */
    @Test
    void cutEdgesOfTilesHaveNoShare() {
        Tiles tiles = new Tiles(500, 128, 32);
        for (int i = 0; i < tiles.count(); i++) {
            float[] shares = tiles.shares(i, 4);
            for (int j = 0; j < 4 * 8; j++) {
                assertEquals(i == 0 ? 1 : 0, shares[j]);
                assertEquals(i == tiles.count() - 1 ? 1 : 0, shares[shares.length - 1 - j]);
            }
        }
    }
}
