package io.aquarelle.sampling;

/**
 * The functions of exponential integrators: {@code phi_0 = exp}, {@code phi_(k+1)(z) = (phi_k(z) - 1 / k!) / z}
 * (Hochbruck and Ostermann 2010, "Exponential integrators").
 */
final class Phi {
    private static final int TERMS = 20;

    private Phi() {}

    /** phi_k(z), for z up to about 1. */
    static double phi(int k, double z) {
        if (Math.abs(z) >= 1) {
            return k == 0 ? Math.exp(z) : (phi(k - 1, z) - 1 / factorial(k - 1)) / z;
        }
        // The sum of z^j / (j + k)!: near 0 the recursion would lose all digits.
        double sum = 0;
        double term = 1 / factorial(k);
        for (int j = 1; j <= TERMS; j++) {
            sum += term;
            term *= z / (j + k);
        }
        return sum;
    }

    static double factorial(int n) {
        return n <= 1 ? 1 : n * factorial(n - 1);
    }
}
