// The C edge: upscalers.
#include "api/edge.h"

using namespace aq;

namespace {

void check_upscaler_size(const aq_upscaler_call *call, const aq_upscaler_info &info) {
    need(call, "call");
    need_size(1, call->height, call->width);
    if (call->height % info.multiple != 0 || call->width % info.multiple != 0) {
        invalid("a picture of " + std::to_string(call->width) + "x" + std::to_string(call->height) +
                " cannot be upscaled, sides must be multiples of " + std::to_string(info.multiple));
    }
}

}  // namespace

aq_status aq_upscaler_create(aq_handle on, aq_handle from, const aq_upscaler_options *options, aq_handle *result,
                             aq_error *error) {
    return guarded(error, [&] {
        need(options, "options");
        create<upscaler>(on, from, options->prefix, result);
    });
}

aq_status aq_upscaler_get_info(aq_handle handle, aq_upscaler_info *info, aq_error *error) {
    return guarded(error, [&] {
        need(info, "info");
        *info = get<upscaler>(handle)->info();
    });
}

aq_status aq_upscaler_estimate(aq_handle handle, const aq_upscaler_call *call, uint64_t *bytes, aq_error *error) {
    return guarded(error, [&] {
        const auto network = get<upscaler>(handle);
        need(bytes, "bytes");
        check_upscaler_size(call, network->info());
        const turn mine(*network->host, nullptr);
        *bytes = network->estimate(call->height, call->width);
    });
}

aq_status aq_upscaler_upscale(aq_handle handle, const aq_upscaler_call *call, aq_control *control, aq_error *error) {
    return guarded(error, [&] {
        const auto network = get<upscaler>(handle);
        const aq_upscaler_info info = network->info();
        check_upscaler_size(call, info);
        need(call->input, "input");
        need(call->output, "output");
        const uint64_t pixels = (uint64_t)call->height * (uint64_t)call->width * (uint64_t)info.channels;
        need_count(call->input_count, pixels, "input_count");
        need_count(call->output_count, pixels * (uint64_t)(info.scale * info.scale), "output_count");
        const turn mine(*network->host, control);
        network->upscale(*call);
    });
}
