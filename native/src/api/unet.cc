// The C edge: UNets, what they keep between calls, and what adds to their attention.
#include <math.h>
#include <stdio.h>

#include <algorithm>
#include <vector>

#include "api/edge.h"

using namespace aq;

namespace {

constexpr int32_t most_terms = 16;

// The sizes of a call and what it does with units.
void check_plan(const aq_unet_call *call, const aq_unet_info &info) {
    need_size(call->batch, call->height, call->width);
    need_range(call->tokens, 1, most_tokens, "tokens");
    if (call->actions == nullptr) return;
    need_count(call->action_count, (uint64_t)info.units, "action_count");
    for (uint64_t i = 0; i < call->action_count; i++) {
        need_range(call->actions[i], AQ_COMPUTE, AQ_SKIP_UNPOPPED, "an action");
    }
}

std::vector<std::shared_ptr<feature_cache>> caches_of(const aq_unet_call &call, const unet &network) {
    std::vector<std::shared_ptr<feature_cache>> caches;
    if (call.caches == nullptr) return caches;
    need_count(call.cache_count, (uint64_t)call.batch, "cache_count");
    for (uint64_t i = 0; i < call.cache_count; i++) {
        const auto cache = get<feature_cache>(call.caches[i]);
        if (cache->of.get() != &network) invalid("a cache was made for another UNet");
        if (std::find(caches.begin(), caches.end(), cache) != caches.end()) {
            invalid("two images of a batch have the same cache");
        }
        caches.push_back(cache);
    }
    return caches;
}

std::vector<std::shared_ptr<const added_attention>> added_of(const aq_unet_call &call, const unet &network) {
    std::vector<std::shared_ptr<const added_attention>> added;
    if (call.terms == nullptr) return added;
    need_range((int64_t)call.term_count, 0, most_terms, "term_count");
    for (uint64_t i = 0; i < call.term_count; i++) {
        const aq_attention_term &term = call.terms[i];
        const auto adapter = get<attention_adapter>(term.adapter);
        if (adapter->of.get() != &network) invalid("an adapter of attention was made for another UNet");
        need(term.context, "context of a term");
        need_range(term.tokens, 1, most_tokens, "tokens of a term");
        need_count(term.context_count, (uint64_t)call.batch * (uint64_t)term.tokens * (uint64_t)adapter->layers->width,
                   "context_count of a term");
        if (!isfinite(term.scale)) invalid("the scale of a term is not finite");
        added.push_back(adapter->layers);
    }
    return added;
}

}  // namespace

aq_status aq_unet_create(aq_handle on, aq_handle from, const aq_unet_options *options, aq_handle *result,
                         aq_error *error) {
    return guarded(error, [&] {
        need(options, "options");
        need_range(options->heads, 0, 4096, "heads");
        need_range(options->head_width, 0, 1 << 16, "head_width");
        need_range(options->router, AQ_ROUTER_SIGMOID, AQ_ROUTER_SOFTMAX, "router");
        if ((options->heads == 0) == (options->head_width == 0))
            invalid("exactly one of heads and head_width must be set");
        create<unet>(on, from, options->prefix, result, head_rule{options->heads, options->head_width},
                     options->router == AQ_ROUTER_SOFTMAX);
    });
}

aq_status aq_unet_get_info(aq_handle handle, aq_unet_info *info, aq_error *error) {
    return guarded(error, [&] {
        need(info, "info");
        *info = get<unet>(handle)->info();
    });
}

aq_status aq_unet_get_units(aq_handle handle, aq_unit *units, uint64_t count, aq_error *error) {
    return guarded(error, [&] {
        need(units, "units");
        const auto network = get<unet>(handle);
        need_count(count, network->units().size(), "count");
        for (const unit &u : network->units()) {
            snprintf(units->name, sizeof units->name, "%s", u.name.c_str());
            units->kind = u.kind;
            units->parent = u.parent;
            units->skippable = u.skippable;
            units++;
        }
    });
}

aq_status aq_unet_get_residuals(aq_handle handle, int32_t height, int32_t width, uint64_t *floats, uint64_t count,
                                aq_error *error) {
    return guarded(error, [&] {
        const auto network = get<unet>(handle);
        need(floats, "floats");
        need_range(height, 1, most_side, "height");
        need_range(width, 1, most_side, "width");
        need_count(count, network->residuals().size(), "count");
        for (const extent &e : network->residual_shapes(height, width)) *floats++ = (uint64_t)e.count();
    });
}

aq_status aq_unet_get_residuals_read(aq_handle handle, const aq_unet_call *call, uint8_t *read, uint64_t count,
                                     aq_error *error) {
    return guarded(error, [&] {
        const auto network = get<unet>(handle);
        need(call, "call");
        need(read, "read");
        check_plan(call, network->info());
        need_count(count, network->residuals().size(), "count");
        const turn mine(*network->host, nullptr);
        for (const bool is_read : network->residuals_read(*call)) *read++ = is_read;
    });
}

aq_status aq_feature_cache_create(aq_handle handle, aq_handle *cache, aq_error *error) {
    return guarded(error, [&] {
        need(cache, "cache");
        *cache = 0;
        *cache = handle_table::instance().add(std::make_shared<feature_cache>(get<unet>(handle)));
    });
}

aq_status aq_unet_estimate(aq_handle handle, const aq_unet_call *call, aq_unet_work *work, aq_error *error) {
    return guarded(error, [&] {
        const auto network = get<unet>(handle);
        need(call, "call");
        need(work, "work");
        check_plan(call, network->info());
        const turn mine(*network->host, nullptr);
        *work = network->estimate(*call);
    });
}

aq_status aq_unet_evaluate(aq_handle handle, const aq_unet_call *call, aq_control *control, aq_error *error) {
    return guarded(error, [&] {
        const auto network = get<unet>(handle);
        const aq_unet_info info = network->info();
        need(call, "call");
        check_plan(call, info);
        need(call->latent, "latent");
        need(call->timesteps, "timesteps");
        need(call->context, "context");
        need(call->output, "output");
        const uint64_t images = (uint64_t)call->batch, cells = images * (uint64_t)call->height * (uint64_t)call->width;
        need_count(call->latent_count, cells * (uint64_t)info.in_channels, "latent_count");
        need_count(call->output_count, cells * (uint64_t)info.out_channels, "output_count");
        need_count(call->timestep_count, images, "timestep_count");
        need_count(call->context_count, images * (uint64_t)call->tokens * (uint64_t)info.context_width,
                   "context_count");
        if (info.label_width > 0) {
            need(call->label, "label");
            need_count(call->label_count, images * (uint64_t)info.label_width, "label_count");
        }
        if (info.guidance_width > 0) {
            need(call->guidance, "guidance");
            need_count(call->guidance_count, images * (uint64_t)info.guidance_width, "guidance_count");
        }
        need_finite(call->timesteps, images);
        if (call->residuals != nullptr) {
            need_residuals(call->residuals, call->residual_count, *network, call->batch, call->height, call->width);
        }
        const auto caches = caches_of(*call, *network);
        const auto added = added_of(*call, *network);
        const turn mine(*network->host, control);
        std::vector<feature_cache *> borrowed;
        for (const auto &cache : caches) borrowed.push_back(cache.get());
        network->evaluate(*call, borrowed, added);
    });
}

aq_status aq_attention_adapter_create(aq_handle of, aq_handle from, const aq_attention_adapter_options *options,
                                      aq_handle *result, int32_t *width, aq_error *error) {
    return guarded(error, [&] {
        need(options, "options");
        need(width, "width");
        const auto made = create<attention_adapter, unet>(of, from, options->prefix, result);
        *width = (int32_t)made->layers->width;
    });
}
