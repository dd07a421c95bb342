package io.aquarelle.plan;

import java.util.BitSet;
import java.util.SortedSet;
import java.util.TreeSet;

/** See {@link CallSelection#powerLaw}. Roots of negative numbers are complex; real parts count. */
final class PowerLaw {
    private static final double LOWER = 0.02;

    private PowerLaw() {}

    static BitSet among(int calls, int count, int centre, double power) {
        if (centre >= calls) {
            throw new IllegalArgumentException("the centre is " + centre + "; the run has " + calls + " calls");
        }
        for (double p = power; p > 1; p -= LOWER) {
            SortedSet<Integer> between = at(calls, count, centre, p);
            if (between.size() + 1 == count) {
                BitSet chosen = new BitSet();
                chosen.set(0);
                between.stream().filter(i -> i >= 0 && i < calls).forEach(chosen::set);
                return chosen;
            }
        }
        throw new IllegalArgumentException("no power up to " + power + " gives " + count + " of " + calls
                + " calls around " + centre + "; take fewer calls, a lower centre or a higher power");
    }

    /** The calls but for the first one. */
    private static SortedSet<Integer> at(int calls, int count, int centre, double p) {
        // The principal root of -c has the angle pi / p.
        double root = Math.pow(centre, 1 / p);
        double startReal = root * Math.cos(Math.PI / p);
        double startImaginary = root * Math.sin(Math.PI / p);
        double end = Math.pow(calls - centre, 1 / p);
        TreeSet<Integer> whole = new TreeSet<>();
        for (int i = 0; i <= count; i++) {
            double share = (double) i / count;
            double real = startReal + (end - startReal) * share;
            double imaginary = startImaginary * (1 - share);
            double size = Math.pow(Math.hypot(real, imaginary), p);
            whole.add(centre + (int) (size * Math.cos(p * Math.atan2(imaginary, real))));
        }
        whole.pollFirst();
        whole.pollLast();
        return whole;
    }
}
