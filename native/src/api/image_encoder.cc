// The C edge: image encoders.
#include "api/edge.h"

using namespace aq;

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
