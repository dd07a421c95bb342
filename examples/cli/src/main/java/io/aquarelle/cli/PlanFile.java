package io.aquarelle.cli;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.core.JsonFactoryBuilder;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.aquarelle.model.ExpertMasks;
import io.aquarelle.plan.AdaptiveInheritance;
import io.aquarelle.plan.CallSelection;
import io.aquarelle.plan.FeatureInheritance;
import io.aquarelle.plan.SelectiveGuidance;
import io.aquarelle.plan.StepPolicy;
import io.aquarelle.plan.TemporalExperts;
import io.aquarelle.plan.UnitSelection;
import io.aquarelle.plan.UnitSkipping;
import java.io.IOException;
import java.nio.charset.MalformedInputException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A plan as JSON.
 *
 * <pre>{@code
 * {
 *   "unets": [{"file": "small.gguf", "steps": [0, 8]}],
 *   "guidance": {"cond_only_last_pct": 50},
 *   "inherit": [{"level": "block", "blocks": 6, "mode": "uniform", "interval": 3},
 *               {"level": "layer", "branch": 0, "mode": "list", "calls": "0-3,5,10-"},
 *               {"level": "block", "mode": "adaptive", "threshold": 0.1, "most": 3},
 *               {"level": "unit", "unit": "cross", "mode": "power", "count": 8, "centre": 10, "power": 1.4}],
 *   "skip": [{"unit": "middle_block", "calls": "15-"}],
 *   "experts": {"file": "pruning_mask.pth", "compat_unpopped_skip": false}
 * }
 * }</pre>
 *
 * @param unets UNets of other files, from the folder of the plan on, and the steps that they run, the second one not
 *     included; the model's own runs all others
 * @param guidance when the negative prompt is left out
 * @param inherit what is computed in some calls only and reused in the others
 * @param skip what is left out
 * @param experts masks of ALTER
 */
record PlanFile(
        List<Stretch> unets, Guidance guidance, List<Inheritance> inherit, List<Skipping> skip, Experts experts) {
    private static final int LARGEST = 1 << 20;

    /** A UNet's file and its steps. */
    record Stretch(String file, List<Integer> steps) {
        UNetOption option(Path plan) {
            if (need("steps", steps).size() != 2 || steps.contains(null)) {
                throw new IllegalArgumentException("unets: steps are two numbers, as in [0, 8]");
            }
            return new UNetOption(plan.resolveSibling(need("file", file)), steps.get(0), steps.get(1));
        }
    }

    /** What a file says. */
    record Contents(List<UNetOption> unets, StepPolicy policy) {}

    /** Either a percentage of calls at the end, or a list of calls. */
    record Guidance(Double condOnlyLastPct, String condOnlyCalls) {
        StepPolicy policy() {
            if ((condOnlyLastPct == null) == (condOnlyCalls == null)) {
                throw new IllegalArgumentException("guidance: give one of cond_only_last_pct and cond_only_calls");
            }
            return new SelectiveGuidance(
                    condOnlyCalls == null
                            ? CallSelection.lastPercent(condOnlyLastPct)
                            : CallSelection.listed(condOnlyCalls));
        }
    }

    /**
     * Level and mode with their numbers.
     *
     * @param blocks of the decoder that are reused besides the encoder
     */
    record Inheritance(
            String level,
            Integer blocks,
            Integer branch,
            String unit,
            String mode,
            Integer interval,
            String calls,
            Integer count,
            Integer centre,
            Double power,
            Double threshold,
            Integer most) {
        StepPolicy policy() {
            require(threshold == null && most == null || "adaptive".equals(mode), "threshold or most", "mode adaptive");
            if ("adaptive".equals(mode)) {
                int reuses = most == null ? AdaptiveInheritance.MOST : most;
                return new AdaptiveInheritance(units(), need("threshold", threshold), reuses);
            }
            return new FeatureInheritance(units(), keys());
        }

        private UnitSelection units() {
            require(blocks == null || "block".equals(level), "blocks", "level block");
            require(branch == null || "layer".equals(level), "branch", "level layer");
            require(unit == null || "unit".equals(level), "unit", "level unit");
            return switch (level == null ? "missing" : level) {
                case "block" -> UnitSelection.encoder(blocks == null ? 0 : blocks);
                case "layer" -> UnitSelection.decoderLayer(branch == null ? 0 : branch);
                case "unit" -> UnitSelection.named(need("unit", unit));
                default ->
                    throw new IllegalArgumentException(
                            "inherit: level is " + level + "; it must be block, layer or unit");
            };
        }

        private CallSelection keys() {
            require(interval == null || "uniform".equals(mode), "interval", "mode uniform");
            require(calls == null || "list".equals(mode), "calls", "mode list");
            require(
                    count == null && centre == null && power == null || "power".equals(mode),
                    "count, centre or power",
                    "mode power");
            return switch (mode == null ? "missing" : mode) {
                case "uniform" -> CallSelection.every(need("interval", interval));
                case "list" -> CallSelection.listed(need("calls", calls));
                case "power" ->
                    CallSelection.powerLaw(need("count", count), need("centre", centre), need("power", power));
                default ->
                    throw new IllegalArgumentException(
                            "inherit: mode is " + mode + "; it must be uniform, list, power or adaptive");
            };
        }

        private static void require(boolean fits, String what, String where) {
            if (!fits) {
                throw new IllegalArgumentException("inherit: " + what + " belongs to " + where);
            }
        }
    }

    /** A unit and a list of calls; all without one. */
    record Skipping(String unit, String calls) {
        StepPolicy policy() {
            return new UnitSkipping(
                    UnitSelection.named(need("unit", unit)),
                    calls == null ? CallSelection.ALL : CallSelection.listed(calls));
        }
    }

    /** A file of masks, from the folder of the plan on, and whether it is followed as the authors' code does. */
    record Experts(String file, Boolean compatUnpoppedSkip) {
        StepPolicy policy(Path plan) {
            Path masks = plan.resolveSibling(need("file", file));
            TemporalExperts experts;
            try {
                experts = ExpertMasks.read(masks);
            } catch (IOException e) {
                throw new BadInputException("--plan", e);
            }
            return compatUnpoppedSkip == null ? experts : experts.withUnpopped(compatUnpoppedSkip);
        }
    }

    private static <T> T need(String name, T value) {
        if (value == null) {
            throw new IllegalArgumentException(name + " is missing");
        }
        return value;
    }

    private Contents contents(Path file) {
        List<UNetOption> options = new ArrayList<>();
        for (Stretch each : unets == null ? List.<Stretch>of() : unets) {
            options.add(need("unets", each).option(file));
        }
        return new Contents(options, UNetOption.switching(options).then(policy(file)));
    }

    private StepPolicy policy(Path file) {
        StepPolicy policy = StepPolicy.FULL;
        if (guidance != null) {
            policy = guidance.policy();
        }
        if (experts != null) {
            policy = policy.then(experts.policy(file));
        }
        for (Inheritance each : inherit == null ? List.<Inheritance>of() : inherit) {
            policy = policy.then(need("inherit", each).policy());
        }
        for (Skipping each : skip == null ? List.<Skipping>of() : skip) {
            policy = policy.then(need("skip", each).policy());
        }
        return policy;
    }

    /** Reads a plan; what is wrong with it is one line that names the file. */
    static Contents read(Path file) {
        try {
            if (Files.size(file) > LARGEST) {
                throw new BadInputException("--plan: " + file + " is larger than a plan can be");
            }
            PlanFile plan = mapper().readValue(Files.readString(file), PlanFile.class);
            if (plan == null) {
                throw new BadInputException("--plan: " + file + " holds no plan");
            }
            return plan.contents(file);
        } catch (JacksonException e) {
            String where =
                    e.getLocation() == null ? "" : " in line " + e.getLocation().getLineNr();
            throw new BadInputException("--plan: " + file + where + ": "
                    + e.getOriginalMessage().lines().findFirst().orElse("no JSON"));
        } catch (MalformedInputException e) {
            throw new BadInputException("--plan: " + file + " is no text");
        } catch (IOException e) {
            throw new BadInputException("--plan: " + file + " cannot be read");
        } catch (BadInputException e) {
            throw e;
        } catch (IllegalArgumentException e) {
            throw new BadInputException("--plan: " + file, e);
        }
    }

    private static JsonMapper mapper() {
        var factory = new JsonFactoryBuilder()
                .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                .streamReadConstraints(
                        StreamReadConstraints.builder().maxNestingDepth(16).build())
                .build();
        return JsonMapper.builder(factory)
                .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
                .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
                .build();
    }
}
