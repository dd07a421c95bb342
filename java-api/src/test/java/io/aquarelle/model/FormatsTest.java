package io.aquarelle.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aquarelle.ImageRequest;
import io.aquarelle.Pipeline;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** One model in every format: the same tensors, the same picture. */
class FormatsTest {
    @TempDir
    private Path folder;

    private Path model;

    @BeforeEach
    void write() throws IOException {
        model = folder.resolve("model.safetensors");
        NanoModel.writeDrawable(model);
    }

    @ParameterizedTest
    @ValueSource(strings = {"shards", "zip", "legacy", "gguf", "diffusers", "diffusers-fp16", "parts"})
    void everyFormatDrawsTheSamePicture(String format) throws Exception {
        ModelFiles files = switch (format) {
            case "shards" -> ModelFiles.of(shards());
            case "zip" -> ModelFiles.of(torch("model.ckpt", true));
            case "legacy" -> ModelFiles.of(torch("model.pt", false));
            case "gguf" -> ModelFiles.of(gguf());
            case "diffusers" -> ModelFiles.of(diffusers(""));
            case "diffusers-fp16" -> ModelFiles.of(diffusers(".fp16"));
            default -> parts();
        };
        try (var expected = Checkpoint.open(model);
                var actual = Checkpoint.open(files)) {
            for (TensorInfo tensor : expected.tensors().values()) {
                TensorInfo same = actual.tensors().get(tensor.name());
                assertEquals(tensor, same);
                assertArrayEquals(
                        expected.data(tensor).toArray(ValueLayout.JAVA_BYTE),
                        actual.data(same).toArray(ValueLayout.JAVA_BYTE),
                        tensor.name());
            }
            assertEquals(expected.tensors().size(), actual.tensors().size());
        }
        assertArrayEquals(draw(ModelFiles.of(model)), draw(files));
    }

    /** Kernels too are quantised; that expanding them on the way or before is the same shows that rows are right. */
    @ParameterizedTest
    @EnumSource(names = {"Q8_0", "Q4_0", "Q5_1", "IQ4_NL"})
    void quantisedWeightsDrawWhatTheirExpandedValuesDraw(DataType type) throws Exception {
        try (var plain = Checkpoint.open(model)) {
            var quantised = Conversion.load(plain, StoredTypes.of(type), (done, total) -> {});
            TensorInfo kernel = quantised.tensors().get("model.diffusion_model.middle_block.0.in_layers.2.weight");
            assertEquals(type, kernel.type());
            var expanded = Conversion.load(quantised, StoredTypes.of(DataType.F32), (done, total) -> {});
            assertArrayEquals(draw(expanded), draw(quantised));
        }
    }

    private static byte[] draw(ModelFiles files) throws IOException {
        return draw(Checkpoint.open(files));
    }

    private static byte[] draw(Checkpoint checkpoint) throws IOException {
        var request = ImageRequest.builder("a red apple")
                .size(64, 64)
                .steps(2)
                .seed(3)
                .build();
        try (var pipeline = Pipeline.open(checkpoint, EngineOptions.ofThreads(2), null)) {
            return pipeline.generate(request).getFirst().rgb();
        }
    }

    @Test
    void aFolderOfDiffusersTellsWhatShapesDoNot() throws Exception {
        Path diffusers = diffusers("");
        Files.writeString(
                diffusers.resolve("scheduler/scheduler_config.json"), "{\"prediction_type\": \"v_prediction\"}");
        Files.writeString(
                diffusers.resolve("unet/config.json"),
                "{\"attention_head_dim\": [5, 10, 20], \"block_out_channels\": [320, 640, 1280]}");
        try (var checkpoint = Checkpoint.open(diffusers)) {
            assertEquals(
                    Map.of(
                            "head_dim", "64",
                            "prediction_type", "v_prediction",
                            "clip_heads", "4",
                            "text_encoder.hidden_act", "quick_gelu",
                            "scale_factor", "0.18215"),
                    checkpoint.metadata());
        }
    }

    @Test
    void aFolderWithASchedulerOfContinuousNoiseLevelsIsRefused() throws Exception {
        Path diffusers = diffusers("");
        Files.writeString(
                diffusers.resolve("scheduler/scheduler_config.json"),
                "{\"_class_name\": \"EDMEulerScheduler\", \"prediction_type\": \"v_prediction\"}");
        try (var checkpoint = Checkpoint.open(diffusers)) {
            var e = assertThrows(ModelFormatException.class, () -> ModelSpec.of(checkpoint));
            assertTrue(e.getMessage().contains("EDM"), e.getMessage());
        }
    }

    @Test
    void safetensorsAreReadBeforeOthersAndPlainFilesBeforeVariants() throws Exception {
        Path diffusers = diffusers("");
        Path vae = diffusers.resolve("vae");
        for (String other : List.of(
                "diffusion_pytorch_model.fp16.safetensors",
                "diffusion_pytorch_model.bin",
                "diffusion_pytorch_model.fp16.bin",
                "notes.safetensors")) {
            Files.writeString(vae.resolve(other), "not a model");
        }
        Checkpoint.open(diffusers).close();
        Files.delete(vae.resolve("diffusion_pytorch_model.safetensors"));
        var e = assertThrows(ModelFormatException.class, () -> Checkpoint.open(diffusers));
        assertTrue(e.getMessage().startsWith(vae + "/diffusion_pytorch_model.fp16.safetensors"), e.getMessage());
    }

    @Test
    void shardsMustLieBesideTheirIndexAndHoldWhatItSays() throws Exception {
        Path index = shards();
        refusedIndex(index, "{\"weight_map\": {\"a\": \"../model.safetensors\"}}", "no file beside it");
        refusedIndex(index, "{\"weight_map\": {\"a\": \"/etc/passwd\"}}", "no file beside it");
        refusedIndex(index, "{\"weight_map\": {\"a\": 3}}", "no file beside it");
        refusedIndex(index, "{\"weight_map\": {\"a\": \"missing.safetensors\"}}", "'missing.safetensors'", "missing");
        refusedIndex(index, "{\"weight_map\": {\"nothing\": \"model-00001-of-00003.safetensors\"}}", "'nothing'");
        refusedIndex(index, "{}", "weight_map");
        refusedIndex(index, "{", "JSON");
    }

    private void refusedIndex(Path index, String json, String... words) throws IOException {
        Files.writeString(index, json);
        var e = assertThrows(ModelFormatException.class, () -> Checkpoint.open(index));
        for (String word : words) {
            assertTrue(e.getMessage().contains(word), e.getMessage());
        }
    }

    @Test
    void otherFilesAreToldByTheirFirstBytes() throws Exception {
        for (var file : Map.of(
                        "version https://git-lfs.github.com/spec/v1\n",
                        "git lfs pull",
                        "<!DOCTYPE html><html>",
                        "web page",
                        "PK\5\6" + "\0".repeat(18),
                        "empty zip archive",
                        "random bytes, all of them",
                        "not a safetensors file")
                .entrySet()) {
            Path path = Files.writeString(folder.resolve("other"), file.getKey());
            var e = assertThrows(ModelFormatException.class, () -> Checkpoint.open(path));
            assertTrue(e.getMessage().contains(file.getValue()), e.getMessage());
        }
    }

    @Test
    void aSafetensorsFileWhoseLengthLooksLikeAPickleIsRead() throws Exception {
        byte[] file = RawSafetensors.file("{}" + " ".repeat(0x0280 - 2), 0);
        assertEquals((byte) 0x80, file[0]);
        assertEquals(2, file[1]);
        try (var checkpoint = Checkpoint.open(Files.write(folder.resolve("file"), file))) {
            assertTrue(checkpoint.tensors().isEmpty());
        }
    }

    // The model in other formats

    private Path shards() throws IOException {
        Path target = Files.createDirectory(folder.resolve("shards"));
        List<String> places = new ArrayList<>();
        try (var source = Checkpoint.open(model)) {
            List<TensorInfo> all = List.copyOf(source.tensors().values());
            for (int shard = 0; shard < 3; shard++) {
                String name = "model-0000%d-of-00003.safetensors".formatted(shard + 1);
                List<TensorInfo> part = all.subList(shard * all.size() / 3, (shard + 1) * all.size() / 3);
                write(source, part, target.resolve(name), shard == 0 ? source.metadata() : Map.of());
                part.forEach(tensor -> places.add("\"" + tensor.name() + "\": \"" + name + "\""));
            }
        }
        return Files.writeString(
                target.resolve("model.safetensors.index.json"),
                "{\"metadata\": {\"total_size\": 1}, \"weight_map\": {" + String.join(",", places) + "}}");
    }

    private Path torch(String name, boolean zip) throws IOException {
        Map<String, RawTorch.Tensor> tensors = new LinkedHashMap<>();
        try (var source = Checkpoint.open(model)) {
            for (TensorInfo tensor : source.tensors().values()) {
                byte[] values = source.data(tensor).toArray(ValueLayout.JAVA_BYTE);
                tensors.put(tensor.name(), RawTorch.Tensor.of(tensor.type(), tensor.shape(), values));
            }
            byte[] file = zip ? RawTorch.zip(tensors, source.metadata()) : RawTorch.legacy(tensors, source.metadata());
            return Files.write(folder.resolve(name), file);
        }
    }

    private Path gguf() throws IOException {
        Path out = folder.resolve("model.gguf");
        try (var source = Checkpoint.open(model)) {
            var choices = Conversion.write(source, StoredTypes.unchanged(), out, (done, total) -> {});
            assertEquals(source.tensors().size(), choices.size());
        }
        return out;
    }

    /** Names are those that diffusers gives. */
    private Path diffusers(String variant) throws IOException {
        Path target = Files.createDirectories(folder.resolve("diffusers"));
        Map<String, List<CanonicalModelTest.Pair>> networks = CanonicalModelTest.pairs("sd1").stream()
                .collect(Collectors.groupingBy(CanonicalModelTest.Pair::folder));
        try (var source = Checkpoint.open(model)) {
            for (var network : networks.entrySet()) {
                String stem = network.getKey().startsWith("text") ? "model" : "diffusion_pytorch_model";
                Path part = Files.createDirectories(target.resolve(network.getKey()));
                write(source, network.getValue(), part.resolve(stem + variant + ".safetensors"));
            }
        }
        Files.createDirectory(target.resolve("scheduler"));
        Files.writeString(target.resolve("scheduler/scheduler_config.json"), "{\"prediction_type\": \"epsilon\"}");
        Files.writeString(target.resolve("unet/config.json"), "{\"attention_head_dim\": 8}");
        Files.writeString(target.resolve("vae/config.json"), "{\"scaling_factor\": 0.18215}");
        Files.writeString(
                target.resolve("text_encoder/config.json"),
                "{\"num_attention_heads\": 4, \"hidden_act\": \"quick_gelu\"}");
        return target;
    }

    /** A UNet alone in a GGUF file, a VAE of diffusers, and a text encoder from a whole checkpoint. */
    private ModelFiles parts() throws IOException {
        Path unet = folder.resolve("unet.safetensors");
        try (var source = Checkpoint.open(model)) {
            List<TensorInfo> part = source.tensors().values().stream()
                    .filter(tensor -> tensor.name().startsWith(ModelSpec.UNET_PREFIX))
                    .toList();
            write(source, part, unet, source.metadata());
        }
        return ModelFiles.of(unet).withVae(diffusers("").resolve("vae")).withTextEncoder(torch("whole.ckpt", true));
    }

    private static void write(Checkpoint source, List<TensorInfo> tensors, Path out, Map<String, String> metadata)
            throws IOException {
        try (var writer = new SafetensorsWriter(out, tensors, metadata)) {
            for (TensorInfo tensor : tensors) {
                writer.write(tensor, 0, source.data(tensor).asByteBuffer());
            }
            writer.commit();
        }
    }

    private static void write(Checkpoint source, List<CanonicalModelTest.Pair> pairs, Path out) throws IOException {
        List<TensorInfo> tensors = new ArrayList<>();
        for (var pair : pairs) {
            TensorInfo tensor = source.tensors().get(pair.compVis());
            boolean matrix = pair.form().equals("kernel");
            List<Long> shape = matrix ? tensor.shape().subList(0, 2) : tensor.shape();
            tensors.add(new TensorInfo(pair.name(), tensor.type(), shape));
        }
        try (var writer = new SafetensorsWriter(out, tensors, Map.of())) {
            for (int i = 0; i < pairs.size(); i++) {
                TensorInfo tensor = source.tensors().get(pairs.get(i).compVis());
                writer.write(tensors.get(i), 0, source.data(tensor).asByteBuffer());
            }
            writer.commit();
        }
        assertFalse(tensors.isEmpty());
    }
}
