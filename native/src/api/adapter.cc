// The C edge: adapters, applied at run time or merged.
#include <math.h>

#include <vector>

#include "api/edge.h"

using namespace aq;

namespace {

constexpr int32_t most_adapters = 1 << 10;

std::vector<adapter_use> uses_of(const aq_handle *adapters, const float *scales, uint64_t count) {
    std::vector<adapter_use> uses;
    if (count == 0) return uses;
    need(adapters, "adapters");
    need(scales, "scales");
    need_range((int64_t)count, 1, most_adapters, "the number of adapters");
    for (uint64_t i = 0; i < count; i++) {
        if (!isfinite(scales[i])) invalid("a scale of an adapter is not finite");
        uses.push_back({get<const adapter>(adapters[i]), scales[i]});
    }
    return uses;
}

}  // namespace

aq_status aq_adapter_create(const aq_adapter_change *changes, uint64_t count, aq_handle *result, aq_error *error) {
    return guarded(error, [&] {
        need(changes, "changes");
        need(result, "result");
        *result = 0;
        need_range((int64_t)count, 1, 10'000'000, "count");
        *result = handle_table::instance().add(std::make_shared<const adapter>(changes, count));
    });
}

aq_status aq_adapt(aq_handle handle, const aq_handle *adapters, const float *scales, uint64_t count, aq_error *error) {
    return guarded(error, [&] {
        const object o = handle_table::instance().get(handle);
        std::visit(
            [&](const auto &held) {
                using held_type = std::remove_const_t<std::remove_reference_t<decltype(*held)>>;
                if constexpr (std::is_base_of_v<adaptable, held_type>) {
                    const turn mine(*held->host, nullptr);
                    held->adapt(uses_of(adapters, scales, count));
                } else {
                    invalid("handle " + std::to_string(handle) + " is neither a text encoder nor a UNet");
                }
            },
            o);
    });
}

aq_status aq_merge(const aq_merge_call *call, aq_error *error) {
    return guarded(error, [&] {
        need(call, "call");
        need(call->output, "output");
        need(call->tensor.name, "the tensor's name");
        merge(call->tensor, uses_of(call->adapters, call->scales, call->adapter_count), call->output,
              call->output_count);
    });
}
