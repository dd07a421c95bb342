// The C edge: the library, engines, weights, and what holds for all handles.
#include <stdio.h>

#include <type_traits>

#include "api/edge.h"
#include "ggml.h"
#include "graph/convert.h"
#include "graph/memory.h"

using namespace aq;

uint32_t aq_abi_version(void) { return AQ_ABI_VERSION; }

aq_status aq_describe(char *text, uint64_t capacity, aq_error *error) {
    return guarded(error, [&] {
        need(text, "text");
        if (capacity == 0) invalid("capacity is 0");
        snprintf(text, capacity, "ggml %s, %s", ggml_version(), best_kernels().name);
    });
}

uint64_t aq_peak_rss(void) { return peak_resident_memory(); }

aq_status aq_engine_create(const aq_engine_options *options, aq_handle *result, aq_error *error) {
    return guarded(error, [&] {
        need(options, "options");
        need(result, "result");
        *result = 0;
        need_range(options->threads, 1, most_threads, "threads");
        need_range(options->isa, AQ_ISA_AUTO, AQ_ISA_AVX512, "isa");
        need_range(options->convolution, AQ_CONVOLUTION_AUTO, AQ_CONVOLUTION_WINOGRAD, "convolution");
        *result = handle_table::instance().add(
            std::make_shared<engine>(options->threads, (isa)options->isa, (aq_convolution)options->convolution));
    });
}

aq_status aq_weights_create(const aq_tensor *tensors, uint64_t count, aq_handle *result, aq_error *error) {
    return guarded(error, [&] {
        need(tensors, "tensors");
        need(result, "result");
        *result = 0;
        need_range((int64_t)count, 1, 10'000'000, "count");
        *result = handle_table::instance().add(std::make_shared<const weights>(tensors, count));
    });
}

aq_status aq_close(aq_handle handle, aq_error *error) {
    return guarded(error, [&] { handle_table::instance().remove(handle); });
}

aq_status aq_convert(const aq_conversion *call, aq_error *error) {
    return guarded(error, [&] {
        need(call, "call");
        need(call->input, "input");
        need(call->output, "output");
        convert(*call);
    });
}

aq_status aq_profile(aq_handle handle, char *text, uint64_t capacity, aq_error *error) {
    return guarded(error, [&] {
        need(text, "text");
        if (capacity == 0) invalid("capacity is 0");
        const object o = handle_table::instance().get(handle);
        std::visit(
            [&](const auto &held) {
                using held_type = std::remove_const_t<std::remove_reference_t<decltype(*held)>>;
                if constexpr (std::is_base_of_v<network, held_type>) {
                    const turn mine(*held->host, nullptr);
                    if (held->last == nullptr || !held->last->complete()) invalid("the network has made no call yet");
                    snprintf(text, capacity, "%s", held->last->profile().c_str());
                } else {
                    invalid("handle " + std::to_string(handle) + " is not a network");
                }
            },
            o);
    });
}
