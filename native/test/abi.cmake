# Writes abi.txt into the build folder: what the C compiler makes of the public header, one line a constant, struct,
# field and function. The test of the bindings compares it with the generated Java classes.
set(header "${PROJECT_SOURCE_DIR}/native/include/aquarelle.h")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${header}")

file(READ "${header}" text)
string(REGEX REPLACE "//[^\n]*" "" text "${text}")
string(REGEX REPLACE "\\[[^]]*\\]" "" text "${text}")
string(REPLACE ";" "@" text "${text}")

set(lines)
string(REGEX MATCHALL "#define AQ_[A-Z0-9_]+ [0-9]" defines "${text}")
string(REGEX MATCHALL "AQ_[A-Z0-9_]+ = " enumerators "${text}")
foreach(constant ${defines} ${enumerators})
    string(REGEX MATCH "AQ_[A-Z0-9_]+" name "${constant}")
    string(APPEND lines "    constant(\"${name}\", ${name})@\n")
endforeach()

string(REGEX MATCHALL "typedef struct [a-z0-9_]+ {[^}]*}" structs "${text}")
foreach(struct ${structs})
    string(REGEX REPLACE "typedef struct ([a-z0-9_]+) {.*" "\\1" name "${struct}")
    string(REGEX MATCHALL "[a-z0-9_]+ *[,@]" fields "${struct}")
    string(APPEND lines "    structure<${name}>(\"${name}\")@\n")
    foreach(field ${fields})
        string(REGEX MATCH "[a-z0-9_]+" field "${field}")
        string(APPEND lines
            "    field<decltype(${name}::${field})>(\"${name}.${field}\", offsetof(${name}, ${field}))@\n")
    endforeach()
endforeach()

string(REGEX MATCHALL "AQ_API [a-z0-9_]+ [a-z0-9_]+\\(" functions "${text}")
foreach(function ${functions})
    string(REGEX REPLACE ".* ([a-z0-9_]+)\\(" "\\1" name "${function}")
    string(APPEND lines "    function<decltype(&${name})>(\"${name}\")@\n")
endforeach()
string(REPLACE "@" ";" lines "${lines}")

file(CONFIGURE OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/abi_lines.inl" CONTENT "${lines}" @ONLY)
add_executable(abi_dump abi_dump.cc)
target_include_directories(abi_dump PRIVATE "${CMAKE_CURRENT_BINARY_DIR}")
target_link_libraries(abi_dump PRIVATE aquarelle)
add_custom_command(OUTPUT "${CMAKE_BINARY_DIR}/abi.txt" COMMAND abi_dump > "${CMAKE_BINARY_DIR}/abi.txt"
    DEPENDS abi_dump VERBATIM)
add_custom_target(abi ALL DEPENDS "${CMAKE_BINARY_DIR}/abi.txt")
