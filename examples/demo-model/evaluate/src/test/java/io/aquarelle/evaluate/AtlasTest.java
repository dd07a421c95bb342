package io.aquarelle.evaluate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.Color;
import java.awt.image.BufferedImage;
import java.util.HashSet;
import org.junit.jupiter.api.Test;

class AtlasTest {
    private final Atlas atlas = new Atlas();

    @Test
    void everyPromptAsksForAGlyphOfTheAtlasOnAKnownColour() {
        var texts = new HashSet<String>();
        for (Prompt prompt : Prompt.all()) {
            assertTrue(atlas.names().contains(prompt.glyph()), prompt.text());
            assertNotNull(Backgrounds.colour(prompt.background()), prompt.text());
            assertTrue(texts.add(prompt.text()), prompt.text());
        }
        assertEquals(100, texts.size());
    }

    @Test
    void anAppleIsRedAndStandsOnItsBackground() {
        int apple = atlas.names().indexOf("red apple");
        for (String background : new String[] {"white", "blue", "yellow"}) {
            BufferedImage picture = atlas.picture(apple, background);
            assertEquals(Backgrounds.colour(background).getRGB(), picture.getRGB(1, 1));
            assertEquals(background, Backgrounds.of(picture));
            Color middle = new Color(picture.getRGB(64, 80));
            assertTrue(middle.getRed() > 150 && middle.getGreen() < 100 && middle.getBlue() < 100, middle.toString());
        }
    }

    @Test
    void backgroundsAreNamedByTheNearestColour() {
        assertEquals("white", Backgrounds.of(filled(new Color(250, 245, 252))));
        assertEquals("blue", Backgrounds.of(filled(new Color(70, 100, 200))));
        assertEquals("black", Backgrounds.of(filled(new Color(0, 0, 0))));
        assertNotEquals("gray", Backgrounds.of(filled(new Color(130, 85, 50))));
    }

    @Test
    void aPromptTellsItsGlyphAndBackground() {
        Prompt prompt = Prompt.of("rocket on an orange background", 7);
        assertEquals("rocket", prompt.glyph());
        assertEquals("orange", prompt.background());
        assertTrue(prompt.namesBackground());
        assertEquals("white", Prompt.of("rocket", 7).background());
    }

    private static BufferedImage filled(Color colour) {
        var picture = new BufferedImage(Atlas.PICTURE, Atlas.PICTURE, BufferedImage.TYPE_INT_RGB);
        for (int i = 0; i < Atlas.PICTURE * Atlas.PICTURE; i++) {
            picture.setRGB(i % Atlas.PICTURE, i / Atlas.PICTURE, colour.getRGB());
        }
        return picture;
    }
}
