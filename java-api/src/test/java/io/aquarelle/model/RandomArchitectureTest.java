package io.aquarelle.model;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.TreeMap;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class RandomArchitectureTest {
    /**
     * random-tensors.txt.gz lists the tensors of the independent Python generator, a line each: family, name, shape,
     * and how it is filled (ones; deviation 0.02; deviation 1 / sqrt(product of the shape but its first length)).
     */
    @ParameterizedTest
    @EnumSource(names = {"SD1", "SD2", "SDXL"})
    void namesShapesAndScalesAreThoseOfTheReference(ModelFamily family) throws IOException {
        var expected = new TreeMap<String, String>();
        try (var lines = new BufferedReader(new InputStreamReader(
                new GZIPInputStream(getClass().getResourceAsStream("random-tensors.txt.gz")),
                StandardCharsets.UTF_8))) {
            for (String line : lines.lines().toList()) {
                String[] fields = line.split(" ");
                if (fields[0].equals(family.name().toLowerCase(Locale.ROOT))) {
                    expected.put(fields[1], describe(fields[2], fields[3]));
                }
            }
        }
        var actual = new TreeMap<String, String>();
        for (RandomTensor tensor : RandomArchitecture.tensors(family)) {
            String before = actual.put(
                    tensor.name(),
                    "%s mean %.1f deviation %.6f".formatted(tensor.shape(), tensor.mean(), tensor.deviation()));
            assertEquals(null, before, tensor.name());
        }
        assertEquals(expected, actual);
    }

    private static String describe(String shape, String filling) {
        List<Long> lengths = Arrays.stream(shape.split("x")).map(Long::valueOf).toList();
        double fanIn = lengths.stream().skip(1).mapToDouble(length -> length).reduce(1, (a, b) -> a * b);
        double deviation = switch (filling) {
            case "one" -> 0;
            case "small" -> 0.02;
            case "fan" -> 1 / Math.sqrt(fanIn);
            default -> throw new AssertionError(filling);
        };
        return "%s mean %.1f deviation %.6f".formatted(lengths, filling.equals("one") ? 1f : 0f, (float) deviation);
    }

    @ParameterizedTest
    @CsvSource({"SD1,1130,1066235307", "SD2,1227,1303597227", "SDXL,2513,3468837867", "SDXL_REFINER,1857,3037840363"})
    void sizesAddUp(ModelFamily family, int tensors, long parameters) {
        var list = RandomArchitecture.tensors(family);

        assertEquals(tensors, list.size());
        assertEquals(parameters, list.stream().mapToLong(RandomTensor::elements).sum());
    }

    @Test
    void theAutoencoderIsTheSameInAllFamilies() {
        var sd1 = autoencoder(ModelFamily.SD1);

        assertEquals(sd1, autoencoder(ModelFamily.SD2));
        assertEquals(sd1, autoencoder(ModelFamily.SDXL));
        assertEquals(sd1, autoencoder(ModelFamily.SDXL_REFINER));
        assertEquals(248, sd1.size());
    }

    private static List<RandomTensor> autoencoder(ModelFamily family) {
        return RandomArchitecture.tensors(family).stream()
                .filter(tensor -> tensor.name().startsWith("first_stage_model."))
                .toList();
    }
}
