// The C edge: control nets.
#include <math.h>

#include "api/edge.h"

using namespace aq;

static void need_wanted(const aq_control_net_call &call, const aq_unet_info &of) {
    if (call.wanted == nullptr) return;
    need_count(call.wanted_count, (uint64_t)of.residuals, "wanted_count");
    for (uint64_t i = 0; i < call.wanted_count; i++) need_range(call.wanted[i], 0, 1, "wanted");
}

aq_status aq_control_net_create(aq_handle of, aq_handle from, const aq_control_net_options *options, aq_handle *result,
                                aq_error *error) {
    return guarded(error, [&] {
        need(options, "options");
        create<control_net, unet>(of, from, options->prefix, result);
    });
}

aq_status aq_control_net_get_info(aq_handle handle, aq_control_net_info *info, aq_error *error) {
    return guarded(error, [&] {
        need(info, "info");
        *info = get<control_net>(handle)->info();
    });
}

aq_status aq_control_net_evaluate(aq_handle handle, const aq_control_net_call *call, aq_control *control,
                                  aq_error *error) {
    return guarded(error, [&] {
        const auto network = get<control_net>(handle);
        const aq_control_net_info info = network->info();
        const aq_unet_info unet_info = network->of->info();
        need(call, "call");
        need(call->latent, "latent");
        need(call->timesteps, "timesteps");
        need(call->context, "context");
        need(call->hint, "hint");
        need(call->residuals, "residuals");
        need_size(call->batch, call->height, call->width);
        need_range(call->tokens, 1, most_tokens, "tokens");
        need_range(call->adds, 0, 1, "adds");
        const uint64_t images = (uint64_t)call->batch, cells = (uint64_t)call->height * (uint64_t)call->width;
        need_count(call->latent_count, images * cells * (uint64_t)info.in_channels, "latent_count");
        need_count(call->timestep_count, images, "timestep_count");
        need_count(call->context_count, images * (uint64_t)call->tokens * (uint64_t)unet_info.context_width,
                   "context_count");
        const uint64_t pixels = cells * (uint64_t)(info.factor * info.factor);
        need_count(call->hint_count, pixels * (uint64_t)info.hint_channels, "hint_count");
        if (unet_info.label_width > 0) {
            need(call->label, "label");
            need_count(call->label_count, images * (uint64_t)unet_info.label_width, "label_count");
        }
        need_wanted(*call, unet_info);
        if (!isfinite(call->scale)) invalid("scale is not finite");
        need_finite(call->timesteps, images);
        need_residuals(call->residuals, call->residual_count, *network->of, call->batch, call->height, call->width);
        const turn mine(*network->host, control);
        network->evaluate(*call);
    });
}

aq_status aq_control_net_estimate(aq_handle handle, const aq_control_net_call *call, double *multiply_adds,
                                  aq_error *error) {
    return guarded(error, [&] {
        const auto network = get<control_net>(handle);
        need(call, "call");
        need(multiply_adds, "multiply_adds");
        need_size(call->batch, call->height, call->width);
        need_range(call->tokens, 1, most_tokens, "tokens");
        need_wanted(*call, network->of->info());
        const turn mine(*network->host, nullptr);
        *multiply_adds = network->estimate(*call);
    });
}
