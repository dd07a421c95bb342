package io.aquarelle;

/**
 * One side of a picture in tiles of one length, which overlap, and how they are blended. Within an overlap the share goes
 * from one tile to the next in the middle half of the least overlap; what lies nearer to a tile's edge, where it knows
 * the least of what is around, is left to the other. No place is in more than two tiles' blending while the overlap is at
 * most a quarter of a tile.
 *
 * @param length of the side
 * @param tile of a tile, at most {@code length}
 * @param overlap least that neighbours have in common
 */
record Tiles(int length, int tile, int overlap) {
    int count() {
        return length == tile ? 1 : Math.ceilDiv(length - overlap, tile - overlap);
    }

    /** Where a tile starts; tiles are spread evenly, the last one ends with the side. */
    int start(int index) {
        return count() == 1 ? 0 : (int) ((long) index * (length - tile) / (count() - 1));
    }

    /** The share of a tile in each place of its own, where every place is {@code scale} ones; all shares add up to 1. */
    float[] shares(int index, int scale) {
        float[] shares = new float[tile * scale];
        for (int i = 0; i < shares.length; i++) {
            double place = start(index) * (double) scale + i + 0.5;
            double before = index == 0 ? 1 : handedOver(index - 1, place / scale);
            double behind = index == count() - 1 ? 0 : handedOver(index, place / scale);
            shares[i] = (float) (before * (1 - behind));
        }
        return shares;
    }

    /** How much of a place tile {@code index} has left to the next one: 0 before the blending, 1 behind it. */
    private double handedOver(int index, double place) {
        double middle = (start(index + 1) + start(index) + tile) / 2.0;
        return Math.clamp((place - middle) / (overlap / 2.0) + 0.5, 0.0, 1.0);
    }
}
