package io.aquarelle.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class TensorInfoTest {
    @Test
    void elementsAreTheProductOfTheShape() {
        assertEquals(36, new TensorInfo("a", DataType.F16, List.of(4L, 3L, 3L)).elements());
        assertEquals(1, new TensorInfo("a", DataType.F16, List.of()).elements());
        assertEquals(0, new TensorInfo("a", DataType.F16, List.of(4L, 0L)).elements());
    }

    @Test
    void theShapeCannotChange() {
        var shape = new ArrayList<>(List.of(2L));
        var tensor = new TensorInfo("a", DataType.U8, shape);
        shape.set(0, 3L);

        assertEquals(List.of(2L), tensor.shape());
    }

    @Test
    void whatCannotBeIsRefused() {
        assertThrows(IllegalArgumentException.class, () -> new TensorInfo("a", DataType.F16, List.of(-1L, -2L)));
        assertThrows(
                IllegalArgumentException.class, () -> new TensorInfo("a", DataType.F16, List.of(1L << 32, 1L << 32)));
        assertThrows(IllegalArgumentException.class, () -> new TensorInfo("a", DataType.F64, List.of(1L << 61)));
    }

    @Test
    void rowsOfAllDimensionsButTheFirstAreDividedIntoBlocks() {
        var kernel = new TensorInfo("a", DataType.Q8_0, List.of(2L, 32L, 3L, 3L));
        assertEquals(288, kernel.columns());
        assertEquals(2 * 9 * 34, kernel.byteSize());
        assertEquals(64, new TensorInfo("a", DataType.Q8_0, List.of(64L)).columns());
        assertThrows(IllegalArgumentException.class, () -> new TensorInfo("a", DataType.Q8_0, List.of(32L, 3L, 3L)));
        assertThrows(IllegalArgumentException.class, () -> new TensorInfo("a", DataType.Q4_K, List.of(4L, 64L)));
        assertThrows(IllegalArgumentException.class, () -> new TensorInfo("a", DataType.Q8_0, List.of(33L)));
    }
}
