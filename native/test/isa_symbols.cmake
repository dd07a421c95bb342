# Objects built for one instruction set must not define symbols that the linker may share with other objects, such as
# inline functions of the C++ library: another object could get the copy that its processor can't run.
foreach(object ${OBJECTS})
    execute_process(COMMAND "${NM}" --defined-only "${object}" OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
    string(REGEX MATCHALL "[^\n]* [VWuvw] [^\n]*" shared "${symbols}")
    if(shared)
        message(FATAL_ERROR "${object} defines shared symbols: ${shared}")
    endif()
endforeach()
