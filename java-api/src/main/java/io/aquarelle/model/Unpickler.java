package io.aquarelle.model;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Reads a Python pickle of protocol 0 to 5 as data: what it wants called is never called, but handed to
 * {@link Builder}, which knows the few functions that make tensors. The opcodes are those of CPython's pickletools.
 *
 * <p>Values become {@code null}, {@link Boolean}, {@link Long}, {@link Double}, {@link String}, {@link Items} (lists,
 * tuples, sets), {@link Dict}, {@link Global}, or what the builder makes. Values may contain themselves and each other any
 * number of times, so nothing here walks through them, and the stack of Java stays flat. A pickle of n bytes takes
 * memory in proportion to n, and no more than {@link #MAX_STEPS} objects.
 */
final class Unpickler {
    /** A Stable Diffusion checkpoint takes 60,000; one with its optimiser's state a few times that. */
    static final int MAX_STEPS = 2_000_000;

    /** Makes values of what the pickle refers to. */
    interface Builder {
        /** Refuses what no harmless checkpoint names. */
        void check(Global global) throws ModelFormatException;

        /** What a call of {@code function}, which passed {@link #check}, would return. */
        @Nullable
        Object call(Object function, Items arguments) throws ModelFormatException;

        /** What an id stands for that is stored outside of the pickle. */
        Object load(@Nullable Object id) throws ModelFormatException;
    }

    /** A list, tuple or set. */
    static final class Items {
        final List<@Nullable Object> values;

        Items(List<@Nullable Object> values) {
            this.values = values;
        }

        int size() {
            return values.size();
        }

        @Nullable
        Object get(int index) {
            return index < values.size() ? values.get(index) : null;
        }
    }

    /** A dictionary as its pairs; keys may be anything. */
    static final class Dict {
        final List<@Nullable Object> keys = new ArrayList<>(0);
        final List<@Nullable Object> values = new ArrayList<>(0);

        void put(@Nullable Object key, @Nullable Object value) {
            keys.add(key);
            values.add(value);
        }

        @Nullable
        Object get(String key) {
            int index = keys.lastIndexOf(key);
            return index < 0 ? null : values.get(index);
        }
    }

    /** A function or class by its name. */
    record Global(String module, String name) {
        @Override
        public String toString() {
            return module + "." + name;
        }
    }

    /** An object of no interest. */
    static final class Opaque {}

    private static final Object MARK = new Object();

    private final ByteCursor in;
    private final Builder builder;
    private final List<@Nullable Object> stack = new ArrayList<>();
    private final Map<Long, @Nullable Object> memo = new HashMap<>();

    private Unpickler(ByteCursor in, Builder builder) {
        this.in = in;
        this.builder = builder;
    }

    /** Reads one pickle from where {@code in} is, and leaves it behind its end. */
    static @Nullable Object read(ByteCursor in, Builder builder) throws ModelFormatException {
        return new Unpickler(in, builder).read();
    }

    private @Nullable Object read() throws ModelFormatException {
        for (int step = 0; step < MAX_STEPS; step++) {
            int opcode = in.u8();
            if (opcode == '.') {
                return pop();
            }
            execute(opcode);
        }
        throw in.damaged("has a pickle of more than " + MAX_STEPS + " steps");
    }

    private void execute(int opcode) throws ModelFormatException {
        switch (opcode) {
            case 0x80 -> protocol(in.u8()); // PROTO
            case 0x95 -> in.skip(8); // FRAME
            case '(' -> stack.add(MARK);
            case '0' -> pop();
            case '1' -> popToMark();
            case '2' -> stack.add(top());
            case 'N' -> stack.add(null);
            case 0x88 -> stack.add(true);
            case 0x89 -> stack.add(false);
            case 'I', 'L' -> stack.add(number(in.line()));
            case 'J' -> stack.add((long) in.i32());
            case 'K' -> stack.add((long) in.u8());
            case 'M' -> stack.add((long) in.u16());
            case 0x8a -> stack.add(integer(in.u8())); // LONG1
            case 0x8b -> stack.add(integer(in.u32())); // LONG4
            case 'F' -> stack.add(fraction(in.line()));
            case 'G' -> stack.add(Double.longBitsToDouble(Long.reverseBytes(in.i64())));
            case 'S', 'V' -> stack.add(unquoted(in.line()));
            case 'T' -> stack.add(latin(in.u32()));
            case 'U' -> stack.add(latin(in.u8()));
            case 'X' -> stack.add(in.utf8(in.u32()));
            case 0x8c -> stack.add(in.utf8(in.u8())); // SHORT_BINUNICODE
            case 0x8d -> stack.add(in.utf8(in.i64())); // BINUNICODE8
            case 'B' -> bytes(in.u32());
            case 'C' -> bytes(in.u8());
            case 0x8e, 0x96 -> bytes(in.i64()); // BINBYTES8, BYTEARRAY8
            case ')', ']', 0x8f -> stack.add(new Items(new ArrayList<>(0))); // the last is EMPTY_SET
            case 't', 'l', 0x91 -> stack.add(new Items(popToMark())); // the last is FROZENSET
            case 0x85, 0x86, 0x87 -> stack.add(new Items(popLast(opcode - 0x84))); // TUPLE1 to TUPLE3
            case 'a' -> append(popLast(1));
            case 'e', 0x90 -> append(popToMark()); // the last is ADDITEMS
            case '}' -> stack.add(new Dict());
            case 'd' -> {
                List<@Nullable Object> pairs = popToMark();
                stack.add(new Dict());
                setItems(pairs);
            }
            case 's' -> setItems(popLast(2));
            case 'u' -> setItems(popToMark());
            case 'c' -> stack.add(global(in.line(), in.line()));
            case 0x93 -> { // STACK_GLOBAL
                Object name = pop();
                stack.add(global(pop(), name));
            }
            case 'R', 0x81 -> { // the last is NEWOBJ
                Object arguments = pop();
                call(pop(), arguments);
            }
            case 0x92 -> { // NEWOBJ_EX
                pop();
                Object arguments = pop();
                call(pop(), arguments);
            }
            case 'i' -> {
                Global type = global(in.line(), in.line());
                call(type, new Items(popToMark()));
            }
            case 'o' -> {
                List<@Nullable Object> items = popToMark();
                if (items.isEmpty()) {
                    throw in.damaged("has a pickle that makes an object of no class");
                }
                call(items.getFirst(), new Items(new ArrayList<>(items.subList(1, items.size()))));
            }
            case 'b' -> pop(); // the state of an object: no tensor needs it
            case 'P' -> stack.add(builder.load(in.line()));
            case 'Q' -> stack.add(builder.load(pop()));
            case 'g' -> recall(number(in.line()));
            case 'h' -> recall((long) in.u8());
            case 'j' -> recall(in.u32());
            case 'p' -> memo.put(number(in.line()), top());
            case 'q' -> memo.put((long) in.u8(), top());
            case 'r' -> memo.put(in.u32(), top());
            case 0x94 -> memo.put((long) memo.size(), top()); // MEMOIZE
            default -> throw in.damaged("has the unknown opcode " + opcode + " in a pickle");
        }
    }

    private void protocol(int version) throws ModelFormatException {
        if (version > 5) {
            throw in.damaged("has a pickle of protocol " + version);
        }
    }

    private @Nullable Object top() throws ModelFormatException {
        if (stack.isEmpty() || stack.getLast() == MARK) {
            throw in.damaged("has a pickle that takes more values than it made");
        }
        return stack.getLast();
    }

    private @Nullable Object pop() throws ModelFormatException {
        Object value = top();
        stack.removeLast();
        return value;
    }

    private List<@Nullable Object> popLast(int count) throws ModelFormatException {
        List<@Nullable Object> values = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            values.addFirst(pop());
        }
        return values;
    }

    private List<@Nullable Object> popToMark() throws ModelFormatException {
        int mark = stack.lastIndexOf(MARK);
        if (mark < 0) {
            throw in.damaged("has a pickle that ends a group it did not begin");
        }
        List<@Nullable Object> group = stack.subList(mark, stack.size());
        List<@Nullable Object> values = new ArrayList<>(group.subList(1, group.size()));
        group.clear();
        return values;
    }

    private void append(List<@Nullable Object> values) throws ModelFormatException {
        if (top() instanceof Items list) {
            list.values.addAll(values);
        }
    }

    private void setItems(List<@Nullable Object> pairs) throws ModelFormatException {
        if (pairs.size() % 2 != 0) {
            throw in.damaged("has a pickle with a key that has no value");
        }
        if (top() instanceof Dict dict) {
            for (int i = 0; i < pairs.size(); i += 2) {
                dict.put(pairs.get(i), pairs.get(i + 1));
            }
        }
    }

    private void recall(Long index) throws ModelFormatException {
        if (!memo.containsKey(index)) {
            throw in.damaged("has a pickle that refers to value " + index + " before it is there");
        }
        stack.add(memo.get(index));
    }

    private Global global(@Nullable Object module, @Nullable Object name) throws ModelFormatException {
        if (!(module instanceof String m) || !(name instanceof String n)) {
            throw in.damaged("has a pickle that names a function by something else than text");
        }
        Global global = new Global(m, n);
        builder.check(global);
        return global;
    }

    private void call(@Nullable Object function, @Nullable Object arguments) throws ModelFormatException {
        if (function == null || !(arguments instanceof Items items)) {
            throw in.damaged("has a pickle with a call that has no function or no arguments");
        }
        stack.add(builder.call(function, items));
    }

    private void bytes(long length) throws ModelFormatException {
        in.skip(length);
        stack.add(new Opaque());
    }

    private String latin(long length) throws ModelFormatException {
        try {
            return in.utf8(length); // Python 2 wrote text as bytes, in practice ASCII
        } catch (ModelFormatException e) {
            throw in.damaged("has a text in a pickle that is neither ASCII nor UTF-8");
        }
    }

    private static String unquoted(String line) {
        boolean quoted = line.length() >= 2 && (line.startsWith("'") || line.startsWith("\""));
        return quoted ? line.substring(1, line.length() - 1) : line;
    }

    private Long number(String line) throws ModelFormatException {
        try {
            return Long.valueOf(line.endsWith("L") ? line.substring(0, line.length() - 1) : line);
        } catch (NumberFormatException e) {
            throw in.damaged("has a pickle with the number '" + Json.shorten(line) + "'");
        }
    }

    private Double fraction(String line) throws ModelFormatException {
        try {
            return Double.valueOf(line);
        } catch (NumberFormatException e) {
            throw in.damaged("has a pickle with the number '" + Json.shorten(line) + "'");
        }
    }

    /** Little-endian in two's complement; of what is longer than a long only the low part counts. */
    private Long integer(long length) throws ModelFormatException {
        if (length > Long.BYTES) {
            long low = in.i64();
            in.skip(length - Long.BYTES);
            return low;
        }
        long value = 0;
        for (int i = 0; i < length; i++) {
            value |= (long) in.u8() << 8 * i;
        }
        int unused = Long.SIZE - 8 * (int) length;
        return length == 0 ? 0L : value << unused >> unused;
    }
}
