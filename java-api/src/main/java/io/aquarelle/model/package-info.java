/**
 * Model files and networks.
 *
 * <p>{@link io.aquarelle.model.Checkpoint} maps a model file and checks it; {@link io.aquarelle.model.ModelSpec} says
 * which model it is; engine, weights, text encoder, UNet and autoencoder run it natively on the mapped tensors, without
 * a copy. {@link io.aquarelle.model.RandomCheckpoint} writes full-size files with random weights for timing and tests.
 */
@NullMarked
package io.aquarelle.model;

import org.jspecify.annotations.NullMarked;
