package io.aquarelle.evaluate;

import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.util.List;

/** All pictures in rows of ten. */
final class ContactSheet {
    private static final int COLUMNS = 10;

    private ContactSheet() {}

    static BufferedImage of(List<BufferedImage> pictures) {
        int width = pictures.getFirst().getWidth();
        int height = pictures.getFirst().getHeight();
        int rows = (pictures.size() + COLUMNS - 1) / COLUMNS;
        var sheet = new BufferedImage(COLUMNS * width, rows * height, BufferedImage.TYPE_INT_RGB);
        Graphics2D graphics = sheet.createGraphics();
        for (int i = 0; i < pictures.size(); i++) {
            graphics.drawImage(pictures.get(i), i % COLUMNS * width, i / COLUMNS * height, null);
        }
        graphics.dispose();
        return sheet;
    }
}
