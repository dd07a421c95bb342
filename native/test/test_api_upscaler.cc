// RRDBNet against PyTorch, and files that are none.
#include <algorithm>
#include <string>

#include "nano.h"

using namespace test;

namespace {

constexpr aq_isa every_isa[] = {AQ_ISA_PORTABLE, AQ_ISA_NEON, AQ_ISA_AVX2, AQ_ISA_AVX512};
constexpr aq_convolution every_convolution[] = {AQ_CONVOLUTION_AUTO, AQ_CONVOLUTION_DIRECT, AQ_CONVOLUTION_WINOGRAD};

// Where a value of the golden pictures stands.
float golden_value(int c, int y, int x) { return (float)(4 * ((7 * c + 13 * y + 29 * x) % 64)) / 255.0f; }

std::vector<float> golden_picture(int height, int width) {
    std::vector<float> picture;
    for (int c = 0; c < 3; c++) {
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) picture.push_back(golden_value(c, y, x));
        }
    }
    return picture;
}

struct upscaler {
    safetensors_file file;
    aq_handle engine = 0, handle = 0;
    aq_status status = AQ_INTERNAL;
    aq_error error = {};

    explicit upscaler(const char *kind, int threads = 2, aq_isa isa = AQ_ISA_AUTO,
                      aq_convolution convolution = AQ_CONVOLUTION_AUTO)
        : file(std::string(AQ_GOLDEN_DIR) + "/upscaler-nano-" + kind + ".safetensors") {
        const aq_engine_options options = {threads, isa, convolution};
        aq_engine_create(&options, &engine, nullptr);
        handle = open(file.describe());
    }
    ~upscaler() {
        for (aq_handle h : {handle, engine}) aq_close(h, nullptr);
    }

    aq_handle open(const std::vector<aq_tensor> &tensors) {
        aq_handle weights = 0, opened = 0;
        const aq_upscaler_options options = {""};
        CHECK(aq_weights_create(tensors.data(), tensors.size(), &weights, &error) == AQ_OK);
        status = aq_upscaler_create(engine, weights, &options, &opened, &error);
        aq_close(weights, nullptr);
        return opened;
    }

    aq_upscaler_info info() const {
        aq_upscaler_info i = {};
        CHECK(aq_upscaler_get_info(handle, &i, nullptr) == AQ_OK);
        return i;
    }

    aq_upscaler_call call(const std::vector<float> &picture, int height, int width, std::vector<float> &output) const {
        const int scale = info().scale;
        output.assign(picture.size() * (size_t)(scale * scale), NAN);
        return {picture.data(), output.data(), picture.size(), output.size(), height, width, 0};
    }

    std::vector<float> upscale(const std::vector<float> &picture, int height, int width) {
        std::vector<float> output;
        const aq_upscaler_call c = call(picture, height, width, output);
        CHECK(aq_upscaler_upscale(handle, &c, nullptr, &error) == AQ_OK);
        return output;
    }

    // The change must make it no upscaler; the message names what is wrong.
    template <class Change> void refuses(const char *says, Change change) {
        std::vector<aq_tensor> tensors = file.describe();
        change(tensors);
        describe("%s", says);
        const aq_handle opened = open(tensors);
        CHECK(opened == 0 && status == AQ_INVALID_MODEL);
        if (strstr(error.message, says) == nullptr) AQ_PLACE("message").fail(error.message);
    }
};

aq_tensor &named(std::vector<aq_tensor> &tensors, const char *name) {
    return *std::find_if(tensors.begin(), tensors.end(), [&](const aq_tensor &t) { return !strcmp(t.name, name); });
}

void drop(std::vector<aq_tensor> &tensors, const char *start) {
    std::erase_if(tensors, [&](const aq_tensor &t) { return !strncmp(t.name, start, strlen(start)); });
}

// A tensor of the first bytes of another one's memory, or of an own one that is large enough.
aq_tensor shaped(const char *name, std::vector<int64_t> shape) {
    static const std::vector<uint16_t> zeros(1 << 20);
    aq_tensor t = {name, zeros.data(), 2, {1, 1, 1, 1}, (int32_t)shape.size(), 1};
    for (size_t i = 0; i < shape.size(); i++) t.shape[i] = shape[i], t.size *= (uint64_t)shape[i];
    return t;
}

}  // namespace

TEST(gives_the_golden_pictures) {
    const safetensors_file golden(AQ_GOLDEN_DIR "/upscaler-nano-golden.safetensors");
    for (const aq_isa isa : every_isa) {
        for (const aq_convolution convolution : every_convolution) {
            for (const int threads : {1, 3}) {
                upscaler four("x4", threads, isa, convolution), one("x1", threads, isa, convolution);
                if (four.engine == 0) continue;  // not on this machine
                describe("isa %d, convolution %d, %d threads", isa, convolution, threads);
                CHECK_CLOSE(four.upscale(golden_picture(5, 7), 5, 7), copy(golden["x4"]), 1e-4);
                CHECK_CLOSE(one.upscale(golden_picture(8, 4), 8, 4), copy(golden["x1"]), 1e-4);
                // A graph that was kept gives the same again.
                CHECK_CLOSE(four.upscale(golden_picture(5, 7), 5, 7), copy(golden["x4"]), 1e-4);
            }
        }
    }
}

TEST(tells_what_it_is) {
    const aq_upscaler_info four = upscaler("x4").info(), one = upscaler("x1").info();
    CHECK(four.channels == 3 && four.scale == 4 && four.multiple == 1 && four.blocks == 2);
    CHECK(one.channels == 3 && one.scale == 1 && one.multiple == 4 && one.blocks == 1);
}

// Further from a pixel than the radius nothing depends on it, to the bit with direct convolutions.
TEST(the_radius_is_how_far_a_pixel_reaches) {
    for (const char *kind : {"x4", "x1"}) {
        upscaler network(kind, 2, AQ_ISA_AUTO, AQ_CONVOLUTION_DIRECT);
        const aq_upscaler_info i = network.info();
        const int height = i.multiple, width = i.multiple * (2 * i.radius / i.multiple + 3);
        describe("%s, radius %d", kind, i.radius);
        std::vector<float> picture = golden_picture(height, width);
        const std::vector<float> before = network.upscale(picture, height, width);
        // All pixels that are one inside.
        const int first = width / 2 / i.multiple * i.multiple, last = first + i.multiple - 1;
        for (int x = first; x <= last; x++) {
            for (int y = 0; y < height; y++)
                picture[(size_t)(y * width + x)] += 1e33f;  // what little arrives far away must count
        }
        const std::vector<float> after = network.upscale(picture, height, width);
        int left = width, right = 0;
        for (size_t p = 0; p < before.size(); p++) {
            const int x = (int)(p % (size_t)(width * i.scale)) / i.scale;
            if (before[p] != after[p]) left = std::min(left, x), right = std::max(right, x);
        }
        CHECK(last - left == i.radius && right - first == i.radius);
    }
}

TEST(keeps_to_its_memory) {
    upscaler network("x4");
    std::vector<float> output;
    const std::vector<float> picture = golden_picture(20, 30);
    aq_upscaler_call call = network.call(picture, 20, 30, output);
    uint64_t bytes = 0;
    CHECK(aq_upscaler_estimate(network.handle, &call, &bytes, nullptr) == AQ_OK);
    CHECK(bytes > 2 * 8 * 16 * 600 * sizeof(float));  // the last two layers' inputs
    call.max_memory = bytes - 1;
    CHECK(aq_upscaler_upscale(network.handle, &call, nullptr, &network.error) == AQ_OUT_OF_MEMORY);
    call.max_memory = bytes;
    CHECK(aq_upscaler_upscale(network.handle, &call, nullptr, &network.error) == AQ_OK);
    call.height = call.width = 16384;
    CHECK(aq_upscaler_estimate(network.handle, &call, &bytes, nullptr) == AQ_OK && bytes > 100'000'000'000);
    call.input_count = 3ull << 28;
    call.output_count = 16 * call.input_count;
    CHECK(aq_upscaler_upscale(network.handle, &call, nullptr, &network.error) == AQ_OUT_OF_MEMORY);
}

TEST(stops_when_it_is_told_to) {
    upscaler network("x4");
    std::vector<float> output;
    const std::vector<float> picture = golden_picture(20, 30);
    const aq_upscaler_call call = network.call(picture, 20, 30, output);
    aq_control control = {1, 0, 0};
    CHECK(aq_upscaler_upscale(network.handle, &call, &control, nullptr) == AQ_CANCELLED);
    CHECK(control.nodes_done < control.nodes_total);
    control.cancel = 0;
    CHECK(aq_upscaler_upscale(network.handle, &call, &control, nullptr) == AQ_OK);
    CHECK(control.nodes_done == control.nodes_total && control.nodes_total > 30);
    CHECK(std::none_of(output.begin(), output.end(), [](float x) { return isnan(x); }));
    char table[4096];
    CHECK(aq_profile(network.handle, table, sizeof table, nullptr) == AQ_OK && strstr(table, "conv 3x3") != nullptr);
}

TEST(calls_that_make_no_sense_are_refused) {
    upscaler network("x1");
    std::vector<float> output;
    const std::vector<float> picture = golden_picture(8, 4);
    const aq_upscaler_call good = network.call(picture, 8, 4, output);
    const auto refuses = [&](aq_status expected, const char *says, auto change) {
        aq_upscaler_call call = good;
        change(call);
        describe("%s", says);
        CHECK(aq_upscaler_upscale(network.handle, &call, nullptr, &network.error) == expected);
        if (strstr(network.error.message, says) == nullptr) AQ_PLACE("message").fail(network.error.message);
    };
    const aq_status invalid = AQ_INVALID_ARGUMENT;
    refuses(invalid, "multiples of 4", [](auto &c) { c.height = 7; });
    refuses(invalid, "multiples of 4", [](auto &c) { c.width = 2; });
    refuses(invalid, "height", [](auto &c) { c.height = 0; });
    refuses(invalid, "width", [](auto &c) { c.width = INT32_MIN; });
    refuses(invalid, "height", [](auto &c) { c.height = INT32_MAX; });
    refuses(invalid, "input", [](auto &c) { c.input = nullptr; });
    refuses(invalid, "output", [](auto &c) { c.output = nullptr; });
    refuses(invalid, "input_count", [](auto &c) { c.input_count--; });
    refuses(invalid, "output_count", [](auto &c) { c.output_count *= 16; });
    const aq_handle on = network.engine;
    uint64_t bytes;
    CHECK(aq_upscaler_upscale(network.handle, nullptr, nullptr, nullptr) == invalid);
    CHECK(aq_upscaler_upscale(on, &good, nullptr, nullptr) == invalid);
    CHECK(aq_upscaler_estimate(network.handle, nullptr, &bytes, nullptr) == invalid);
    CHECK(aq_upscaler_estimate(network.handle, &good, nullptr, nullptr) == invalid);
    CHECK(aq_upscaler_get_info(network.handle, nullptr, nullptr) == invalid);
    aq_handle made = 7;
    CHECK(aq_upscaler_create(on, on, nullptr, &made, nullptr) == invalid);
    const aq_upscaler_options options = {nullptr};
    CHECK(aq_upscaler_create(on, on, &options, &made, nullptr) == invalid);
}

TEST(files_that_are_no_upscaler_are_named) {
    upscaler network("x4");
    network.refuses("conv_first.weight", [](auto &all) { drop(all, "conv_first"); });
    network.refuses("body.0.rdb1.conv1.weight", [](auto &all) { drop(all, "body."); });  // no block
    network.refuses("body.0.rdb1", [](auto &all) { drop(all, "body.0."); });
    network.refuses("body.1.rdb3.conv5", [](auto &all) { drop(all, "body.1.rdb3.conv5"); });
    network.refuses("conv_hr.weight", [](auto &all) { drop(all, "conv_hr"); });
    network.refuses("conv_last.weight", [](auto &all) { drop(all, "conv_last"); });
    network.refuses("conv_first.bias", [](auto &all) {
        named(all, "conv_first.bias").shape[0] = 4, named(all, "conv_first.bias").size = 8;
    });
    network.refuses("body.1.rdb2.conv3.weight", [](auto &all) {
        named(all, "body.1.rdb2.conv3.weight") = shaped("body.1.rdb2.conv3.weight", {4, 15, 3, 3});
    });
    network.refuses("body.0.rdb1.conv5.weight", [](auto &all) {
        named(all, "body.0.rdb1.conv5.weight") = shaped("body.0.rdb1.conv5.weight", {7, 24, 3, 3});
    });
    network.refuses("conv_body.weight", [](auto &all) {
        named(all, "conv_body.weight") = shaped("conv_body.weight", {8, 8, 1, 1});
    });
    network.refuses("conv_hr.weight", [](auto &all) {
        named(all, "conv_hr.weight") = shaped("conv_hr.weight", {8, 8, 3, 5});
    });
    network.refuses("conv_first.weight", [](auto &all) {
        named(all, "conv_first.weight") = shaped("conv_first.weight", {8, 27, 3, 3});
    });
    network.refuses("conv_first.weight", [](auto &all) {
        named(all, "conv_first.weight") = shaped("conv_first.weight", {8, 192, 3, 3});
    });
    network.refuses("conv_last.weight", [](auto &all) {
        named(all, "conv_last.weight") = shaped("conv_last.weight", {3, 8, 9});
    });
    // Doubled 16 times, or halved.
    network.refuses("doubles", [](auto &all) {
        static std::vector<std::string> names;
        names.reserve(64);
        for (int i = 3; i <= 16; i++) {
            names.push_back("conv_up" + std::to_string(i) + ".weight");
            all.push_back(shaped(names.back().c_str(), {8, 8, 3, 3}));
        }
    });
    network.refuses("doubles", [](auto &all) {
        drop(all, "conv_up2");
        named(all, "conv_first.weight") = shaped("conv_first.weight", {8, 48, 3, 3});
    });
    network.refuses("blocks", [](auto &all) { all.push_back(shaped("body.9998.rdb1.conv1.weight", {4, 8, 3, 3})); });
}
