package io.aquarelle;

import io.aquarelle.Progress.Phase;
import io.aquarelle.model.CallControl;
import io.aquarelle.model.RrdbNet;
import java.util.Arrays;

/** One picture's way through an upscaler, tile by tile and row of tiles by row of tiles. */
final class Upscaling {
    private final RrdbNet network;
    private final Picture picture;
    private final ProgressListener listener;
    private final CallControl control;
    private final int cell; // pixels that the network folds into one, which tiles do not cut
    private final int cellOut; // the same, enlarged
    private final Tiles across;
    private final Tiles down;
    private final int width; // of the large picture
    private final int height;
    private final float[] band; // [rows of a row of tiles][width][3], sums of shares
    private final byte[] rgb;

    /** {@code tileSize} 0 makes one tile. */
    Upscaling(RrdbNet network, Picture picture, int tileSize, ProgressListener listener, CallControl control) {
        this.network = network;
        this.picture = picture;
        this.listener = listener;
        this.control = control;
        cell = network.multiple();
        cellOut = cell * network.scale();
        across = tiles(picture.width(), tileSize);
        down = tiles(picture.height(), tileSize);
        width = picture.width() * network.scale();
        height = picture.height() * network.scale();
        band = new float[down.tile() * cellOut * width * 3];
        rgb = new byte[3 * width * height];
    }

    /** In cells. */
    private Tiles tiles(int side, int tileSize) {
        int length = Math.ceilDiv(side, cell);
        int most = tileSize == 0 ? length : tileSize / cell;
        // More than the network sees would change nothing.
        int overlap = Math.min(most / 4, Math.ceilDiv(4 * network.radius(), cell));
        return new Tiles(length, Math.min(most, length), overlap);
    }

    Picture run() {
        int total = across.count() * down.count();
        int done = 0;
        listener.progress(new Progress(Phase.UPSCALE, 0, 0, total));
        for (int j = 0; j < down.count(); j++) {
            float[] sharesDown = down.shares(j, cellOut);
            for (int i = 0; i < across.count(); i++) {
                add(tile(i, j), across.shares(i, cellOut), sharesDown, across.start(i) * cellOut);
                listener.progress(new Progress(Phase.UPSCALE, 0, ++done, total));
            }
            boolean last = j == down.count() - 1;
            int first = down.start(j) * cellOut;
            finish(first, (last ? height : down.start(j + 1) * cellOut) - first);
        }
        return Picture.owning(width, height, rgb);
    }

    /** [3][height][width] of a tile. */
    private float[] tile(int i, int j) {
        int tileWidth = across.tile() * cell;
        int tileHeight = down.tile() * cell;
        float[] small = picture.unitPlanes(across.start(i) * cell, down.start(j) * cell, tileWidth, tileHeight);
        float[] large = network.upscale(small, tileHeight, tileWidth, 0, control);
        for (float value : large) {
            if (!Float.isFinite(value)) {
                throw new IllegalStateException("the upscaler computed values that are no numbers; it is damaged");
            }
        }
        return large;
    }

    /** Adds a tile's share to the band; what was put behind the picture to fill a cell is left out. */
    private void add(float[] tile, float[] sharesAcross, float[] sharesDown, int left) {
        int pixels = sharesAcross.length * sharesDown.length;
        int columns = Math.min(sharesAcross.length, width - left);
        for (int y = 0; y < sharesDown.length; y++) {
            for (int x = 0; x < columns; x++) {
                float share = sharesDown[y] * sharesAcross[x];
                int at = 3 * (y * width + left + x);
                for (int c = 0; c < 3 && share > 0; c++) {
                    band[at + c] += share * tile[c * pixels + y * sharesAcross.length + x];
                }
            }
        }
    }

    /** Takes the first rows of the band, which are done, into the picture at row {@code top}. */
    private void finish(int top, int rows) {
        int count = 3 * width * rows;
        int to = 3 * width * top;
        for (int i = 0; i < count; i++) {
            rgb[to + i] = (byte) (Math.clamp(band[i], 0f, 1f) * 255 + 0.5f);
        }
        int left = Math.max(0, band.length - count);
        System.arraycopy(band, band.length - left, band, 0, left);
        Arrays.fill(band, left, band.length, 0);
    }
}
