// TAESD against PyTorch: a small one with the names of its author and of diffusers.
#include "nano.h"

using namespace test;

namespace {

struct tiny {
    safetensors_file file, golden;
    aq_handle engine = 0, weights = 0, vae = 0;
    aq_error error = {};

    explicit tiny(const char *name, const char *prefix = "")
        : file(std::string(AQ_GOLDEN_DIR) + "/" + name), golden(AQ_GOLDEN_DIR "/taesd-nano-golden.safetensors") {
        const aq_engine_options options = {2, AQ_ISA_AUTO, AQ_CONVOLUTION_AUTO};
        const std::vector<aq_tensor> tensors = file.describe();
        const aq_vae_options vae_options = {prefix};
        aq_engine_create(&options, &engine, nullptr);
        aq_weights_create(tensors.data(), tensors.size(), &weights, nullptr);
        aq_vae_create(engine, weights, &vae_options, &vae, &error);
    }
    ~tiny() {
        for (aq_handle handle : {vae, weights, engine}) aq_close(handle, nullptr);
    }

    aq_vae_info info() const {
        aq_vae_info i = {};
        aq_vae_get_info(vae, &i, nullptr);
        return i;
    }
};

constexpr int height = 5, width = 3;

void verify_decoder(const tiny &model) {
    const std::vector<float> latent = copy(model.golden["z"]), expected = copy(model.golden["image"]);
    std::vector<float> image(expected.size(), NAN);
    const aq_vae_call call = {latent.data(), image.data(), latent.size(), image.size(), 1, height, width, 0};
    CHECK(aq_vae_decode(model.vae, &call, nullptr, nullptr) == AQ_OK);
    CHECK_CLOSE(image, expected, 1e-4);
}

void verify_encoder(const tiny &model) {
    const std::vector<float> picture = copy(model.golden["x"]), expected = copy(model.golden["latent"]);
    std::vector<float> moments(2 * expected.size(), NAN);
    const aq_vae_call call = {picture.data(), moments.data(), picture.size(), moments.size(), 1, height, width, 0};
    CHECK(aq_vae_encode(model.vae, &call, nullptr, nullptr) == AQ_OK);
    CHECK_CLOSE(part(moments, 0, (int64_t)expected.size()), expected, 1e-4);
    for (size_t i = expected.size(); i < moments.size(); i++) CHECK(moments[i] == -30);
}

}  // namespace

TEST(a_whole_file_of_diffusers) {
    const tiny model("taesd-nano.safetensors");
    const aq_vae_info i = model.info();
    CHECK(i.latent_channels == 4 && i.image_channels == 3 && i.factor == 8 && i.scaled == 1);
    CHECK(i.has_decoder == 1 && i.has_encoder == 1);
    verify_decoder(model);
    verify_encoder(model);
}

TEST(files_of_one_half_of_its_author) {
    const tiny decoder("taesd-nano-decoder.safetensors"), encoder("taesd-nano-encoder.safetensors");
    CHECK(decoder.info().has_decoder == 1 && decoder.info().has_encoder == 0);
    CHECK(encoder.info().has_decoder == 0 && encoder.info().has_encoder == 1);
    verify_decoder(decoder);
    verify_encoder(encoder);
}

TEST(a_layer_that_does_not_fit_is_named) {
    tiny model("taesd-nano.safetensors");
    for (const char *name : {"decoder.layers.3.conv.2.weight", "encoder.layers.2.weight"}) {
        std::vector<aq_tensor> tensors = model.file.describe();
        for (aq_tensor &t : tensors) {
            if (strcmp(t.name, name) == 0) std::swap(t.shape[0], t.shape[1]), t.shape[0] *= 2, t.size *= 2;
        }
        describe("%s", name);
        aq_handle weights = 0, vae = 0;
        const aq_vae_options options = {""};
        // Twice as many values are promised as there are; refused before any is read.
        CHECK(aq_weights_create(tensors.data(), tensors.size(), &weights, nullptr) == AQ_OK);
        CHECK(aq_vae_create(model.engine, weights, &options, &vae, &model.error) == AQ_INVALID_MODEL);
        CHECK(strstr(model.error.message, "layers.") != nullptr);
        aq_close(weights, nullptr);
    }
}
