package io.aquarelle.sampling;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class FunctionsTest {
    /** z, then phi_0 to phi_3 of z, by mpmath with 50 digits. */
    private static final double[][] PHI = {
        {-8, 0.00033546262790251184, 0.12495806717151219, 0.10938024160356098, 0.048827469799554878},
        {-2.5, 0.082084998623898795, 0.36716600055044048, 0.25313359977982381, 0.098746560088070477},
        {-0.999, 0.36824750461366292, 0.63238488026660368, 0.36798310283623255, 0.13214904620997743},
        {-0.3, 0.74081822068171787, 0.86393926439427378, 0.45353578535242074, 0.15488071549193089},
        {-1e-3, 0.99900049983337499, 0.99950016662500833, 0.49983337499166806, 0.16662500833194464},
        {-1e-9, 0.999999999, 0.9999999995, 0.49999999983333333, 0.166666666625},
        {0.7, 2.0137527074704764, 1.4482181535292521, 0.64031164789893167, 0.20044521128418811},
    };

    /** Probability and quantile of the beta distribution of 0.6 and 0.6, by scipy 1.17.1. */
    private static final double[][] BETA = {
        {0, 0},
        {1e-4, 3.998377158137721e-07},
        {0.013, 0.0013334534982845446},
        {0.2, 0.12292175045833292},
        {0.4999, 0.49986127490549975},
        {0.5, 0.5},
        {0.73, 0.8015855257954435},
        {0.95, 0.9874455431263885},
        {0.999, 0.9999814412614826},
        {1, 1},
    };

    @Test
    void phiEqualsItsDefinition() {
        for (double[] line : PHI) {
            for (int k = 0; k < 4; k++) {
                assertEquals(line[k + 1], Phi.phi(k, line[0]), 5e-16, "phi_" + k);
            }
        }
    }

    @Test
    void betaQuantilesEqualScipys() {
        for (double[] line : BETA) {
            assertEquals(line[1], new BetaDistribution(0.6).quantile(line[0]), 1e-14);
        }
    }
}
