package io.aquarelle.evaluate;

import java.awt.image.BufferedImage;
import java.util.OptionalDouble;

/**
 * What became of a prompt.
 *
 * @param byPixels name of the glyph with the nearest pixels
 * @param byLatent name of the glyph with the nearest latent
 * @param background name of the colour found behind the glyph
 * @param psnr against the same picture of the baseline, in dB
 * @param multiplyAdds of the UNet, a convolution counted as direct
 */
record Result(
        Prompt prompt,
        BufferedImage picture,
        String byPixels,
        String byLatent,
        String background,
        OptionalDouble psnr,
        int unetCalls,
        double multiplyAdds,
        double seconds) {
    boolean rightPixels() {
        return byPixels.equals(prompt.glyph());
    }

    boolean rightLatent() {
        return byLatent.equals(prompt.glyph());
    }

    boolean rightBackground() {
        return background.equals(prompt.background());
    }
}
