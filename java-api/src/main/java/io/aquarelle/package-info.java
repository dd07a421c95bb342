/**
 * Pictures from prompts: {@link io.aquarelle.Pipeline} opens a model and draws what an {@link
 * io.aquarelle.ImageRequest} asks for.
 */
@NullMarked
package io.aquarelle;

import org.jspecify.annotations.NullMarked;
