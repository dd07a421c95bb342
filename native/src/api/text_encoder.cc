// The C edge: text encoders.
#include "api/edge.h"

using namespace aq;

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
