package io.aquarelle.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.aquarelle.ImageRequest;
import io.aquarelle.Pipeline;
import io.aquarelle.model.EngineOptions;
import io.aquarelle.model.ExpertMasks;
import io.aquarelle.model.NanoModel;
import io.aquarelle.plan.AdaptiveInheritance;
import io.aquarelle.plan.CallSelection;
import io.aquarelle.plan.FeatureInheritance;
import io.aquarelle.plan.SelectiveGuidance;
import io.aquarelle.plan.StepPolicy;
import io.aquarelle.plan.TemporalExperts;
import io.aquarelle.plan.UnitSelection;
import io.aquarelle.plan.UnitSkipping;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PlanOptionsTest extends DrawingTest {
    @Override
    String[] small(String... more) {
        return small(6, more);
    }

    private Path file(String json) throws IOException {
        return Files.writeString(folder.resolve("plan.json"), json.replace('\'', '"'));
    }

    private static byte[] draw(StepPolicy plan) throws IOException {
        var request = ImageRequest.builder("a red apple")
                .size(64, 32)
                .steps(6)
                .seed(7)
                .plan(plan)
                .build();
        try (Pipeline pipeline = Pipeline.open(model, EngineOptions.ofThreads(1))) {
            return pipeline.generate(request).getFirst().png();
        }
    }

    private void assertDraws(StepPolicy plan, String... options) throws IOException {
        CommandRun.done(small(options));
        assertArrayEquals(draw(plan), Files.readAllBytes(folder.resolve("out.png")));
    }

    @Test
    void optionsAreThePlansOfTheLibrary() throws IOException {
        StepPolicy half = new SelectiveGuidance(CallSelection.lastPercent(50));
        StepPolicy encoder = new FeatureInheritance(UnitSelection.encoder(), CallSelection.every(3));
        StepPolicy cross = new FeatureInheritance(UnitSelection.named("output*.attn2"), CallSelection.listed("0-1"));
        assertDraws(half, "--cond-only-last", "50");
        assertDraws(
                half.then(encoder).then(cross),
                "--cond-only-last",
                "50",
                "--inherit",
                "block/3",
                "--inherit",
                "unit:output*.attn2@0-1");
        assertDraws(new FeatureInheritance(UnitSelection.encoder(2), CallSelection.every(2)), "--inherit", "block:2/2");
    }

    @Test
    void filesAreThePlansOfTheLibrary() throws IOException {
        assertDraws(StepPolicy.FULL, "--plan", file("{}").toString());
        assertDraws(
                new SelectiveGuidance(CallSelection.listed("1,4-"))
                        .then(new FeatureInheritance(UnitSelection.decoderLayer(1), CallSelection.every(2)))
                        .then(new UnitSkipping(
                                UnitSelection.named("output_blocks.5.1.*.ff"), CallSelection.listed("4"))),
                "--plan",
                file("{'guidance': {'cond_only_calls': '1,4-'}, 'inherit': [{'level': 'layer', 'branch': 1, 'mode':"
                                + " 'uniform', 'interval': 2}], 'skip': [{'unit': 'output_blocks.5.1.*.ff', 'calls':"
                                + " '4'}]}")
                        .toString());
        assertDraws(
                new FeatureInheritance(UnitSelection.encoder(2), CallSelection.every(2)),
                "--plan",
                file("{'inherit': [{'level': 'block', 'blocks': 2, 'mode': 'uniform', 'interval': 2}]}")
                        .toString());
        assertDraws(
                new SelectiveGuidance(CallSelection.lastPercent(20))
                        .then(new FeatureInheritance(UnitSelection.named("cross"), CallSelection.powerLaw(3, 2, 1.4))),
                "--plan",
                file("{'guidance': {'cond_only_last_pct': 20}, 'inherit': [{'level': 'unit', 'unit': 'cross', 'mode':"
                                + " 'power', 'count': 3, 'centre': 2, 'power': 1.4}]}")
                        .toString());
    }

    private static Path masks() {
        return NanoModel.golden("sd1-nano-pruning_mask", ".pth");
    }

    @Test
    void masksArePlansToo() throws IOException {
        StepPolicy half = new SelectiveGuidance(CallSelection.lastPercent(50));
        TemporalExperts experts = ExpertMasks.read(masks());
        assertDraws(experts, "--plan", masks().toString());
        assertDraws(half.then(experts), "--plan", masks().toString(), "--cond-only-last", "50");
        Files.copy(masks(), folder.resolve("m.pth"));
        assertDraws(
                experts.withUnpopped(true),
                "--plan",
                file("{'experts': {'file': 'm.pth', 'compat_unpopped_skip': true}}")
                        .toString());

        Path random = folder.resolve("random.safetensors");
        CommandRun.done("masks", random.toString(), "-m", model.toString(), "--share", "20", "-W", "64", "-H", "32");
        JsonNode rows = new JsonMapper()
                .readTree(CommandRun.done(small("--dry-run", "--json", "--plan", random.toString()))
                        .out());
        for (JsonNode row : rows) {
            assertEquals(0.8, row.get("share").asDouble(), 0.03);
        }
        CommandRun.refused(
                folder,
                "--share: the share to leave out is",
                "masks",
                folder.resolve("no.safetensors").toString(),
                "-m",
                model.toString(),
                "--share",
                "99");
    }

    @Test
    void masksOfAnotherModelAreRefused() throws IOException {
        Path random = folder.resolve("random.safetensors");
        CommandRun.done("masks", random.toString(), "-m", model.toString());
        Path other = NanoModel.golden("sd1-nano-plans");
        CommandRun.refused(folder, "holds no masks", small("--plan", other.toString()));
        byte[] bytes = Files.readAllBytes(random);
        String text = new String(bytes, StandardCharsets.ISO_8859_1).replace("output_blocks.5.0", "output_blocks.9.0");
        Files.write(random, text.getBytes(StandardCharsets.ISO_8859_1));
        CommandRun.refused(folder, "they belong to another model", small("--plan", random.toString()));
        CommandRun.refused(
                folder,
                "m.pth",
                small("--plan", file("{'experts': {'file': 'm.pth'}}").toString()));
        CommandRun.refused(
                folder,
                "file is missing",
                small("--plan", file("{'experts': {}}").toString()));
    }

    @Test
    void unetsTakeTurns() throws IOException {
        Path small = folder.resolve("small.safetensors");
        NanoModel.writeDrawable(small, name -> !name.contains(".middle_block."));
        String out = folder.resolve("out.png").toString();
        CommandRun.done(small("--unet", small + "@0-2", "--unet", small + "@4-"));
        byte[] picture = Files.readAllBytes(Path.of(out));
        CommandRun.done(small(
                "--plan",
                file("{'unets': [{'file': 'small.safetensors', 'steps': [0, 2]}, {'file': 'small.safetensors', 'steps':"
                                + " [4, 6]}]}")
                        .toString()));
        assertArrayEquals(picture, Files.readAllBytes(Path.of(out)));
        CommandRun.done(small());
        assertFalse(Arrays.equals(picture, Files.readAllBytes(Path.of(out))));
        JsonNode rows = new JsonMapper()
                .readTree(CommandRun.done(small("--dry-run", "--json", "--unet", small + "@0-2"))
                        .out());
        assertEquals(1, rows.get(1).get("unet").asInt());
        assertEquals(0, rows.get(2).get("unet").asInt());
        rows = new JsonMapper()
                .readTree(CommandRun.done(
                                small("--dry-run", "--json", "--unet", small + "@0-2", "--cond-only-last", "50"))
                        .out());
        assertEquals(1, rows.get(1).get("unet").asInt());
        assertEquals("prompt", rows.get(5).get("branches").asText());

        CommandRun.refused(folder, "has no steps", small("--unet", small + "@3-3"));
        CommandRun.refused(folder, "two UNets", small("--unet", small + "@0-3", "--unet", model + "@2-"));
        Path other = NanoModel.golden("sdxl-nano");
        CommandRun.refused(folder, "--unet: " + other, small("--unet", other + "@0-3"));
        CommandRun.refused(
                folder, "only generate has steps", "bench", "-m", model.toString(), "--unet", small + "@0-3");
    }

    @Test
    void countersAreThoseOfThePlan() throws IOException {
        JsonNode plain =
                new JsonMapper().readTree(CommandRun.done(small("--json")).out());
        assertFalse(plain.has("units_run"));
        JsonNode planned = new JsonMapper()
                .readTree(CommandRun.done(small("--json", "--inherit", "unit:cross@0-1", "--cond-only-last", "50"))
                        .out());
        assertEquals(2 * 3 + 3, planned.get("unet_calls").asInt());
        assertEquals(4 * 11, planned.get("units_reused").asInt());
        assertEquals(0, planned.get("units_skipped").asInt());
        assertEquals(6 * 60 - 4 * 11, planned.get("units_run").asInt());
    }

    @Test
    void dryRunPrintsATableAndDrawsNothing() throws IOException {
        CommandRun run = CommandRun.done(small("--dry-run", "--inherit", "layer/3", "--cond-only-last", "50"));
        List<String> lines = run.out().lines().toList();
        assertEquals(1 + 6 + 1, lines.size(), run.out());
        assertTrue(lines.get(1).matches(" +0 +0 +999.0 +0 +both +60 +0 +0 +100.0%"), lines.get(1));
        assertTrue(lines.get(2).matches(" +1 +1 .* both +7 +5 +48 +\\d+\\.\\d%"), lines.get(2));
        assertTrue(lines.get(4).matches(" +3 +3 .* prompt +60 +0 +0 +5\\d\\.\\d%"), lines.get(4));
        assertTrue(lines.getLast().matches("in all \\d\\d\\.\\d% of the multiply-adds without a plan"), run.out());
        assertFalse(Files.exists(folder.resolve("out.png")));

        JsonNode rows = new JsonMapper()
                .readTree(CommandRun.done(small("--dry-run", "--json", "--inherit", "layer/3"))
                        .out());
        assertEquals(6, rows.size());
        assertEquals(48, rows.get(5).get("units_skipped").asInt());
        assertEquals(1, rows.get(3).get("share").asDouble());
    }

    @Test
    void adaptivePlansSayWhatTheyCannotKnow() throws IOException {
        StepPolicy adaptive = new AdaptiveInheritance(UnitSelection.encoder(), 0.3, 2);
        assertDraws(adaptive, "--inherit", "block~0.3:2");
        assertDraws(
                adaptive,
                "--plan",
                file("{'inherit': [{'level': 'block', 'mode': 'adaptive', 'threshold': 0.3, 'most': 2}]}")
                        .toString());
        String table =
                CommandRun.done(small("--dry-run", "--inherit", "block~0.3")).out();
        assertTrue(table.contains("in all 100.0% of the multiply-adds without a plan at most, "), table);
        assertTrue(table.contains("finds out while drawing"), table);
    }

    @Test
    void autoFindsAPlanOnceAndSaysIt() throws IOException {
        String cache = System.getProperty("aquarelle.cache");
        System.setProperty("aquarelle.cache", folder.toString());
        try {
            String[] arguments = {
                "generate",
                "a red apple",
                "-m",
                model.toString(),
                "-W",
                "32",
                "-H",
                "32",
                "--steps",
                "3",
                "-t",
                "1",
                "--cfg-scale",
                "2",
                "--json",
                "--plan",
                "auto:15",
                "-o",
                folder.resolve("out.png").toString()
            };
            String plan = new JsonMapper()
                    .readTree(CommandRun.done(arguments).out())
                    .get("plan")
                    .asText();
            assertTrue(plan.matches(".*% of the multiply-adds, .* on 3 pictures of 32x32\\)"), plan);
            try (var files = Files.list(folder.resolve("plans"))) {
                assertEquals(1, files.count());
            }
            assertEquals(
                    plan,
                    new JsonMapper()
                            .readTree(CommandRun.done(arguments).out())
                            .get("plan")
                            .asText());
        } finally {
            if (cache == null) {
                System.clearProperty("aquarelle.cache");
            } else {
                System.setProperty("aquarelle.cache", cache);
            }
        }
        CommandRun.refused(folder, "--plan: 'x' is no quality", small("--plan", "auto:x"));
        CommandRun.refused(folder, "--plan: the quality is 5.0 dB", small("--plan", "auto:5"));
        CommandRun.refused(folder, "auto chooses everything", small("--plan", "auto:30", "--inherit", "block/2"));
    }

    @Test
    void plansThatCannotBeFollowedAreRefused() throws IOException {
        CommandRun.refused(folder, "--cond-only-last: the share is 101", small("--cond-only-last", "101"));
        CommandRun.refused(folder, "--inherit: 'block' is no plan", small("--inherit", "block"));
        CommandRun.refused(folder, "--inherit: branch is 9", small("--inherit", "layer:9/2"));
        CommandRun.refused(folder, "not a unit 'self2'", small("--inherit", "unit:self2/2"));
        CommandRun.refused(
                folder, "--cond-only-last: without guidance", small("--cond-only-last", "50", "--cfg-scale", "1"));
        CommandRun.refused(folder, "has two plans", small("--inherit", "block/2", "--inherit", "block/3"));
        CommandRun.refused(
                folder,
                "is a part of 'input_blocks.1', which is not computed",
                small("--inherit", "block/2", "--inherit", "unit:cross/2"));
        Path plan = file("{}");
        CommandRun.refused(folder, "the file says it all", small("--plan", plan.toString(), "--cond-only-last", "5"));
        CommandRun.refused(
                folder,
                "cannot be read",
                small("--plan", folder.resolve("none.json").toString()));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "null",
                "[]",
                "{",
                "{} {}",
                "{'unets': [{}]}",
                "{'unets': [{'file': 'x', 'steps': [1]}]}",
                "{'unets': [{'file': 'x', 'steps': [1, 1]}]}",
                "{'guidance': {}}",
                "{'guidance': {'cond_only_last_pct': 50, 'cond_only_calls': '1'}}",
                "{'guidance': {'cond_only_last_pct': 'x'}}",
                "{'guidance': {'cond_only_last_pct': -1}}",
                "{'inherit': {}}",
                "{'inherit': [null]}",
                "{'inherit': [{}]}",
                "{'inherit': [{'level': 'all', 'mode': 'uniform', 'interval': 2}]}",
                "{'inherit': [{'level': 'block', 'mode': 'uniform'}]}",
                "{'inherit': [{'level': 'block', 'interval': 2}]}",
                "{'inherit': [{'level': 'block', 'branch': 1, 'mode': 'uniform', 'interval': 2}]}",
                "{'inherit': [{'level': 'unit', 'mode': 'uniform', 'interval': 2}]}",
                "{'inherit': [{'level': 'layer', 'blocks': 1, 'mode': 'uniform', 'interval': 2}]}",
                "{'inherit': [{'level': 'block', 'mode': 'list', 'interval': 2, 'calls': '0'}]}",
                "{'inherit': [{'level': 'block', 'mode': 'power', 'count': 2}]}",
                "{'inherit': [{'level': 'block', 'mode': 'adaptive'}]}",
                "{'inherit': [{'level': 'block', 'mode': 'uniform', 'interval': 2, 'most': 2}]}",
                "{'inherit': [], 'inherit': []}",
                "{'skip': [{}]}",
                "{'skip': [{'unit': 'out'}]}",
                "{'skip': [{'unit': 'ff', 'calls': 'x'}]}",
                "[[[[[[[[[[[[[[[[[[[[[[[[[["
            })
    void brokenFilesAreRefused(String json) throws IOException {
        Path plan = file(json);
        CommandRun.refused(folder, "--plan: " + plan, small("--plan", plan.toString()));
    }
}
