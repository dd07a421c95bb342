package io.aquarelle.sampling;

/**
 * How a step from one noise level to the next is shared between the solver and fresh noise: the solver goes down to
 * {@code down}, noise of deviation {@code up} is added, and {@code down^2 + up^2 = next^2}. With eta 1 the noise is
 * that of the reverse of the forward process, with eta 0 there is none (k-diffusion's {@code get_ancestral_step};
 * equation 16 of DDIM, Song et al. 2020, arXiv 2010.02502, divided by sqrt(alpha)).
 */
record AncestralStep(double down, double up) {
    static AncestralStep of(double sigma, double next, double eta) {
        double variance = next * next * (sigma * sigma - next * next) / (sigma * sigma);
        double up = Math.min(next, eta * Math.sqrt(Math.max(variance, 0)));
        return new AncestralStep(Math.sqrt(Math.max(next * next - up * up, 0)), up);
    }

    /** Adds the noise, drawn only if there is any. */
    float[] addNoise(float[] x, NoiseSource noise) {
        return up > 0 ? Latents.sum(x, up, noise.normal(x.length)) : x;
    }
}
