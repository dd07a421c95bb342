package io.aquarelle.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DataTypeTest {
    /** Sizes as in the safetensors format, numbers as in the GGUF format. */
    @ParameterizedTest
    @CsvSource({
        "F64,8,28",
        "F32,4,0",
        "F16,2,1",
        "BF16,2,30",
        "I64,8,27",
        "I32,4,26",
        "I16,2,25",
        "I8,1,24",
        "U8,1,-1",
        "BOOL,1,-1",
        "F8_E4M3,1,-1",
        "F8_E5M2,1,-1"
    })
    void sizesAndNumbersFollowTheFormats(DataType type, int bytes, int number) {
        assertEquals(bytes * 3L, type.bytes(3));
        assertEquals(number, type.nativeType());
    }

    @ParameterizedTest
    @CsvSource({"F64", "F16"})
    void aSizeBeyondALongIsAnError(DataType type) {
        assertThrows(ArithmeticException.class, () -> type.bytes(Long.MAX_VALUE));
    }
}
