package io.aquarelle.cli;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;

/** The stream that progress goes to. */
final class StandardError {
    private static final int DESCRIPTOR = 2;

    private StandardError() {}

    /** Whether it is a terminal. {@link java.io.Console} tells of standard input and output only. */
    static boolean isTerminal() {
        Linker linker = Linker.nativeLinker();
        Optional<MemorySegment> isatty = linker.defaultLookup()
                .find("isatty")
                .or(() -> linker.defaultLookup().find("_isatty"));
        var type = FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT);
        try {
            return isatty.isPresent()
                    && (int) linker.downcallHandle(isatty.get(), type).invokeExact(DESCRIPTOR) != 0;
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }
}
