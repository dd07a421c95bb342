# Builds everything with the address and undefined behaviour sanitizers and runs the tests of that build.
set(probe "${BUILD_DIR}/probe")
file(WRITE "${probe}.cc" "int main() { return 0; }\n")
execute_process(COMMAND "${CXX}" -fsanitize=address,undefined "${probe}.cc" -o "${probe}"
    RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
if(NOT failed)
    execute_process(COMMAND "${probe}" RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
endif()
if(failed)
    message("skipped: ${CXX} has no address and undefined behaviour sanitizer here "
        "(Debian: apt install libasan8 libubsan1 for g++ 12, libclang-rt-dev for clang)")
    return()
endif()

set(OPTIONS -DAQUARELLE_SANITIZE=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo "-DCMAKE_C_COMPILER=${C}"
    "-DCMAKE_CXX_COMPILER=${CXX}" "-DGGML_SOURCE_DIR=${GGML}")
include("${CMAKE_CURRENT_LIST_DIR}/../cmake/build.cmake")
execute_process(COMMAND "${CTEST}" --test-dir "${BUILD_DIR}" --output-on-failure RESULT_VARIABLE failed)
if(failed)
    message(FATAL_ERROR "A sanitizer found something; the lines above say what.")
endif()
