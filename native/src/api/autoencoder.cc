// The C edge: autoencoders.
#include "api/edge.h"

using namespace aq;

namespace {

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

}  // namespace

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
