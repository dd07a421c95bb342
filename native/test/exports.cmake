# Only aq_* may leave the library: symbols of ggml or the C++ runtime would meet those of other libraries.
execute_process(COMMAND "${NM}" --dynamic --defined-only "${LIBRARY}"
    OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]+" symbols "${symbols}")
if(NOT symbols)
    message(FATAL_ERROR "${LIBRARY} exports nothing")
endif()
list(FILTER symbols EXCLUDE REGEX " aq_[a-z_]+$")
if(symbols)
    message(FATAL_ERROR "${LIBRARY} exports more than aq_*: ${symbols}")
endif()
