# Gets the pinned ggml, checks it and adds it to the build. It comes from, in this order: GGML_SOURCE_DIR, the per-user
# cache, llama.cpp's git repository, or the npm package node-llama-cpp, which holds a git bundle of the same tree.
# Whatever came, its git tree id must equal the pin.

set(ggml_tree 4a1fc5de35bd6af12f303c0701ea0bc7ec1e1c77) # of the folder ggml/ in llama.cpp v0.5.0: ggml 0.25.1
set(ggml_repository https://github.com/ggml-org/llama.cpp)
set(ggml_tag v0.5.0)
set(ggml_package node-llama-cpp@3.22.1)

set(GGML_SOURCE_DIR "" CACHE PATH "the folder ggml/ of llama.cpp ${ggml_tag}; empty: cached or fetched")

find_program(AQUARELLE_GIT git)
find_program(AQUARELLE_NPM NAMES npm.cmd npm)
mark_as_advanced(AQUARELLE_GIT AQUARELLE_NPM)
if(NOT AQUARELLE_GIT)
    message(FATAL_ERROR "git is missing, which checks ggml's sources: install it (Debian: apt install git).")
endif()

# The git tree id of a folder that need not be in a repository. Modes are set here: archives and file systems lose them.
function(ggml_tree_id folder result)
    set(executables
        src/ggml-cann/CMakeLists.txt
        src/ggml-cuda/template-instances/generate_cu_files.py
        src/ggml-et/et-kernels/scripts/check_unimplemented_instructions.sh
        src/ggml-virtgpu/regenerate_remoting.py
        src/ggml-webgpu/wgsl-shaders/embed_wgsl.py)
    set(index "${CMAKE_CURRENT_BINARY_DIR}/ggml-index")
    set(git "${CMAKE_COMMAND}" -E env GIT_CONFIG_GLOBAL= GIT_CONFIG_NOSYSTEM=1 "GIT_DIR=${index}"
        "GIT_WORK_TREE=${folder}" "${AQUARELLE_GIT}" -c core.autocrlf=false -c core.fileMode=false)
    file(REMOVE_RECURSE "${index}")
    execute_process(COMMAND "${AQUARELLE_GIT}" init --quiet --bare "${index}" OUTPUT_QUIET)
    execute_process(
        COMMAND ${git} ls-files --others -z
        COMMAND ${git} update-index --add --info-only -z --stdin
        WORKING_DIRECTORY "${folder}" ERROR_QUIET)
    execute_process(COMMAND ${git} update-index --info-only --chmod=+x ${executables}
        WORKING_DIRECTORY "${folder}" ERROR_QUIET)
    execute_process(COMMAND ${git} write-tree --missing-ok
        WORKING_DIRECTORY "${folder}" OUTPUT_VARIABLE id OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    set(${result} "${id}" PARENT_SCOPE)
endfunction()

# The folder that all builds of this user share, or the build folder where that can't be written.
function(ggml_cache_folder result)
    if(NOT "$ENV{AQUARELLE_CACHE}" STREQUAL "")
        set(folder "$ENV{AQUARELLE_CACHE}")
    elseif(WIN32)
        set(folder "$ENV{LOCALAPPDATA}/aquarelle")
    elseif(APPLE)
        set(folder "$ENV{HOME}/Library/Caches/aquarelle")
    elseif(NOT "$ENV{XDG_CACHE_HOME}" STREQUAL "")
        set(folder "$ENV{XDG_CACHE_HOME}/aquarelle")
    else()
        set(folder "$ENV{HOME}/.cache/aquarelle")
    endif()
    cmake_path(CONVERT "${folder}" TO_CMAKE_PATH_LIST folder)
    execute_process(COMMAND "${CMAKE_COMMAND}" -E make_directory "${folder}" RESULT_VARIABLE failed ERROR_QUIET)
    if(NOT failed)
        execute_process(COMMAND "${CMAKE_COMMAND}" -E touch "${folder}/.writable" RESULT_VARIABLE failed ERROR_QUIET)
    endif()
    file(REMOVE "${folder}/.writable")
    if(failed)
        set(folder "${CMAKE_BINARY_DIR}/cache")
    endif()
    set(${result} "${folder}" PARENT_SCOPE)
endfunction()

# Runs a command that may fail; the reason is the last line that it said.
macro(ggml_try reason)
    execute_process(${ARGN} RESULT_VARIABLE ggml_status OUTPUT_QUIET ERROR_VARIABLE ggml_stderr)
    if(ggml_status EQUAL 0)
        set(${reason} "")
    else()
        string(STRIP "${ggml_status}: ${ggml_stderr}" ${reason})
        string(REGEX REPLACE ".*\n" "" ${reason} "${${reason}}")
    endif()
endmacro()

# Clones upstream into `clone`, without the files of any folder. It must not hang where there is no network.
function(ggml_clone_upstream clone reason)
    set(git "${CMAKE_COMMAND}" -E env GIT_TERMINAL_PROMPT=0 GIT_ASKPASS= GIT_HTTP_LOW_SPEED_LIMIT=1000
        GIT_HTTP_LOW_SPEED_TIME=20 "${AQUARELLE_GIT}")
    ggml_try(why COMMAND ${git} ls-remote --exit-code ${ggml_repository} refs/tags/${ggml_tag} TIMEOUT 20)
    if(NOT why)
        ggml_try(why COMMAND ${git} clone --quiet --bare --depth 1 --filter=blob:none --branch ${ggml_tag}
            ${ggml_repository} "${clone}" TIMEOUT 600)
    endif()
    set(${reason} "${why}" PARENT_SCOPE)
endfunction()

# Clones the bundle of the npm package into `clone`.
function(ggml_clone_package work clone reason)
    if(NOT AQUARELLE_NPM)
        set(${reason} "npm is missing" PARENT_SCOPE)
        return()
    endif()
    set(bundle package/llama/gitRelease.bundle)
    file(MAKE_DIRECTORY "${work}")
    ggml_try(why COMMAND "${AQUARELLE_NPM}" pack ${ggml_package} --ignore-scripts --fetch-retries=1
        WORKING_DIRECTORY "${work}" TIMEOUT 600)
    if(NOT why)
        file(GLOB archive "${work}/*.tgz")
        ggml_try(why COMMAND "${CMAKE_COMMAND}" -E tar xzf "${archive}" ${bundle} WORKING_DIRECTORY "${work}")
    endif()
    if(NOT why)
        ggml_try(why COMMAND "${AQUARELLE_GIT}" clone --quiet --bare "${work}/${bundle}" "${clone}")
    endif()
    set(${reason} "${why}" PARENT_SCOPE)
endfunction()

# Fetches ggml into `folder`, which appears in one move, so that builds may run at once.
function(ggml_fetch folder)
    string(RANDOM LENGTH 8 random)
    set(work "${folder}-${random}.tmp")
    set(clone "${work}/clone")
    message(STATUS "Fetching ggml from ${ggml_repository} at ${ggml_tag}")
    ggml_clone_upstream("${clone}" upstream_reason)
    if(upstream_reason)
        message(STATUS "Not there (${upstream_reason}); fetching it from the npm package ${ggml_package}")
        file(REMOVE_RECURSE "${clone}")
        ggml_clone_package("${work}" "${clone}" package_reason)
        if(package_reason)
            file(REMOVE_RECURSE "${work}")
            message(FATAL_ERROR "ggml could not be fetched from ${ggml_repository} (${upstream_reason}) nor by "
                "\"npm pack ${ggml_package}\" (${package_reason}): connect this machine to one of them for the first "
                "build (npm comes with Node.js), or set GGML_SOURCE_DIR to the folder ggml/ of llama.cpp ${ggml_tag}.")
        endif()
    endif()

    set(git "${AQUARELLE_GIT}" -c core.autocrlf=false "--git-dir=${clone}" "--work-tree=${work}/ggml")
    file(MAKE_DIRECTORY "${work}/ggml")
    execute_process(COMMAND ${git} rev-parse HEAD:ggml
        OUTPUT_VARIABLE id OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    if(NOT id STREQUAL ggml_tree)
        file(REMOVE_RECURSE "${work}")
        message(FATAL_ERROR "What was fetched is not the pinned ggml: its git tree is ${id}, not ${ggml_tree}.")
    endif()
    # Unlike checkout this fetches all missing files at once.
    ggml_try(why COMMAND ${git} read-tree --reset -u ${ggml_tree} TIMEOUT 600)
    if(why)
        file(REMOVE_RECURSE "${work}")
        message(FATAL_ERROR "ggml could not be fetched from ${ggml_repository} (${why}): try again.")
    endif()
    # Fails where another build was faster; ggml is checked after this in any case.
    file(RENAME "${work}/ggml" "${folder}" RESULT ignored)
    file(REMOVE_RECURSE "${work}")
endfunction()

if(GGML_SOURCE_DIR)
    set(ggml_source "${GGML_SOURCE_DIR}")
    if(NOT EXISTS "${ggml_source}/CMakeLists.txt")
        message(FATAL_ERROR "GGML_SOURCE_DIR: ${ggml_source} is not the folder ggml/ of llama.cpp ${ggml_tag}.")
    endif()
else()
    ggml_cache_folder(cache)
    set(ggml_source "${cache}/ggml-${ggml_tree}")
    if(EXISTS "${ggml_source}")
        ggml_tree_id("${ggml_source}" id)
        if(NOT id STREQUAL ggml_tree)
            message(WARNING "${ggml_source} was changed since it was fetched: fetching it again.")
            file(REMOVE_RECURSE "${ggml_source}")
        endif()
    endif()
    if(NOT EXISTS "${ggml_source}")
        ggml_fetch("${ggml_source}")
    endif()
endif()
ggml_tree_id("${ggml_source}" id)
if(NOT id STREQUAL ggml_tree)
    message(FATAL_ERROR "${ggml_source} is not the pinned ggml: its git tree is ${id}, not ${ggml_tree}; "
        "take the folder ggml/ of llama.cpp ${ggml_tag}, unchanged.")
endif()

# The plain processor of each architecture, nothing of the building machine: our kernels do the heavy work and pick
# their instruction set at run time.
foreach(option
        BUILD_SHARED_LIBS GGML_NATIVE GGML_OPENMP GGML_LLAMAFILE GGML_CPU_REPACK GGML_ACCELERATE GGML_BLAS GGML_METAL
        GGML_SSE42 GGML_AVX GGML_AVX2 GGML_FMA GGML_F16C GGML_BMI2 GGML_AVX512
        GGML_CCACHE GGML_ALL_WARNINGS GGML_BUILD_TESTS GGML_BUILD_EXAMPLES)
    set(${option} OFF CACHE BOOL "" FORCE)
endforeach()
if(AQUARELLE_BENCH) # ggml is an opponent there, built as stable-diffusion.cpp builds it
    set(GGML_NATIVE ON CACHE BOOL "" FORCE)
endif()
add_subdirectory("${ggml_source}" "${CMAKE_CURRENT_BINARY_DIR}/ggml" EXCLUDE_FROM_ALL)

# Its headers are not ours to warn about.
get_target_property(ggml_headers ggml-base INTERFACE_INCLUDE_DIRECTORIES)
set_target_properties(ggml ggml-base ggml-cpu PROPERTIES INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${ggml_headers}")
