package io.aquarelle.plan;

import java.util.BitSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Picks calls of a run, counted from 0. */
@FunctionalInterface
public interface CallSelection {
    /** No call. */
    CallSelection NONE = calls -> new BitSet();

    /** Every call. */
    CallSelection ALL = calls -> {
        BitSet all = new BitSet();
        all.set(0, calls);
        return all;
    };

    /**
     * The calls picked of a run.
     *
     * @param calls how many the run has
     * @return a new set of numbers below that
     * @throws IllegalArgumentException if such a run cannot be divided so
     */
    BitSet among(int calls);

    /** The first call and every {@code interval}-th after it. */
    static CallSelection every(int interval) {
        if (interval < 1) {
            throw new IllegalArgumentException("interval is " + interval + "; it must be 1 or more");
        }
        return calls -> {
            BitSet chosen = new BitSet();
            for (int i = 0; i < calls; i += interval) {
                chosen.set(i);
            }
            return chosen;
        };
    }

    /**
     * The last calls, from number {@code round(calls (1 - percent / 100))} on, half rounded to even as the authors of
     * selective guidance do.
     */
    static CallSelection lastPercent(double percent) {
        if (!(percent >= 0 && percent <= 100)) {
            throw new IllegalArgumentException("the share is " + percent + " %; it must be 0 to 100");
        }
        return calls -> {
            BitSet chosen = new BitSet();
            chosen.set((int) Math.rint(calls * (1 - percent / 100)), calls);
            return chosen;
        };
    }

    /**
     * Listed calls; those beyond the end of a run are none.
     *
     * @param list numbers and ranges, as {@code 0-3,5,10-}; a range includes its end
     * @throws IllegalArgumentException if it is no such list
     */
    static CallSelection listed(String list) {
        BitSet listed = new BitSet();
        int rest = Integer.MAX_VALUE; // where a range without end starts
        Pattern range = Pattern.compile("(\\d{1,6})(-(\\d{1,6})?)?");
        for (String part : list.split(",", -1)) {
            Matcher numbers = range.matcher(part.strip());
            if (!numbers.matches()) {
                throw new IllegalArgumentException(
                        "'" + list + "' is no list of calls; write numbers and ranges, as in 0-3,5,10-");
            }
            int first = Integer.parseInt(numbers.group(1));
            if (numbers.group(2) == null) {
                listed.set(first);
            } else if (numbers.group(3) == null) {
                rest = Math.min(rest, first);
            } else {
                int last = Integer.parseInt(numbers.group(3));
                if (last < first) {
                    throw new IllegalArgumentException("'" + part.strip() + "' ends before it starts");
                }
                listed.set(first, last + 1);
            }
        }
        int tail = rest;
        return calls -> {
            BitSet chosen = (BitSet) listed.clone();
            chosen.clear(calls, Math.max(calls, chosen.length()));
            chosen.set(Math.min(tail, calls), calls);
            return chosen;
        };
    }

    /**
     * DeepCache's calls around a centre: the numbers of {@code n + 1} evenly spaced points from {@code (-c)^(1/p)} to
     * {@code (T - c)^(1/p)}, each to the power of p and cut to a whole number, twice the same once, the first and last
     * left out, plus c; and call 0. Where they are not {@code n}, p is lowered by 0.02.
     *
     * @param count n, how many calls, 1 or more
     * @param centre c, where they lie closest, 0 or more
     * @param power p, above 1
     */
    static CallSelection powerLaw(int count, int centre, double power) {
        if (count < 1 || centre < 0 || !(power > 1 && power <= 16)) {
            throw new IllegalArgumentException("a power law has a count of 1 or more, a centre of 0 or more and a power"
                    + " above 1 and up to 16; these are " + count + ", " + centre + " and " + power);
        }
        return calls -> PowerLaw.among(calls, count, centre, power);
    }
}
