package io.aquarelle.sampling;

/** The symmetric beta distribution, of density proportional to {@code x^(a-1) (1-x)^(a-1)} on 0 to 1. */
final class BetaDistribution {
    private static final double ACCURACY = 1e-17;
    private static final int HALVINGS = 60;

    private final double shape;
    private final double half; // the integral of the density's numerator from 0 to 1/2

    BetaDistribution(double shape) {
        this.shape = shape;
        half = integral(0.5);
    }

    /** The x below which lies {@code probability}, by bisection. */
    double quantile(double probability) {
        if (probability > 0.5) {
            return 1 - quantile(1 - probability);
        }
        double low = 0;
        double high = 0.5;
        for (int i = 0; i < HALVINGS; i++) {
            double middle = (low + high) / 2;
            if (integral(middle) / (2 * half) <= probability) {
                low = middle;
            } else {
                high = middle;
            }
        }
        return high;
    }

    /** The integral of {@code t^(a-1) (1-t)^(a-1)} from 0 to x, x up to 1/2: the binomial series, term by term. */
    private double integral(double x) {
        double sum = 0;
        double term = Math.pow(x, shape);
        for (int k = 0; term > ACCURACY * sum; k++) {
            sum += term / (shape + k);
            term *= x * (k + 1 - shape) / (k + 1);
        }
        return sum;
    }
}
