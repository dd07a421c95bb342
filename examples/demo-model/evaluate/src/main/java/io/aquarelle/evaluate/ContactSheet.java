package io.aquarelle.evaluate;

import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.util.List;

/** Pictures in rows. */
final class ContactSheet {
    private ContactSheet() {}

    static BufferedImage of(List<BufferedImage> pictures, int columns) {
        int width = pictures.getFirst().getWidth();
        int height = pictures.getFirst().getHeight();
        int rows = (pictures.size() + columns - 1) / columns;
        var sheet = new BufferedImage(columns * width, rows * height, BufferedImage.TYPE_INT_RGB);
        Graphics2D graphics = sheet.createGraphics();
        for (int i = 0; i < pictures.size(); i++) {
            graphics.drawImage(pictures.get(i), i % columns * width, i / columns * height, null);
        }
        graphics.dispose();
        return sheet;
    }
}
