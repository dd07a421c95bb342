package io.aquarelle.evaluate;

import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.util.List;

/** All glyphs that the model has learned, with their names. */
final class Atlas {
    /** Side of the pictures that the model learned from, and what a glyph's square takes of it on average. */
    static final int PICTURE = 128;

    private static final int GLYPH = 117;

    private static final int CELL = 64; // of the sheet
    private static final int COLUMNS = 20;

    private final BufferedImage sheet = Resources.image("glyphs.png");
    private final List<String> names = Resources.lines("glyphs.txt");

    List<String> names() {
        return names;
    }

    /** A glyph as the model should draw it. */
    BufferedImage picture(int glyph, String background) {
        var picture = new BufferedImage(PICTURE, PICTURE, BufferedImage.TYPE_INT_RGB);
        Graphics2D graphics = picture.createGraphics();
        Color colour = Backgrounds.colour(background);
        graphics.setColor(colour);
        graphics.fillRect(0, 0, PICTURE, PICTURE);
        graphics.setRenderingHint(RenderingHints.KEY_INTERPOLATION, RenderingHints.VALUE_INTERPOLATION_BICUBIC);
        int corner = (PICTURE - GLYPH) / 2;
        BufferedImage cell = sheet.getSubimage(glyph % COLUMNS * CELL, glyph / COLUMNS * CELL, CELL, CELL);
        graphics.drawImage(cell, corner, corner, GLYPH, GLYPH, null);
        graphics.dispose();
        return picture;
    }
}
