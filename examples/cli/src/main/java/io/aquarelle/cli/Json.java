package io.aquarelle.cli;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;

/** Results for programs: records become objects, {@code loadS} becomes {@code load_s}. */
final class Json {
    private static final JsonMapper MAPPER = JsonMapper.builder()
            .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
            .defaultPropertyInclusion(JsonInclude.Value.construct(JsonInclude.Include.NON_NULL, null))
            .enable(JsonWriteFeature.ESCAPE_NON_ASCII) // whatever the encoding of standard output
            .build();

    private Json() {}

    static String of(Object value) {
        try {
            return MAPPER.writeValueAsString(value);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Seconds to the millisecond. */
    static double seconds(long nanos) {
        return Math.round(nanos / 1e6) / 1e3;
    }

    /** Millions of bytes to one digit. */
    static double megabytes(long bytes) {
        return Math.round(bytes / 1e5) / 1e1;
    }
}
