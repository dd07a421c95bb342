package io.aquarelle.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class TensorInfoTest {
    @Test
    void elementsAreTheProductOfTheShape() {
        assertEquals(36, new TensorInfo("a", DataType.F16, List.of(4L, 3L, 3L), 0, 72).elements());
        assertEquals(1, new TensorInfo("a", DataType.F16, List.of(), 0, 2).elements());
        assertEquals(0, new TensorInfo("a", DataType.F16, List.of(4L, 0L), 0, 0).elements());
    }

    @Test
    void theShapeCannotChange() {
        var shape = new ArrayList<>(List.of(2L));
        var tensor = new TensorInfo("a", DataType.U8, shape, 0, 2);
        shape.set(0, 3L);

        assertEquals(List.of(2L), tensor.shape());
    }

    @Test
    void whatCannotBeIsRefused() {
        assertThrows(IllegalArgumentException.class, () -> new TensorInfo("a", DataType.F16, List.of(2L), 0, 5));
        assertThrows(IllegalArgumentException.class, () -> new TensorInfo("a", DataType.F16, List.of(2L), -1, 4));
        assertThrows(IllegalArgumentException.class, () -> new TensorInfo("a", DataType.F16, List.of(-1L, -2L), 0, 4));
        assertThrows(
                IllegalArgumentException.class,
                () -> new TensorInfo("a", DataType.F16, List.of(1L << 32, 1L << 32), 0, 0));
    }
}
