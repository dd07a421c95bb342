package io.aquarelle.text;

/** Applies prompt weights to what the text encoder made of the tokens. */
public final class PromptWeighting {
    private PromptWeighting() {}

    /**
     * Multiplies the hidden state of every token by its weight, then the whole chunk by one number that gives it back
     * the mean that it had. The rule of stable-diffusion.cpp, which is A1111's "Original" emphasis:
     *
     * <pre>
     *   y[t][c] = x[t][c] · weight[t]
     *   z[t][c] = y[t][c] · mean(x) / mean(y)
     * </pre>
     *
     * <p>The means run over all tokens of one chunk, marks and filling included, and all channels (of both towers side
     * by side where there are two). Each chunk is done by itself. A chunk whose weights are all 1 stays as it is; if a
     * mean is not finite or mean(y) is zero, the second step is left out. Sums are in double precision, all else in
     * single.
     *
     * @param hidden hidden states [chunks][length][width], changed in place
     * @param chunks number of chunks
     * @param length tokens in a chunk
     * @param width channels of a token
     * @param weights weights [chunks][length]
     * @throws IllegalArgumentException if the arrays' sizes don't fit the numbers
     */
    public static void apply(float[] hidden, int chunks, int length, int width, float[][] weights) {
        requireSize("hidden states", hidden.length, (long) chunks * length * width);
        requireSize("chunks of weights", weights.length, chunks);
        for (int i = 0; i < chunks; i++) {
            requireSize("weights of chunk " + i, weights[i].length, length);
        }
        int size = length * width;
        for (int i = 0; i < chunks; i++) {
            if (changesAnything(weights[i])) {
                applyToChunk(hidden, i * size, size, width, weights[i]);
            }
        }
    }

    private static void requireSize(String what, int size, long needed) {
        if (size != needed) {
            throw new IllegalArgumentException("there are " + size + " " + what + "; " + needed + " are needed");
        }
    }

    private static boolean changesAnything(float[] weights) {
        for (float weight : weights) {
            if (weight != 1) {
                return true;
            }
        }
        return false;
    }

    private static void applyToChunk(float[] hidden, int offset, int size, int width, float[] weights) {
        float before = mean(hidden, offset, size);
        for (int i = 0; i < size; i++) {
            hidden[offset + i] *= weights[i / width];
        }
        float after = mean(hidden, offset, size);
        if (Float.isFinite(before) && Float.isFinite(after) && after != 0) {
            float factor = before / after;
            for (int i = 0; i < size; i++) {
                hidden[offset + i] *= factor;
            }
        }
    }

    private static float mean(float[] values, int offset, int size) {
        double sum = 0;
        for (int i = offset; i < offset + size; i++) {
            sum += values[i];
        }
        return (float) (sum / size);
    }
}
