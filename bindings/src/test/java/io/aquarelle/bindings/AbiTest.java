package io.aquarelle.bindings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.AddressLayout;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.GroupLayout;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.SequenceLayout;
import java.lang.foreign.ValueLayout;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The generated classes say the same as the C compiler made of the header: see native/test/abi.cmake. */
class AbiTest {
    private static final Path COMPILED = Path.of(System.getProperty("aquarelle.abi"));

    @BeforeAll
    static void loadLibrary() {
        NativeLibrary.load();
    }

    @Test
    void generatedClassesEqualTheCompiledHeader() throws IOException, ReflectiveOperationException {
        assertTrue(Files.exists(COMPILED), COMPILED + " is missing: build the module native first");
        assertEquals(
                sorted(Files.readAllLines(COMPILED).stream()),
                sorted(Stream.concat(constantsAndFunctions(), structs())),
                "run bindings/generate and raise AQ_ABI_VERSION");
    }

    @Test
    void compiledHeaderIsNotEmpty() throws IOException {
        List<String> lines = Files.readAllLines(COMPILED);
        for (String kind : List.of("constant ", "struct ", "field ", "function ")) {
            assertFalse(lines.stream().noneMatch(line -> line.startsWith(kind)), kind);
        }
    }

    @Test
    void libraryHasTheVersionOfTheBindings() {
        assertEquals(Aquarelle.AQ_ABI_VERSION(), Aquarelle.aq_abi_version());
    }

    private static Stream<String> constantsAndFunctions() throws ReflectiveOperationException {
        Stream.Builder<String> lines = Stream.builder();
        for (Method method : Aquarelle.class.getDeclaredMethods()) {
            String name = method.getName();
            if (!Modifier.isStatic(method.getModifiers()) || method.getParameterCount() != 0) continue;
            if (name.startsWith("AQ_")) {
                lines.add("constant %s %d".formatted(name, ((Number) method.invoke(null)).longValue()));
            } else if (name.endsWith("$descriptor")) {
                FunctionDescriptor function = (FunctionDescriptor) method.invoke(null);
                String types = Stream.concat(function.returnLayout().stream(), function.argumentLayouts().stream())
                        .map(AbiTest::type)
                        .collect(Collectors.joining(" "));
                lines.add("function %s %s".formatted(name.replace("$descriptor", ""), types));
            }
        }
        return lines.build();
    }

    private static Stream<String> structs() throws IOException {
        try (Stream<Path> files = Files.list(generatedClasses())) {
            return files
                    .map(file -> file.getFileName().toString())
                    .filter(name -> name.matches("aq_\\w+\\.class"))
                    .map(name -> layout(name.replace(".class", "")))
                    .flatMap(AbiTest::struct)
                    .toList()
                    .stream();
        }
    }

    private static Stream<String> struct(GroupLayout layout) {
        String struct = layout.name().orElseThrow();
        Stream.Builder<String> lines = Stream.builder();
        lines.add("struct %s size %d align %d".formatted(struct, layout.byteSize(), layout.byteAlignment()));
        for (MemoryLayout member : layout.memberLayouts()) {
            if (member.name().isEmpty()) continue; // padding
            String field = member.name().get();
            long offset = layout.byteOffset(PathElement.groupElement(field));
            lines.add("field %s.%s at %d %s".formatted(struct, field, offset, type(member)));
        }
        return lines.build();
    }

    private static GroupLayout layout(String struct) {
        try {
            return (GroupLayout) Class.forName("io.aquarelle.bindings." + struct)
                    .getMethod("layout")
                    .invoke(null);
        } catch (ReflectiveOperationException e) {
            throw new AssertionError(e);
        }
    }

    private static String type(MemoryLayout layout) {
        return switch (layout) {
            case SequenceLayout array -> array.elementCount() + type(array.elementLayout());
            case AddressLayout pointer -> "p" + pointer.byteSize();
            case ValueLayout.OfFloat f -> "f" + f.byteSize();
            case ValueLayout.OfDouble f -> "f" + f.byteSize();
            case MemoryLayout integer -> "i" + integer.byteSize();
        };
    }

    private static Path generatedClasses() {
        return Path.of(URI.create(Aquarelle.class.getResource("Aquarelle.class").toString()))
                .getParent();
    }

    private static List<String> sorted(Stream<String> lines) {
        return lines.sorted().toList();
    }
}
