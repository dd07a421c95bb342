# Configures, builds and installs in one step, with Ninja where there is one:
#   cmake -DBUILD_DIR=<folder> [-DINSTALL_DIR=<folder>] [-DOPTIONS=<cmake options>] -P native/cmake/build.cmake
cmake_minimum_required(VERSION 3.21)
cmake_path(SET source NORMALIZE "${CMAKE_CURRENT_LIST_DIR}/../..")

find_program(ninja NAMES ninja ninja-build)
if(ninja AND NOT EXISTS "${BUILD_DIR}/CMakeCache.txt")
    list(APPEND OPTIONS -G Ninja)
endif()
cmake_host_system_information(RESULT cores QUERY NUMBER_OF_LOGICAL_CORES)

function(run)
    execute_process(COMMAND "${CMAKE_COMMAND}" ${ARGN} RESULT_VARIABLE failed)
    if(failed)
        message(FATAL_ERROR "The native build failed; the lines above say why.")
    endif()
endfunction()

run(-S "${source}" -B "${BUILD_DIR}" ${OPTIONS})
run(--build "${BUILD_DIR}" --config Release --parallel ${cores})
if(INSTALL_DIR)
    run(--install "${BUILD_DIR}" --config Release --prefix "${INSTALL_DIR}")
endif()
