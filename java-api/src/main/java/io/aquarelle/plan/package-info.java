/**
 * Step plans: what each call of the UNet computes, stores, reuses or leaves out.
 *
 * <p>A {@link io.aquarelle.plan.Run} is the list of calls that a sampler will make, and a
 * {@link io.aquarelle.plan.StepPolicy} gives each of them a {@link io.aquarelle.plan.StepPlan}: which branches of
 * classifier-free guidance run, and an {@link io.aquarelle.plan.Action} for each {@link io.aquarelle.plan.Unit} of the
 * network. Calls are counted, not sampling steps: samplers of second order call twice a step. Policies are pure
 * functions of the run and can be chained with {@link io.aquarelle.plan.StepPolicy#then}:
 *
 * <pre>{@code
 * // The negative prompt until the last third; the encoder every third call; see FeatureInheritance.
 * StepPolicy plan = new SelectiveGuidance(CallSelection.lastPercent(33))
 *         .then(new FeatureInheritance(UnitSelection.encoder(), CallSelection.every(3)));
 * ImageRequest request = pipeline.request("a red apple").plan(plan).build();
 * }</pre>
 *
 * <p>A policy may leave decisions to the time of drawing: its {@link io.aquarelle.plan.Adaptation} is asked before each
 * call and told what came of it. A call may also run on another UNet, see {@link io.aquarelle.plan.UNetSwitching}.
 *
 * <p>Everything here is immutable but the state of an adaptation, of which each picture has its own.
 */
@NullMarked
package io.aquarelle.plan;

import org.jspecify.annotations.NullMarked;
