package io.aquarelle.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.aquarelle.model.EditableModel;
import io.aquarelle.model.NanoModel;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class InspectCommandTest {
    private record Tensor(String name, String type, String shape, int bytes) {}

    private static final List<Tensor> SD1 = List.of(
            new Tensor("model.diffusion_model.input_blocks.0.0.weight", "F16", "[32,4,3,3]", 2304),
            new Tensor(
                    "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight",
                    "F16",
                    "[32,48]",
                    3072),
            new Tensor("model.diffusion_model.input_blocks.1.1.transformer_blocks.0.norm1.weight", "F32", "[32]", 128),
            new Tensor("model.diffusion_model.input_blocks.10.0.skip_connection.weight", "F16", "[2]", 4),
            new Tensor("model.diffusion_model.middle_block.1.transformer_blocks.0.norm1.weight", "F32", "[32]", 128),
            new Tensor("first_stage_model.decoder.conv_in.weight", "BF16", "[8,4,3,3]", 576),
            new Tensor(
                    "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight",
                    "F16",
                    "[100,48]",
                    9600),
            new Tensor("cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.bias", "F16", "[4]", 8),
            new Tensor("cond_stage_model.transformer.text_model.encoder.layers.11.mlp.fc1.bias", "F16", "[4]", 8),
            new Tensor("alphas_cumprod", "F32", "[10]", 40));

    @TempDir
    Path folder;

    private Path write(String metadata, List<Tensor> tensors) throws IOException {
        List<String> members = new ArrayList<>(List.of("\"__metadata__\":" + metadata));
        int offset = 0;
        for (Tensor tensor : tensors) {
            members.add("\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%d,%d]}"
                    .formatted(tensor.name, tensor.type, tensor.shape, offset, offset + tensor.bytes));
            offset += tensor.bytes;
        }
        byte[] header = ("{" + String.join(",", members) + "}").getBytes(StandardCharsets.UTF_8);
        return Files.write(
                folder.resolve("model.safetensors"),
                ByteBuffer.allocate(Long.BYTES + header.length + offset)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .putLong(header.length)
                        .put(header)
                        .array());
    }

    @Test
    void tableTellsWhatTheFileHolds() throws IOException {
        Path file = write("{\"prediction_type\":\"v_prediction\",\"note\":\"two\\nlines\"}", SD1);
        assertEquals(
                """
                %s
                family        SD 1.x, predicts v
                unet          4 input channels, width 32, 3 input blocks, middle, 0 output blocks
                              2 transformer blocks, context width 48
                text encoder  2 layers, width 48, 100 tokens
                vae           4 latent channels, decoder only

                               tensors      parameters             bytes
                unet                 5           2,754             5,636
                vae                  1             288               576
                text encoder         3           4,808             9,616
                other                1              10                40
                F32                  3              74               296
                F16                  6           7,498            14,996
                BF16                 1             288               576
                all                 10           7,860            15,868

                prediction_type: v_prediction
                note: two lines
                """.formatted(file),
                CommandRun.done("inspect", file.toString()).out().replace("\r", ""));
    }

    @Test
    void jsonTellsTheSame() throws IOException {
        Path file = write("{\"note\":\"ñ\"}", SD1);
        CommandRun run = CommandRun.done("inspect", file.toString(), "--json");
        assertEquals(1, run.out().lines().count());
        JsonNode json = new JsonMapper().readTree(run.out());
        assertEquals("SD 1.x", json.get("family").asText());
        assertEquals("eps", json.get("prediction").asText());
        assertEquals(48, json.at("/structure/unet/context_width").asInt());
        assertEquals(2, json.at("/structure/text_encoders/0/layers").asInt());
        assertEquals(9616, json.at("/parts/text_encoder/bytes").asInt());
        assertEquals(7498, json.at("/types/F16/parameters").asInt());
        assertEquals(10, json.at("/all/tensors").asInt());
        assertEquals("ñ", json.at("/metadata/note").asText());
        assertTrue(run.out().chars().allMatch(c -> c < 128), "readable in any encoding");
    }

    @Test
    void modelsOfEveryFamilyAreRecognised() throws IOException {
        CommandRun sd2 = CommandRun.done("inspect", NanoModel.golden("sd2-nano").toString());
        assertTrue(sd2.out().contains("SD 2.x, predicts eps or v (known when it is run)"), sd2.out());
        assertTrue(sd2.out().contains("6 input blocks, middle, 6 output blocks"), sd2.out());
        String xl = CommandRun.done("inspect", NanoModel.golden("sdxl-nano").toString(), "--json")
                .out();
        JsonNode json = new JsonMapper().readTree(xl);
        assertEquals("SDXL", json.get("family").asText());
        assertEquals(256, json.at("/structure/unet/label_width").asInt());
        assertEquals(2, json.at("/structure/text_encoders").size());
    }

    @Test
    void networksAloneAreTold() throws IOException {
        Map<String, String> lines = Map.of(
                "model.diffusion_model.", "unet          4 input channels, width 32,",
                "first_stage_model.", "vae           4 latent channels, encoder and decoder",
                "cond_stage_model.transformer.", "text encoder  3 layers, width 64,");
        for (String prefix : lines.keySet()) {
            EditableModel alone = EditableModel.empty();
            EditableModel.of("sd1-nano").tensors.forEach((name, tensor) -> {
                if (name.startsWith(prefix)) {
                    alone.tensors.put(name.substring(prefix.length()), tensor);
                }
            });
            String file = alone.write(folder.resolve("alone.safetensors")).toString();
            String out = CommandRun.done("inspect", file).out();
            lines.forEach((network, line) -> assertEquals(network.equals(prefix), out.contains(line), out));
            assertEquals(prefix.startsWith("model."), out.contains("SD 1.x"), out);
            assertTrue(out.contains("\nmissing       "), out);
            JsonNode json = new JsonMapper()
                    .readTree(CommandRun.done("inspect", file, "--json").out());
            assertEquals(alone.tensors.size(), json.at("/all/tensors").asInt());
            assertEquals(1, json.at("/parts").size());
        }
    }

    @Test
    void aControlNetAloneIsTold() throws IOException {
        Path file = write(
                "{}",
                List.of(
                        new Tensor("control_model.input_hint_block.0.weight", "F16", "[16,3,3,3]", 864),
                        new Tensor("control_model.zero_convs.0.0.bias", "F16", "[4]", 8)));
        String out = CommandRun.done("inspect", file.toString()).out();
        assertTrue(out.contains("control net          2"), out);
    }

    @Test
    void filesThatAreNoStableDiffusionAreRefused() throws IOException {
        Path file = write("{}", List.of(new Tensor("lora_up", "F32", "[2]", 8)));
        CommandRun.refused(folder, file + " ", "inspect", file.toString());
        CommandRun.refused(folder, file + " ", "inspect", file.toString(), "--json");
    }
}
