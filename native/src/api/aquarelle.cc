// The C edge: checks every argument, catches everything, returns a status.
#include "aquarelle.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <atomic>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "api/handles.h"
#include "ggml.h"
#include "graph/convert.h"
#include "graph/failure.h"
#include "graph/memory.h"

using namespace aq;

namespace {

constexpr int32_t most_threads = 512, most_batch = 1024, most_side = 1 << 14, most_tokens = 1 << 16, most_terms = 16,
                  most_adapters = 1 << 10;

aq_status report(aq_error *error, aq_status status, const char *message) noexcept {
    if (error != nullptr) {
        error->status = status;
        snprintf(error->message, sizeof error->message, "%s", message);
        // Names of tensors come from files and may hold anything: one line, and no character cut in two.
        size_t length = strlen(error->message);
        for (size_t i = 0; i < length; i++) {
            if ((unsigned char)error->message[i] < 0x20 || error->message[i] == 0x7f) error->message[i] = '?';
        }
        if (length == sizeof error->message - 1) {
            while (length > 0 && ((unsigned char)error->message[length - 1] & 0xc0) == 0x80) length--;
            error->message[length > 0 ? length - 1 : 0] = '\0';
        }
    }
    return status;
}

void say_nothing(ggml_log_level, const char *, void *) {}

// ggml ends the process when one of its assertions fails. Nothing here should make one fail; should it happen anyway
// on the calling thread, this turns it into an error before ggml gets to abort().
thread_local bool inside_call = false;
void refuse_to_die(const char *message) {
    if (inside_call) throw std::runtime_error(message);
}

// Runs the body of an API function.
template <class Body> aq_status guarded(aq_error *error, Body body) noexcept {
    ggml_set_abort_callback(refuse_to_die);
    ggml_log_set(say_nothing, nullptr);  // statuses tell what is wrong; standard error is the host's
    inside_call = true;
    aq_status status = AQ_OK;
    try {
        body();
        report(error, AQ_OK, "");
    } catch (const failure &f) {
        status = report(error, f.status, f.what());
    } catch (const std::bad_alloc &) {
        status = report(error, AQ_OUT_OF_MEMORY, "out of memory");
    } catch (const std::length_error &) {
        status = report(error, AQ_OUT_OF_MEMORY, "a size is too large for memory");
    } catch (const std::exception &e) {
        status = report(error, AQ_INTERNAL, e.what());
    } catch (...) {
        status = report(error, AQ_INTERNAL, "unknown error");
    }
    inside_call = false;
    return status;
}

[[noreturn]] void invalid(const std::string &message) { throw failure(AQ_INVALID_ARGUMENT, message); }

void need(const void *pointer, const char *name) {
    if (pointer == nullptr) invalid(std::string(name) + " is NULL");
}

void need_range(int64_t value, int64_t low, int64_t high, const char *name) {
    if (value < low || value > high) {
        invalid(std::string(name) + " is " + std::to_string(value) + ", must be " + std::to_string(low) + " to " +
                std::to_string(high));
    }
}

// Factors are checked before, so that the product cannot overflow.
void need_count(uint64_t actual, uint64_t expected, const char *name) {
    if (actual != expected) {
        invalid(std::string(name) + " is " + std::to_string(actual) + ", the shape needs " + std::to_string(expected));
    }
}

template <class T> struct kind;
template <> struct kind<engine> { static constexpr const char *name = "an engine"; };
template <> struct kind<const weights> { static constexpr const char *name = "weights"; };
template <> struct kind<text_encoder> { static constexpr const char *name = "a text encoder"; };
template <> struct kind<image_encoder> { static constexpr const char *name = "an image encoder"; };
template <> struct kind<unet> { static constexpr const char *name = "a UNet"; };
template <> struct kind<feature_cache> { static constexpr const char *name = "a feature cache"; };
template <> struct kind<attention_adapter> { static constexpr const char *name = "an adapter of attention"; };
template <> struct kind<control_net> { static constexpr const char *name = "a control net"; };
template <> struct kind<const adapter> { static constexpr const char *name = "an adapter"; };
template <> struct kind<autoencoder> { static constexpr const char *name = "a VAE"; };
template <> struct kind<upscaler> { static constexpr const char *name = "an upscaler"; };

template <class T> std::shared_ptr<T> get(aq_handle handle) {
    const object o = handle_table::instance().get(handle);
    if (const auto *found = std::get_if<std::shared_ptr<T>>(&o)) return *found;
    invalid("handle " + std::to_string(handle) + " is not " + kind<T>::name);
}

// The engine is this call's until the end of the scope.
class turn {
public:
    turn(engine &on, aq_control *control) : engine_(on), lock_(on.busy, std::try_to_lock) {
        if (!lock_.owns_lock()) throw failure(AQ_BUSY, "the engine is running another call; use one engine a thread");
        engine_.control = control;
    }
    ~turn() {
        if (lock_.owns_lock()) engine_.control = nullptr;
    }

private:
    engine &engine_;
    std::unique_lock<std::mutex> lock_;
};

// `On` is what it belongs to: an engine, or a UNet.
template <class Made, class On = engine, class... Arguments>
std::shared_ptr<Made> create(aq_handle on, aq_handle from, const char *prefix, aq_handle *result,
                             Arguments... arguments) {
    need(prefix, "prefix");
    need(result, "result");
    *result = 0;
    auto made = std::make_shared<Made>(get<On>(on), get<const weights>(from), prefix, arguments...);
    *result = handle_table::instance().add(made);
    return made;
}

void need_size(int32_t batch, int32_t height, int32_t width) {
    need_range(batch, 1, most_batch, "batch");
    need_range(height, 1, most_side, "height");
    need_range(width, 1, most_side, "width");
}

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

void need_finite(const float *timesteps, uint64_t images) {
    for (uint64_t i = 0; i < images; i++) {
        if (!isfinite(timesteps[i])) invalid("a timestep is not finite");
    }
}

void need_wanted(const aq_control_net_call &call, const aq_unet_info &of) {
    if (call.wanted == nullptr) return;
    need_count(call.wanted_count, (uint64_t)of.residuals, "wanted_count");
    for (uint64_t i = 0; i < call.wanted_count; i++) need_range(call.wanted[i], 0, 1, "wanted");
}

// Each image's residuals are as long as the UNet takes them.
void need_residuals(const float *const *residuals, uint64_t count, const unet &network, int32_t batch, int32_t height,
                    int32_t width) {
    uint64_t floats = 0;
    for (const extent &e : network.residual_shapes(height, width)) floats += (uint64_t)e.count();
    need_count(count, floats, "residual_count");
    for (int32_t i = 0; i < batch; i++) need(residuals[i], "residuals of an image");
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

void need_half(const aq_vae_info &info, bool encoder) {
    if (encoder && info.has_encoder == 0) throw failure(AQ_INVALID_MODEL, "this VAE has no encoder");
    if (!encoder && info.has_decoder == 0) throw failure(AQ_INVALID_MODEL, "this VAE has no decoder");
}

void check_vae_size(const aq_vae_call *call) {
    need(call, "call");
    need_size(call->batch, call->height, call->width);
}

void check_vae_call(const aq_vae_call *call, int64_t input_channels, int64_t input_factor, int64_t output_channels,
                    int64_t output_factor) {
    check_vae_size(call);
    need(call->input, "input");
    need(call->output, "output");
    const uint64_t cells = (uint64_t)call->batch * (uint64_t)call->height * (uint64_t)call->width;
    need_count(call->input_count, cells * (uint64_t)(input_channels * input_factor * input_factor), "input_count");
    need_count(call->output_count, cells * (uint64_t)(output_channels * output_factor * output_factor), "output_count");
}

void check_upscaler_size(const aq_upscaler_call *call, const aq_upscaler_info &info) {
    need(call, "call");
    need_size(1, call->height, call->width);
    if (call->height % info.multiple != 0 || call->width % info.multiple != 0) {
        invalid("a picture of " + std::to_string(call->width) + "x" + std::to_string(call->height) +
                " cannot be upscaled, sides must be multiples of " + std::to_string(info.multiple));
    }
}

}  // namespace

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

aq_status aq_text_encoder_create(aq_handle on, aq_handle from, const aq_text_encoder_options *options,
                                 aq_handle *result, aq_error *error) {
    return guarded(error, [&] {
        need(options, "options");
        need_range(options->heads, 0, 4096, "heads");
        need_range(options->gelu, AQ_GELU_AUTO, AQ_GELU_QUICK, "gelu");
        create<text_encoder>(on, from, options->prefix, result, (int64_t)options->heads, (aq_gelu)options->gelu);
    });
}

aq_status aq_text_encoder_get_info(aq_handle encoder, aq_text_encoder_info *info, aq_error *error) {
    return guarded(error, [&] {
        need(info, "info");
        *info = get<text_encoder>(encoder)->info();
    });
}

aq_status aq_text_encoder_encode(aq_handle encoder, const aq_text_encoder_call *call, aq_control *control,
                                 aq_error *error) {
    return guarded(error, [&] {
        const auto network = get<text_encoder>(encoder);
        const aq_text_encoder_info info = network->info();
        need(call, "call");
        need(call->tokens, "tokens");
        need(call->output, "output");
        need_range(call->chunks, 1, most_tokens, "chunks");
        need_range(call->length, 1, info.max_tokens, "length");
        need_range(call->skip_layers, 0, info.layers - 1, "skip_layers");
        need_range(call->final_norm, 0, 1, "final_norm");
        const uint64_t tokens = (uint64_t)call->chunks * (uint64_t)call->length;
        need_count(call->token_count, tokens, "token_count");
        need_count(call->output_count, tokens * (uint64_t)info.width, "output_count");
        if (call->pooled != nullptr) {
            need_count(call->pooled_count, (uint64_t)call->chunks * (uint64_t)info.pooled_width, "pooled_count");
        }
        if (call->words != nullptr) need_range((int64_t)call->word_count, 0, most_tokens, "word_count");
        const int64_t words = call->words != nullptr ? (int64_t)call->word_count : 0;
        for (uint64_t i = 0; i < tokens; i++) {
            need_range(call->tokens[i], 0, info.vocabulary + words - 1, "a token id");
        }
        const turn mine(*network->host, control);
        network->encode(*call);
    });
}

aq_status aq_image_encoder_create(aq_handle on, aq_handle from, const aq_image_encoder_options *options,
                                  aq_handle *result, aq_error *error) {
    return guarded(error, [&] {
        need(options, "options");
        need_range(options->heads, 0, 4096, "heads");
        create<image_encoder>(on, from, options->prefix, result, (int64_t)(options->heads > 0 ? options->heads : 16));
    });
}

aq_status aq_image_encoder_get_info(aq_handle encoder, aq_image_encoder_info *info, aq_error *error) {
    return guarded(error, [&] {
        need(info, "info");
        *info = get<image_encoder>(encoder)->info();
    });
}

aq_status aq_image_encoder_encode(aq_handle encoder, const aq_image_encoder_call *call, aq_control *control,
                                  aq_error *error) {
    return guarded(error, [&] {
        const auto network = get<image_encoder>(encoder);
        const aq_image_encoder_info info = network->info();
        need(call, "call");
        need(call->pictures, "pictures");
        need(call->output, "output");
        need_range(call->images, 1, most_batch, "images");
        const uint64_t images = (uint64_t)call->images;
        need_count(call->picture_count, images * 3 * (uint64_t)info.side * (uint64_t)info.side, "picture_count");
        need_count(call->output_count, images * (uint64_t)info.width, "output_count");
        const turn mine(*network->host, control);
        network->encode(*call);
    });
}

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

aq_status aq_vae_create(aq_handle on, aq_handle from, const aq_vae_options *options, aq_handle *result,
                        aq_error *error) {
    return guarded(error, [&] {
        need(options, "options");
        need(options->prefix, "prefix");
        need(result, "result");
        *result = 0;
        *result =
            handle_table::instance().add(read_autoencoder(get<engine>(on), get<const weights>(from), options->prefix));
    });
}

aq_status aq_vae_get_info(aq_handle handle, aq_vae_info *info, aq_error *error) {
    return guarded(error, [&] {
        need(info, "info");
        *info = get<autoencoder>(handle)->info();
    });
}

aq_status aq_vae_estimate(aq_handle handle, const aq_vae_call *call, int32_t encode, uint64_t *bytes, aq_error *error) {
    return guarded(error, [&] {
        const auto network = get<autoencoder>(handle);
        need(bytes, "bytes");
        need_range(encode, 0, 1, "encode");
        check_vae_size(call);
        need_half(network->info(), encode == 1);
        const turn mine(*network->host, nullptr);
        *bytes = network->estimate(*call, encode == 1);
    });
}

aq_status aq_vae_decode(aq_handle handle, const aq_vae_call *call, aq_control *control, aq_error *error) {
    return guarded(error, [&] {
        const auto network = get<autoencoder>(handle);
        const aq_vae_info info = network->info();
        need_half(info, false);
        check_vae_call(call, info.latent_channels, 1, info.image_channels, info.factor);
        const turn mine(*network->host, control);
        network->decode(*call);
    });
}

aq_status aq_vae_encode(aq_handle handle, const aq_vae_call *call, aq_control *control, aq_error *error) {
    return guarded(error, [&] {
        const auto network = get<autoencoder>(handle);
        const aq_vae_info info = network->info();
        need_half(info, true);
        check_vae_call(call, info.image_channels, info.factor, 2 * (int64_t)info.latent_channels, 1);
        const turn mine(*network->host, control);
        network->encode(*call);
    });
}

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
