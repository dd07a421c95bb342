/**
 * Prompts as the text encoder wants them. {@link io.aquarelle.text.PromptSyntax} reads attention brackets and
 * {@code BREAK}, {@link io.aquarelle.text.ClipTokenizer} turns text into the token ids of OpenAI CLIP,
 * {@link io.aquarelle.text.PromptTokens} cuts them into chunks of 77, and after the text encoder has run
 * {@link io.aquarelle.text.PromptWeighting} applies the weights to its output. No text, however odd, makes these
 * classes throw or take more than roughly linear time, and all of them may be used by any number of threads.
 */
@NullMarked
package io.aquarelle.text;

import org.jspecify.annotations.NullMarked;
