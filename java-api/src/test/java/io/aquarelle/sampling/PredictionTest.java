package io.aquarelle.sampling;

import static io.aquarelle.sampling.Numbers.assertClose;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

class PredictionTest {
    private static final float[] X = {2, -3, 0.5f};
    private static final float[] OUTPUT = {0.3f, -1.1f, 0.7f};

    // CompVisDenoiser and CompVisVDenoiser of k-diffusion 0.1.1, float64, around a network that always returns OUTPUT.
    @Test
    void estimatesEqualKDiffusions() {
        assertClose(1e-6, "1.985 -2.945 0.465", Prediction.EPS.denoised(X, OUTPUT, 0.05f));
        assertClose(1e-6, "1.61 -1.57 -0.41", Prediction.EPS.denoised(X, OUTPUT, 1.3f));
        assertClose(1e-6, "-1.6 10.2 -7.9", Prediction.EPS.denoised(X, OUTPUT, 12));
        assertClose(1e-6, "1.98003118 -2.93758732 0.463796785", Prediction.V.denoised(X, OUTPUT, 0.05f));
        assertClose(1e-6, "0.505707227 -0.243355248 -0.368963186", Prediction.V.denoised(X, OUTPUT, 1.3f));
        assertClose(1e-6, "-0.285170624 1.07551068 -0.694133755", Prediction.V.denoised(X, OUTPUT, 12));
    }

    @Test
    void aPerfectNetworkGivesTheCleanLatent() {
        float[] clean = {0.7f, -1.2f, 0.1f};
        float[] noise = {-0.4f, 1.5f, 2.2f};
        for (float sigma : new float[] {0.03f, 0.5f, 1, 14.6f}) {
            float[] x = new float[3];
            float[] velocity = new float[3];
            for (int i = 0; i < 3; i++) {
                x[i] = clean[i] + sigma * noise[i];
                // alpha noise - sqrt(1 - alpha^2) clean, with alpha = 1 / sqrt(1 + sigma^2)
                velocity[i] = (float) ((noise[i] - sigma * clean[i]) / Math.sqrt(1 + sigma * sigma));
            }
            assertArrayEquals(clean, Prediction.EPS.denoised(x, noise, sigma), 5e-6f);
            assertArrayEquals(clean, Prediction.V.denoised(x, velocity, sigma), 5e-6f);
        }
    }

    @Test
    void theNetworkSeesUnitVariance() {
        for (Prediction prediction : Prediction.values()) {
            for (float sigma : new float[] {0.03f, 1, 14.6f}) {
                double variance = 1 + sigma * sigma; // of a unit-variance latent with noise
                assertEquals(1, prediction.inputScale(sigma) * Math.sqrt(variance), 1e-6);
            }
        }
    }

    @Test
    void lengthsMustAgree() {
        assertThrows(IllegalArgumentException.class, () -> Prediction.EPS.denoised(X, new float[4], 1));
    }
}
