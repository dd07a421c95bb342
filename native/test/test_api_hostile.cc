// Every function of the C edge with arguments that no caller should give: each is a status and a message, never a
// crash.
#include <atomic>
#include <limits>
#include <string>
#include <thread>

#include "nano.h"

using namespace test;

namespace {

constexpr aq_handle never_opened = 123456789;

// The call must fail with exactly this status and say why.
void refuses(aq_status expected, aq_status actual, const aq_error &error, const place &at) {
    char detail[640];
    snprintf(detail, sizeof detail, "status %d instead of %d: %s", actual, expected, error.message);
    if (actual != expected || error.status != expected || error.message[0] == '\0') at.fail(detail);
}

// `call` passes &error.
#define REFUSES(expected, call)                            \
    do {                                                   \
        aq_error error = {};                               \
        const aq_status status = (call);                   \
        refuses(expected, status, error, AQ_PLACE(#call)); \
    } while (false)

aq_tensor tensor_of(const char *name, const void *data, uint64_t size, std::vector<int64_t> shape, int32_t type) {
    aq_tensor t = {name, data, size, {1, 1, 1, 1}, (int32_t)shape.size(), type};
    for (size_t i = 0; i < shape.size() && i < 4; i++) t.shape[i] = shape[i];
    return t;
}

nano &model() {
    static nano shared;
    return shared;
}

}  // namespace

TEST(version_and_description) {
    CHECK(aq_abi_version() == AQ_ABI_VERSION);
    char text[128], tiny[4];
    CHECK(aq_describe(text, sizeof text, nullptr) == AQ_OK && strstr(text, "ggml") != nullptr);
    CHECK(aq_describe(tiny, sizeof tiny, nullptr) == AQ_OK && strlen(tiny) == 3);
    REFUSES(AQ_INVALID_ARGUMENT, aq_describe(nullptr, 10, &error));
    REFUSES(AQ_INVALID_ARGUMENT, aq_describe(text, 0, &error));
    CHECK(aq_peak_rss() > 0);
}

TEST(engine) {
    aq_handle handle = 7;
    aq_engine_options options = {0, AQ_ISA_AUTO, AQ_CONVOLUTION_AUTO};
    for (const int32_t threads : {0, -1, 513, INT32_MAX, INT32_MIN}) {
        options.threads = threads;
        REFUSES(AQ_INVALID_ARGUMENT, aq_engine_create(&options, &handle, &error));
        CHECK(handle == 0);
    }
    options = {1, 99, AQ_CONVOLUTION_AUTO};
    REFUSES(AQ_INVALID_ARGUMENT, aq_engine_create(&options, &handle, &error));
    options = {1, AQ_ISA_AUTO, 3};
    REFUSES(AQ_INVALID_ARGUMENT, aq_engine_create(&options, &handle, &error));
    options = {1, AQ_ISA_AUTO, AQ_CONVOLUTION_AUTO};
    REFUSES(AQ_INVALID_ARGUMENT, aq_engine_create(nullptr, &handle, &error));
    REFUSES(AQ_INVALID_ARGUMENT, aq_engine_create(&options, nullptr, &error));
    CHECK(aq_engine_create(nullptr, nullptr, nullptr) == AQ_INVALID_ARGUMENT);
#if defined(__x86_64__)
    options.isa = AQ_ISA_NEON;
#else
    options.isa = AQ_ISA_AVX2;
#endif
    REFUSES(AQ_INVALID_ARGUMENT, aq_engine_create(&options, &handle, &error));
}

TEST(handles_are_closed_once) {
    const aq_engine_options options = {1, AQ_ISA_AUTO, AQ_CONVOLUTION_AUTO};
    aq_handle handle = 0;
    CHECK(aq_engine_create(&options, &handle, nullptr) == AQ_OK);
    CHECK(aq_close(handle, nullptr) == AQ_OK);
    REFUSES(AQ_CLOSED, aq_close(handle, &error));
    REFUSES(AQ_CLOSED, aq_close(0, &error));
    REFUSES(AQ_CLOSED, aq_close(never_opened, &error));
    REFUSES(AQ_CLOSED, aq_close(UINT64_MAX, &error));
}

TEST(weights) {
    float values[6] = {};
    aq_handle handle = 0;
    const auto refuse = [&](aq_status expected, const aq_tensor &t) {
        REFUSES(expected, aq_weights_create(&t, 1, &handle, &error));
        CHECK(handle == 0);
    };
    refuse(AQ_INVALID_ARGUMENT, tensor_of(nullptr, values, 24, {2, 3}, 0));
    refuse(AQ_INVALID_MODEL, tensor_of("t", nullptr, 24, {2, 3}, 0));
    refuse(AQ_INVALID_MODEL, tensor_of("t", values, 23, {2, 3}, 0));
    refuse(AQ_INVALID_MODEL, tensor_of("t", values, 0, {2, 3}, 0));
    refuse(AQ_INVALID_MODEL, tensor_of("t", values, 24, {2, -3}, 0));
    refuse(AQ_INVALID_MODEL, tensor_of("t", values, 24, {0, 3}, 0));
    refuse(AQ_INVALID_MODEL, tensor_of("t", values, 24, {INT64_MAX, INT64_MAX, 2, 2}, 0));
    refuse(AQ_INVALID_MODEL, tensor_of("t", values, 24, {int64_t(1) << 32, int64_t(1) << 32}, 0));
    for (const int32_t type : {-1, 4, 5, 1000, INT32_MIN, INT32_MAX}) {
        refuse(AQ_INVALID_MODEL, tensor_of("t", values, 24, {2, 3}, type));
    }
    refuse(AQ_INVALID_MODEL, tensor_of("t", values, 24, {2, 3}, 8));  // Q8_0 comes in blocks of 32
    aq_tensor ranks = tensor_of("t", values, 24, {2, 3}, 0);
    for (const int32_t rank : {-1, 5, INT32_MAX}) {
        ranks.rank = rank;
        refuse(AQ_INVALID_MODEL, ranks);
    }
    const aq_tensor good = tensor_of("t", values, 24, {2, 3}, 0), twice[] = {good, good};
    REFUSES(AQ_INVALID_MODEL, aq_weights_create(twice, 2, &handle, &error));
    REFUSES(AQ_INVALID_ARGUMENT, aq_weights_create(nullptr, 1, &handle, &error));
    REFUSES(AQ_INVALID_ARGUMENT, aq_weights_create(&good, 0, &handle, &error));
    REFUSES(AQ_INVALID_ARGUMENT, aq_weights_create(&good, UINT64_MAX, &handle, &error));
    REFUSES(AQ_INVALID_ARGUMENT, aq_weights_create(&good, 1, nullptr, &error));
}

TEST(creating_networks) {
    const nano &m = model();
    aq_handle handle = 0;
    const aq_text_encoder_options text = {text_prefix, 4, 0}, text_null = {nullptr, 4, 0}, text_nowhere = {"x.", 4, 0},
                                  text_heads = {text_prefix, 5, 0}, text_negative = {text_prefix, -1, 0},
                                  text_gelu = {text_prefix, 4, 3};
    REFUSES(AQ_INVALID_ARGUMENT, aq_text_encoder_create(m.engine, m.weights, nullptr, &handle, &error));
    REFUSES(AQ_INVALID_ARGUMENT, aq_text_encoder_create(m.engine, m.weights, &text, nullptr, &error));
    REFUSES(AQ_INVALID_ARGUMENT, aq_text_encoder_create(m.engine, m.weights, &text_null, &handle, &error));
    REFUSES(AQ_INVALID_ARGUMENT, aq_text_encoder_create(m.engine, m.weights, &text_negative, &handle, &error));
    REFUSES(AQ_INVALID_ARGUMENT, aq_text_encoder_create(m.engine, m.weights, &text_gelu, &handle, &error));
    REFUSES(AQ_INVALID_MODEL, aq_text_encoder_create(m.engine, m.weights, &text_nowhere, &handle, &error));
    REFUSES(AQ_INVALID_MODEL, aq_text_encoder_create(m.engine, m.weights, &text_heads, &handle, &error));
    REFUSES(AQ_CLOSED, aq_text_encoder_create(never_opened, m.weights, &text, &handle, &error));
    REFUSES(AQ_CLOSED, aq_text_encoder_create(m.engine, never_opened, &text, &handle, &error));
    REFUSES(AQ_INVALID_ARGUMENT, aq_text_encoder_create(m.weights, m.engine, &text, &handle, &error));

    const aq_unet_options unet = {unet_prefix, 8, 0, 0}, unet_null = {nullptr, 8, 0, 0}, unet_nowhere = {"x.", 8, 0, 0},
                          unet_both = {unet_prefix, 8, 8, 0}, unet_neither = {unet_prefix, 0, 0, 0},
                          unet_heads = {unet_prefix, 7, 0, 0}, unet_width = {unet_prefix, 0, 5, 0},
                          unet_negative = {unet_prefix, -8, 0, 0}, unet_router = {unet_prefix, 8, 0, 2};
    REFUSES(AQ_INVALID_ARGUMENT, aq_unet_create(m.engine, m.weights, nullptr, &handle, &error));
    REFUSES(AQ_INVALID_ARGUMENT, aq_unet_create(m.engine, m.weights, &unet_router, &handle, &error));
    REFUSES(AQ_INVALID_ARGUMENT, aq_unet_create(m.engine, m.weights, &unet, nullptr, &error));
    REFUSES(AQ_INVALID_ARGUMENT, aq_unet_create(m.engine, m.weights, &unet_null, &handle, &error));
    REFUSES(AQ_INVALID_ARGUMENT, aq_unet_create(m.engine, m.weights, &unet_both, &handle, &error));
    REFUSES(AQ_INVALID_ARGUMENT, aq_unet_create(m.engine, m.weights, &unet_neither, &handle, &error));
    REFUSES(AQ_INVALID_ARGUMENT, aq_unet_create(m.engine, m.weights, &unet_negative, &handle, &error));
    REFUSES(AQ_INVALID_MODEL, aq_unet_create(m.engine, m.weights, &unet_nowhere, &handle, &error));
    REFUSES(AQ_INVALID_MODEL, aq_unet_create(m.engine, m.weights, &unet_heads, &handle, &error));
    REFUSES(AQ_INVALID_MODEL, aq_unet_create(m.engine, m.weights, &unet_width, &handle, &error));
    REFUSES(AQ_CLOSED, aq_unet_create(never_opened, m.weights, &unet, &handle, &error));
    REFUSES(AQ_CLOSED, aq_unet_create(m.engine, never_opened, &unet, &handle, &error));

    const aq_vae_options vae = {vae_prefix}, vae_null = {nullptr}, vae_nowhere = {"x."};
    REFUSES(AQ_INVALID_ARGUMENT, aq_vae_create(m.engine, m.weights, nullptr, &handle, &error));
    REFUSES(AQ_INVALID_ARGUMENT, aq_vae_create(m.engine, m.weights, &vae, nullptr, &error));
    REFUSES(AQ_INVALID_ARGUMENT, aq_vae_create(m.engine, m.weights, &vae_null, &handle, &error));
    REFUSES(AQ_INVALID_MODEL, aq_vae_create(m.engine, m.weights, &vae_nowhere, &handle, &error));
    REFUSES(AQ_CLOSED, aq_vae_create(never_opened, m.weights, &vae, &handle, &error));
    REFUSES(AQ_CLOSED, aq_vae_create(m.engine, never_opened, &vae, &handle, &error));
}

TEST(conversions) {
    float values[256];
    for (int i = 0; i < 256; i++) values[i] = (float)i - 100;
    uint8_t blocks[1024] = {0};
    const aq_conversion good = {values, blocks, sizeof values, 256 / 32 * 34, 256, 0, 8};
    aq_error error = {};
    CHECK(aq_convert(&good, &error) == AQ_OK);
    // The first block of Q8_0: a half with the scale 100 / 127, then -127 for -100.
    CHECK((int8_t)blocks[2] == -127);

    REFUSES(AQ_INVALID_ARGUMENT, aq_convert(nullptr, &error));
    const auto refuse = [&](aq_status expected, auto change) {
        aq_conversion call = good;
        change(call);
        REFUSES(expected, aq_convert(&call, &error));
    };
    refuse(AQ_INVALID_ARGUMENT, [](aq_conversion &c) { c.input = nullptr; });
    refuse(AQ_INVALID_ARGUMENT, [](aq_conversion &c) { c.output = nullptr; });
    refuse(AQ_INVALID_ARGUMENT, [](aq_conversion &c) { c.input_size--; });
    refuse(AQ_INVALID_ARGUMENT, [](aq_conversion &c) { c.output_size += 34; });
    refuse(AQ_INVALID_ARGUMENT, [](aq_conversion &c) { c.count = 255; });
    refuse(AQ_INVALID_ARGUMENT, [](aq_conversion &c) { c.count = UINT64_MAX; });
    refuse(AQ_INVALID_ARGUMENT, [](aq_conversion &c) { c.count = (uint64_t(1) << 62) + 256; });
    for (int type : {-1, 4, 5, 26, 28, 31, 36, 9999}) {
        refuse(AQ_INVALID_ARGUMENT, [&](aq_conversion &c) { c.input_type = type; });
        refuse(AQ_INVALID_ARGUMENT, [&](aq_conversion &c) { c.output_type = type; });
    }
    for (int type : {9, 15, 16, 19, 29, 34, 39})
        refuse(AQ_INVALID_ARGUMENT, [&](aq_conversion &c) { c.output_type = type; });
    values[255] = std::numeric_limits<float>::quiet_NaN();
    refuse(AQ_INVALID_MODEL, [](aq_conversion &) {});
    values[255] = 1e5f;
    refuse(AQ_INVALID_MODEL, [](aq_conversion &c) { c.output_type = 1, c.output_size = 512; });
}

TEST(info) {
    const nano &m = model();
    aq_text_encoder_info text;
    aq_unet_info unet;
    aq_vae_info vae;
    CHECK(aq_text_encoder_get_info(m.text, &text, nullptr) == AQ_OK && text.width == 64 && text.layers == 3);
    CHECK(text.vocabulary == 1000 && text.max_tokens == 77 && text.pooled_width == 64);
    CHECK(aq_unet_get_info(m.unet, &unet, nullptr) == AQ_OK && unet.in_channels == 4 && unet.out_channels == 4);
    CHECK(unet.model_channels == 32 && unet.context_width == 64 && unet.levels == 2);
    CHECK(unet.label_width == 0 && unet.guidance_width == 0);
    CHECK(aq_vae_get_info(m.vae, &vae, nullptr) == AQ_OK && vae.latent_channels == 4 && vae.image_channels == 3);
    CHECK(vae.factor == 8 && vae.has_encoder == 1 && vae.has_decoder == 1);
    REFUSES(AQ_INVALID_ARGUMENT, aq_text_encoder_get_info(m.text, nullptr, &error));
    REFUSES(AQ_INVALID_ARGUMENT, aq_text_encoder_get_info(m.unet, &text, &error));
    REFUSES(AQ_CLOSED, aq_text_encoder_get_info(0, &text, &error));
    REFUSES(AQ_INVALID_ARGUMENT, aq_unet_get_info(m.unet, nullptr, &error));
    REFUSES(AQ_INVALID_ARGUMENT, aq_unet_get_info(m.vae, &unet, &error));
    REFUSES(AQ_CLOSED, aq_unet_get_info(never_opened, &unet, &error));
    REFUSES(AQ_INVALID_ARGUMENT, aq_vae_get_info(m.vae, nullptr, &error));
    REFUSES(AQ_INVALID_ARGUMENT, aq_vae_get_info(m.engine, &vae, &error));
    REFUSES(AQ_CLOSED, aq_vae_get_info(never_opened, &vae, &error));
}

TEST(encoding_text) {
    const nano &m = model();
    std::vector<int32_t> tokens(77, 1);
    std::vector<float> output(77 * 64);
    const aq_text_encoder_call good = {
        tokens.data(), output.data(), nullptr, 77, output.size(), 0, 1, 77, 0, 1, nullptr, 0};
    CHECK(aq_text_encoder_encode(m.text, &good, nullptr, nullptr) == AQ_OK);
    const auto refuse = [&](auto change) {
        aq_text_encoder_call call = good;
        change(call);
        REFUSES(AQ_INVALID_ARGUMENT, aq_text_encoder_encode(m.text, &call, nullptr, &error));
    };
    refuse([](auto &c) { c.tokens = nullptr; });
    refuse([](auto &c) { c.output = nullptr; });
    refuse([](auto &c) { c.token_count = 76; });
    refuse([](auto &c) { c.output_count--; });
    refuse([](auto &c) { c.output_count = UINT64_MAX; });
    refuse([](auto &c) { c.chunks = 0; });
    refuse([](auto &c) { c.chunks = -1; });
    refuse([](auto &c) { c.chunks = INT32_MAX; });
    refuse([](auto &c) { c.length = 0; });
    refuse([](auto &c) { c.length = 78; });
    refuse([](auto &c) { c.skip_layers = -1; });
    refuse([](auto &c) { c.skip_layers = 3; });
    refuse([](auto &c) { c.final_norm = 2; });
    refuse([&](auto &c) { c.pooled = output.data(); });  // of length 0
    for (const int32_t id : {-1, 1000, INT32_MAX, INT32_MIN}) {
        tokens[76] = id;
        refuse([](auto &) {});
    }
    REFUSES(AQ_INVALID_ARGUMENT, aq_text_encoder_encode(m.text, nullptr, nullptr, &error));
    REFUSES(AQ_INVALID_ARGUMENT, aq_text_encoder_encode(m.unet, &good, nullptr, &error));
    REFUSES(AQ_CLOSED, aq_text_encoder_encode(never_opened, &good, nullptr, &error));
}

TEST(evaluating_the_unet) {
    const nano &m = model();
    const float timestep = 500;
    std::vector<float> output;
    const aq_unet_call good = m.unet_call(m.golden["unet.x"], &timestep, output);
    CHECK(aq_unet_evaluate(m.unet, &good, nullptr, nullptr) == AQ_OK);
    const auto refuse = [&](auto change) {
        aq_unet_call call = good;
        change(call);
        REFUSES(AQ_INVALID_ARGUMENT, aq_unet_evaluate(m.unet, &call, nullptr, &error));
    };
    refuse([](auto &c) { c.latent = nullptr; });
    refuse([](auto &c) { c.timesteps = nullptr; });
    refuse([](auto &c) { c.context = nullptr; });
    refuse([](auto &c) { c.output = nullptr; });
    refuse([](auto &c) { c.latent_count--; });
    refuse([](auto &c) { c.timestep_count = 2; });
    refuse([](auto &c) { c.context_count = 0; });
    refuse([](auto &c) { c.output_count++; });
    for (const int32_t size : {0, -1, INT32_MAX, INT32_MIN, 100000}) {
        refuse([=](auto &c) { c.batch = size; });
        refuse([=](auto &c) { c.height = size; });
        refuse([=](auto &c) { c.width = size; });
        refuse([=](auto &c) { c.tokens = size; });
    }
    for (const float t : {(float)NAN, (float)INFINITY, -(float)INFINITY}) {
        refuse([&](auto &c) { c.timesteps = &t; });
    }
    REFUSES(AQ_INVALID_ARGUMENT, aq_unet_evaluate(m.unet, nullptr, nullptr, &error));
    REFUSES(AQ_INVALID_ARGUMENT, aq_unet_evaluate(m.vae, &good, nullptr, &error));
    REFUSES(AQ_CLOSED, aq_unet_evaluate(never_opened, &good, nullptr, &error));
}

TEST(a_unet_that_takes_a_label) {
    const nano m(1, AQ_ISA_AUTO, AQ_CONVOLUTION_AUTO, sdxl);
    const float timestep = 500;
    std::vector<float> output;
    const aq_unet_call good = m.unet_call(m.golden["unet.x"], &timestep, output);
    CHECK(aq_unet_evaluate(m.unet, &good, nullptr, nullptr) == AQ_OK);
    aq_unet_info info;
    CHECK(aq_unet_get_info(m.unet, &info, nullptr) == AQ_OK && info.label_width == 256);
    aq_unet_call call = good;
    call.label = nullptr;
    REFUSES(AQ_INVALID_ARGUMENT, aq_unet_evaluate(m.unet, &call, nullptr, &error));
    call = good;
    call.label_count--;
    REFUSES(AQ_INVALID_ARGUMENT, aq_unet_evaluate(m.unet, &call, nullptr, &error));
}

TEST(numbers_that_are_none_pass_through) {
    const nano &m = model();
    std::vector<float> latent(4 * 16 * 16, NAN), output;
    const file_tensor bad = {{1, 4, 16, 16}, "F32", (const char *)latent.data(), latent.size() * 4};
    const float timestep = std::numeric_limits<float>::max();
    const aq_unet_call call = m.unet_call(bad, &timestep, output);
    CHECK(aq_unet_evaluate(m.unet, &call, nullptr, nullptr) == AQ_OK);
    CHECK(isnan(output[0]));
}

TEST(the_smallest_latent_and_the_vae) {
    const nano &m = model();
    const float timestep = 0, cell[4] = {1, 2, 3, 4};
    std::vector<float> output;
    const file_tensor one = {{1, 4, 1, 1}, "F32", (const char *)cell, sizeof cell};
    const aq_unet_call smallest = m.unet_call(one, &timestep, output);
    CHECK(aq_unet_evaluate(m.unet, &smallest, nullptr, nullptr) == AQ_OK && isfinite(output[0]));

    std::vector<float> image(3 * 8 * 8), moments(8);
    const aq_vae_call decode = {cell, image.data(), 4, image.size(), 1, 1, 1, 0};
    const aq_vae_call encode = {image.data(), moments.data(), image.size(), 8, 1, 1, 1, 0};
    CHECK(aq_vae_decode(m.vae, &decode, nullptr, nullptr) == AQ_OK && isfinite(image[0]));
    CHECK(aq_vae_encode(m.vae, &encode, nullptr, nullptr) == AQ_OK && isfinite(moments[0]));
    const auto refuse = [&](const aq_vae_call &good, auto function, auto change) {
        aq_vae_call call = good;
        change(call);
        REFUSES(AQ_INVALID_ARGUMENT, function(m.vae, &call, nullptr, &error));
    };
    for (const bool decoding : {true, false}) {
        const aq_vae_call &good = decoding ? decode : encode;
        const auto function = decoding ? aq_vae_decode : aq_vae_encode;
        refuse(good, function, [](auto &c) { c.input = nullptr; });
        refuse(good, function, [](auto &c) { c.output = nullptr; });
        refuse(good, function, [](auto &c) { c.input_count++; });
        refuse(good, function, [](auto &c) { c.output_count--; });
        for (const int32_t size : {0, -1, INT32_MAX, INT32_MIN}) {
            refuse(good, function, [=](auto &c) { c.batch = size; });
            refuse(good, function, [=](auto &c) { c.height = size; });
            refuse(good, function, [=](auto &c) { c.width = size; });
        }
        REFUSES(AQ_INVALID_ARGUMENT, function(m.vae, nullptr, nullptr, &error));
        REFUSES(AQ_INVALID_ARGUMENT, function(m.text, &good, nullptr, &error));
        REFUSES(AQ_CLOSED, function(never_opened, &good, nullptr, &error));
    }
}

TEST(a_size_beyond_memory_is_a_status) {
    const nano &m = model();
    // 16384 x 16384 cells would need terabytes of activations; the input alone is honest.
    const int32_t side = 1 << 14;
    std::vector<float> little(4);
    aq_vae_call call = {little.data(), little.data(), 0, 0, 1, side, side, 0};
    call.input_count = 4ull * side * side;
    call.output_count = 3ull * 64 * side * side;
    REFUSES(AQ_OUT_OF_MEMORY, aq_vae_decode(m.vae, &call, nullptr, &error));
}

TEST(profiles) {
    const nano m(1);
    char text[4096], tiny[2];
    REFUSES(AQ_INVALID_ARGUMENT, aq_profile(m.unet, text, sizeof text, &error));  // not called yet
    const float timestep = 500;
    std::vector<float> output;
    const aq_unet_call call = m.unet_call(m.golden["unet.x"], &timestep, output);
    CHECK(aq_unet_evaluate(m.unet, &call, nullptr, nullptr) == AQ_OK);
    CHECK(aq_profile(m.unet, text, sizeof text, nullptr) == AQ_OK);
    CHECK(strstr(text, "attention 256 x 77, 8 heads of 4") != nullptr && strstr(text, "layer norm") != nullptr);
    CHECK(aq_profile(m.unet, tiny, sizeof tiny, nullptr) == AQ_OK && strlen(tiny) == 1);
    REFUSES(AQ_INVALID_ARGUMENT, aq_profile(m.unet, nullptr, 10, &error));
    REFUSES(AQ_INVALID_ARGUMENT, aq_profile(m.unet, text, 0, &error));
    REFUSES(AQ_INVALID_ARGUMENT, aq_profile(m.engine, text, sizeof text, &error));
    REFUSES(AQ_CLOSED, aq_profile(never_opened, text, sizeof text, &error));
}

TEST(a_missing_tensor_is_named) {
    const nano &m = model();
    std::vector<aq_tensor> tensors = m.file.describe();
    const std::string gone = std::string(unet_prefix) + "middle_block.1.transformer_blocks.0.attn1.to_v.weight";
    std::erase_if(tensors, [&](const aq_tensor &t) { return t.name == gone; });
    aq_handle weights = 0, unet = 0;
    CHECK(aq_weights_create(tensors.data(), tensors.size(), &weights, nullptr) == AQ_OK);
    const aq_unet_options options = {unet_prefix, 8, 0, 0};
    aq_error error = {};
    CHECK(aq_unet_create(m.engine, weights, &options, &unet, &error) == AQ_INVALID_MODEL);
    CHECK(strstr(error.message, gone.c_str()) != nullptr);
    aq_close(weights, nullptr);
}

// Structures that no checkpoint has: each tensor in turn is left out or given another first dimension.
TEST(broken_structures_are_refused_or_run) {
    const nano m(1);
    const std::vector<aq_tensor> whole = m.file.describe();
    const aq_unet_options unet_options = {unet_prefix, 8, 0, 0};
    const aq_vae_options vae_options = {vae_prefix};
    const aq_text_encoder_options text_options = {text_prefix, 4, AQ_GELU_AUTO};
    for (size_t i = 0; i < whole.size(); i++) {
        for (const bool drop : {true, false}) {
            std::vector<aq_tensor> tensors = whole;
            if (drop) {
                tensors.erase(tensors.begin() + (ptrdiff_t)i);
            } else {
                if (tensors[i].shape[0] % 2 != 0 || tensors[i].rank == 0) continue;
                tensors[i].shape[0] /= 2;
                tensors[i].size /= 2;
            }
            describe("%s %s", drop ? "without" : "half of", whole[i].name);
            aq_handle weights = 0, unet = 0, vae = 0, text = 0;
            CHECK(aq_weights_create(tensors.data(), tensors.size(), &weights, nullptr) == AQ_OK);
            const float timestep = 1;
            std::vector<float> output;
            const aq_unet_call call = m.unet_call(m.golden["unet.x"], &timestep, output);
            if (aq_unet_create(m.engine, weights, &unet_options, &unet, nullptr) == AQ_OK &&
                strncmp(whole[i].name, unet_prefix, strlen(unet_prefix)) == 0) {
                aq_unet_evaluate(unet, &call, nullptr, nullptr);
            }
            aq_vae_create(m.engine, weights, &vae_options, &vae, nullptr);
            aq_text_encoder_create(m.engine, weights, &text_options, &text, nullptr);
            for (const aq_handle handle : {unet, vae, text, weights}) {
                if (handle != 0) CHECK(aq_close(handle, nullptr) == AQ_OK);
            }
        }
    }
}

TEST(a_cancelled_call_stops_and_the_next_one_works) {
    const nano &m = model();
    const float timestep = 500;
    std::vector<float> output, again;
    const aq_unet_call call = m.unet_call(m.golden["unet.x"], &timestep, output);
    aq_control control = {1, 0, 0};
    REFUSES(AQ_CANCELLED, aq_unet_evaluate(m.unet, &call, &control, &error));
    control.cancel = 0;
    const aq_unet_call second = m.unet_call(m.golden["unet.x"], &timestep, again);
    CHECK(aq_unet_evaluate(m.unet, &second, &control, nullptr) == AQ_OK);
    CHECK(control.nodes_total > 0 && control.nodes_done == control.nodes_total);
    const file_tensor &expected = m.golden["unet.eps.t500"];
    CHECK_CLOSE(again, std::vector<float>(expected.floats(), expected.floats() + expected.count()), 1e-4);
}

TEST(a_call_cancelled_on_the_way_stops_early) {
    nano m(1);
    const float timestep = 500;
    std::vector<float> latent(4 * 128 * 128, 0.5f), output;
    const file_tensor large = {{1, 4, 128, 128}, "F32", (const char *)latent.data(), latent.size() * 4};
    const aq_unet_call call = m.unet_call(large, &timestep, output);
    aq_control control = {};
    std::atomic<int> status{-1};
    std::thread worker([&] { status = aq_unet_evaluate(m.unet, &call, &control, nullptr); });
    while (std::atomic_ref<int32_t>(control.nodes_done).load() == 0 && status == -1) std::this_thread::yield();
    std::atomic_ref<int32_t>(control.cancel).store(1);
    worker.join();
    CHECK(status == AQ_CANCELLED && control.nodes_done < control.nodes_total);
}

TEST(one_engine_serves_one_call_and_a_closed_one_ends_first) {
    nano m(1);
    const float timestep = 500;
    std::vector<float> latent(4 * 64 * 64, 0.5f), output, other;
    const file_tensor large = {{1, 4, 64, 64}, "F32", (const char *)latent.data(), latent.size() * 4};
    const aq_unet_call call = m.unet_call(large, &timestep, output);
    aq_control control = {};
    std::atomic<int> status{-1};
    std::thread worker([&] { status = aq_unet_evaluate(m.unet, &call, &control, nullptr); });
    while (std::atomic_ref<int32_t>(control.nodes_done).load() == 0 && status == -1) std::this_thread::yield();
    const aq_unet_call second = m.unet_call(m.golden["unet.x"], &timestep, other);
    const aq_status meanwhile = aq_unet_evaluate(m.unet, &second, nullptr, nullptr);
    CHECK(meanwhile == AQ_BUSY || status != -1);
    for (const aq_handle handle : {m.unet, m.weights, m.engine}) CHECK(aq_close(handle, nullptr) == AQ_OK);
    worker.join();
    CHECK(status == AQ_OK && isfinite(output[0]));
    REFUSES(AQ_CLOSED, aq_unet_evaluate(m.unet, &call, nullptr, &error));
}

TEST(two_engines_share_weights) {
    const nano &m = model();
    const float timestep = 500;
    std::vector<float> alone;
    const aq_unet_call call = m.unet_call(m.golden["unet.x"], &timestep, alone);
    CHECK(aq_unet_evaluate(m.unet, &call, nullptr, nullptr) == AQ_OK);
    const auto run = [&](std::vector<float> &result) {
        const aq_engine_options options = {2, AQ_ISA_AUTO, AQ_CONVOLUTION_AUTO};
        const aq_unet_options unet_options = {unet_prefix, 8, 0, 0};
        aq_handle engine = 0, unet = 0;
        aq_engine_create(&options, &engine, nullptr);
        aq_unet_create(engine, m.weights, &unet_options, &unet, nullptr);
        for (int i = 0; i < 5; i++) {
            const aq_unet_call mine = m.unet_call(m.golden["unet.x"], &timestep, result);
            aq_unet_evaluate(unet, &mine, nullptr, nullptr);
        }
        aq_close(unet, nullptr);
        aq_close(engine, nullptr);
    };
    std::vector<float> first, second;
    std::thread a([&] { run(first); }), b([&] { run(second); });
    a.join();
    b.join();
    CHECK(first == alone && second == alone);
}
