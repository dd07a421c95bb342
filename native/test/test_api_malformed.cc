// Networks that could be read one tensor at a time and make no sense as a whole: refused when they are created, or when
// called, but never computed past a buffer.
#include <map>
#include <string>

#include "nano.h"

using namespace test;

namespace {

// A model of zeros, tensor by tensor.
class zero_model {
public:
    void tensor(const std::string &name, std::vector<int64_t> shape) { shapes_[name] = std::move(shape); }
    void conv(const std::string &name, int64_t outputs, int64_t inputs, int64_t kernel) {
        tensor(name + ".weight", {outputs, inputs, kernel, kernel});
        tensor(name + ".bias", {outputs});
    }
    void norm(const std::string &name, int64_t channels) {
        tensor(name + ".weight", {channels});
        tensor(name + ".bias", {channels});
    }
    void middle(const std::string &prefix, int64_t channels) {
        for (const char *block : {"mid.block_1", "mid.block_2"}) {
            for (const char *half : {"1", "2"}) {
                norm(prefix + block + ".norm" + half, channels);
                conv(prefix + block + ".conv" + half, channels, channels, 3);
            }
        }
        norm(prefix + "mid.attn_1.norm", channels);
        for (const char *part : {"q", "k", "v", "proj_out"}) conv(prefix + "mid.attn_1." + part, channels, channels, 1);
    }

    // Points into this object.
    std::vector<aq_tensor> describe() const {
        static const std::vector<float> zeros(1 << 20);
        std::vector<aq_tensor> result;
        for (const auto &[name, shape] : shapes_) {
            aq_tensor t = {name.c_str(), zeros.data(), 4, {1, 1, 1, 1}, (int32_t)shape.size(), 0};
            for (size_t i = 0; i < shape.size(); i++) {
                t.shape[i] = shape[i];
                t.size *= (uint64_t)shape[i];
            }
            result.push_back(t);
        }
        return result;
    }

private:
    std::map<std::string, std::vector<int64_t>> shapes_;
};

zero_model decoder(int64_t channels, int levels) {
    zero_model m;
    m.conv("decoder.conv_in", channels, 4, 3);
    m.middle("decoder.", channels);
    for (int i = 0; i < levels; i++) {
        m.conv("decoder.up." + std::to_string(i) + ".upsample.conv", channels, channels, 3);
    }
    m.norm("decoder.norm_out", channels);
    m.conv("decoder.conv_out", 3, channels, 3);
    return m;
}

aq_status create_vae(const std::vector<aq_tensor> &tensors, const char *prefix) {
    const aq_engine_options engine_options = {1, AQ_ISA_AUTO, AQ_CONVOLUTION_AUTO};
    const aq_vae_options options = {prefix};
    aq_handle engine = 0, weights = 0, vae = 0;
    aq_error error = {};
    CHECK(aq_engine_create(&engine_options, &engine, nullptr) == AQ_OK);
    CHECK(aq_weights_create(tensors.data(), tensors.size(), &weights, nullptr) == AQ_OK);
    const aq_status status = aq_vae_create(engine, weights, &options, &vae, &error);
    CHECK(status == AQ_OK || error.message[0] != '\0');
    for (const aq_handle handle : {vae, weights, engine}) {
        if (handle != 0) aq_close(handle, nullptr);
    }
    return status;
}

std::vector<aq_tensor> without(std::vector<aq_tensor> tensors, const char *part) {
    std::erase_if(tensors, [&](const aq_tensor &t) { return strstr(t.name, part) != nullptr; });
    return tensors;
}

}  // namespace

TEST(halves_of_different_autoencoders) {
    const nano m(1);
    const std::vector<aq_tensor> whole = m.file.describe();
    CHECK(create_vae(whole, vae_prefix) == AQ_OK);
    CHECK(create_vae(without(whole, "decoder.up.1.upsample"), vae_prefix) == AQ_INVALID_MODEL);
    CHECK(create_vae(without(whole, "encoder.down.0.downsample"), vae_prefix) == AQ_INVALID_MODEL);

    // An encoder with four times the moments.
    static const std::vector<float> zeros(1 << 20);
    std::vector<aq_tensor> wide = without(whole, "_model.quant_conv");
    for (aq_tensor &t : wide) {
        if (strstr(t.name, "encoder.conv_out") == nullptr) continue;
        t.shape[0] *= 4;
        t.size *= 4;
        t.data = zeros.data();
    }
    CHECK(create_vae(wide, vae_prefix) == AQ_INVALID_MODEL);
}

TEST(more_levels_than_an_integer_has_bits) {
    CHECK(create_vae(decoder(32, 3).describe(), "") == AQ_OK);
    for (const int levels : {7, 31, 32, 33, 64, 200}) {
        CHECK(create_vae(decoder(32, levels).describe(), "") == AQ_INVALID_MODEL);
    }
}

TEST(channels_that_do_not_fill_the_groups) {
    for (const int channels : {16, 33, 48}) {
        CHECK(create_vae(decoder(channels, 0).describe(), "") == AQ_INVALID_MODEL);
    }
}

TEST(names_from_files_stay_on_one_line) {
    zero_model m = decoder(32, 0);
    std::vector<aq_tensor> tensors = m.describe();
    const std::string name = "first\nsecond\t\x1b[31m" + std::string(2000, 'x');
    tensors[0].name = name.c_str();
    tensors[0].size++;
    aq_handle weights = 0;
    aq_error error = {};
    CHECK(aq_weights_create(tensors.data(), tensors.size(), &weights, &error) == AQ_INVALID_MODEL);
    for (const char *c = error.message; *c != '\0'; c++) CHECK((unsigned char)*c >= 0x20);
    CHECK(strlen(error.message) < sizeof error.message);
}
