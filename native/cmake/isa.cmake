# Compiles each file of src/kernels/isa for its instruction set and leaves out those of other processors. The rest of
# the library runs on every processor of the architecture; code picks a set at run time.

# aquarelle_isa(NAME FLAGS...): src/kernels/isa/NAME.cc is built with FLAGS and AQ_HAVE_<NAME> is defined.
function(aquarelle_isa name)
    set_source_files_properties("src/kernels/isa/${name}.cc" PROPERTIES COMPILE_OPTIONS "${ARGN}")
    string(TOUPPER "${name}" upper)
    target_compile_definitions(aquarelle_kernels PUBLIC "AQ_HAVE_${upper}")
endfunction()

# aquarelle_without_isa(NAME): src/kernels/isa/NAME.cc is not built.
function(aquarelle_without_isa name)
    set_source_files_properties("src/kernels/isa/${name}.cc" PROPERTIES HEADER_FILE_ONLY ON)
endfunction()

if(arch STREQUAL "x86_64" AND MSVC)
    aquarelle_isa(avx2 /arch:AVX2)
    aquarelle_isa(avx512 /arch:AVX512)
elseif(arch STREQUAL "x86_64")
    aquarelle_isa(avx2 -mavx2 -mfma -mf16c)
    aquarelle_isa(avx512 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mfma -mf16c)
else()
    aquarelle_without_isa(avx2)
    aquarelle_without_isa(avx512)
endif()

if(arch STREQUAL "aarch64")
    aquarelle_isa(neon)
else()
    aquarelle_without_isa(neon)
endif()
