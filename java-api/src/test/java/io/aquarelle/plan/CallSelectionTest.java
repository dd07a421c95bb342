package io.aquarelle.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class CallSelectionTest {
    private static String chosen(CallSelection selection, int calls) {
        return selection.among(calls).toString();
    }

    /** Starts as Python's {@code round(n * (1 - p / 100))} gives them. */
    @ParameterizedTest
    @CsvSource({
        "25, 50, 12",
        "5, 50, 2",
        "15, 50, 8",
        "20, 20, 16",
        "7, 50, 4",
        "3, 50, 2",
        "51, 20, 41",
        "50, 20, 40",
        "10, 25, 8",
        "30, 75, 8",
        "20, 33, 13",
        "20, 0, 20",
        "20, 100, 0"
    })
    void lastPercentStartsWhereTheAuthorsCodeDoes(int calls, double percent, int start) {
        var chosen = CallSelection.lastPercent(percent).among(calls);
        assertEquals(calls - start, chosen.cardinality());
        assertEquals(start == calls ? -1 : start, chosen.nextSetBit(0));
    }

    @Test
    void everyPicksTheFirstAndSoOn() {
        assertEquals("{0, 3, 6}", chosen(CallSelection.every(3), 8));
        assertEquals("{0, 1, 2}", chosen(CallSelection.every(1), 3));
        assertEquals("{0}", chosen(CallSelection.every(100), 8));
        assertThrows(IllegalArgumentException.class, () -> CallSelection.every(0));
    }

    @Test
    void listsHoldNumbersAndRanges() {
        assertEquals("{0, 1, 2, 3, 5, 10, 15, 25, 35}", chosen(CallSelection.listed("0-3,5,10,15,25,35"), 50));
        assertEquals("{2, 6, 7}", chosen(CallSelection.listed("6-, 2"), 8));
        assertEquals("{1}", chosen(CallSelection.listed("1,9,20-"), 8));
        assertEquals("{}", chosen(CallSelection.listed("8"), 8));
        assertEquals("{}", chosen(CallSelection.NONE, 8));
        assertEquals("{0, 1}", chosen(CallSelection.ALL, 2));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "a", "1,,2", "-1", "3-1", "1-2-3", "1.5", "9999999", "1;2", "١"})
    void brokenListsAreRefused(String list) {
        var failure = assertThrows(IllegalArgumentException.class, () -> CallSelection.listed(list));
        assertTrue(failure.getMessage().lines().count() == 1);
    }

    /** Numbers that numpy gives for the equation, complex roots and all. */
    @Test
    void powerLawIsDeepCaches() {
        assertEquals(List.of(0, 5, 9, 13, 17, 21, 26, 31, 37, 43).toString(), powerLaw(50, 10, 15, 1.4));
        assertEquals(List.of(0, 9, 16, 26, 38).toString(), powerLaw(50, 5, 10, 1.2));
        assertEquals(List.of(0, 3, 5, 6, 9, 12, 16).toString(), powerLaw(20, 7, 5, 1.4));
        assertEquals(
                List.of(0, 4, 7, 10, 13, 17, 20, 24, 28, 33, 37, 42, 48, 53, 59, 65, 72, 78, 85, 92)
                        .toString(),
                powerLaw(100, 20, 20, 1.6));
        assertEquals(
                List.of(0, 3, 5, 7, 9, 10, 13, 15, 18, 21, 24, 27, 31, 34, 38, 42, 45)
                        .toString(),
                powerLaw(50, 17, 10, 1.4));
        assertEquals(List.of(0, 3, 7, 11, 16, 21, 27, 32, 38, 44).toString(), powerLaw(50, 10, 0, 1.2));
        assertEquals(List.of(0, 4, 7, 10, 13, 15, 17, 20, 23, 26).toString(), powerLaw(30, 10, 15, 1.3));
    }

    private static String powerLaw(int calls, int count, int centre, double power) {
        return CallSelection.powerLaw(count, centre, power).among(calls).stream()
                .boxed()
                .toList()
                .toString();
    }

    @Test
    void powerLawsThatCannotBeAreRefused() {
        assertThrows(IllegalArgumentException.class, () -> powerLaw(20, 50, 10, 1.4));
        assertThrows(IllegalArgumentException.class, () -> powerLaw(20, 5, 20, 1.4));
        assertThrows(IllegalArgumentException.class, () -> CallSelection.powerLaw(0, 5, 1.4));
        assertThrows(IllegalArgumentException.class, () -> CallSelection.powerLaw(5, -1, 1.4));
        assertThrows(IllegalArgumentException.class, () -> CallSelection.powerLaw(5, 5, 1));
        assertThrows(IllegalArgumentException.class, () -> CallSelection.powerLaw(5, 5, Double.NaN));
    }

    @Test
    void sharesThatAreNoneAreRefused() {
        for (double percent : new double[] {-1, 101, Double.NaN}) {
            assertThrows(IllegalArgumentException.class, () -> CallSelection.lastPercent(percent));
        }
    }
}
