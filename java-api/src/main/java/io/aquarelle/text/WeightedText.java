package io.aquarelle.text;

/**
 * A run of prompt text and the attention that its tokens get.
 *
 * @param text the text, as written but for its attention syntax
 * @param weight factor on the hidden states of its tokens; 1 changes nothing
 */
public record WeightedText(String text, float weight) {
    public WeightedText {
        if (!Float.isFinite(weight)) {
            throw new IllegalArgumentException("weight of '" + text + "' is " + weight + "; use a finite number");
        }
        weight += 0f; // turns -0 into 0, so that equal weights are equal records
    }
}
