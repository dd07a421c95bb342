// The autoencoder in bands against itself in one piece, through the C edge.
#include <algorithm>

#include "nano.h"

using namespace test;

namespace {

struct problem {
    const nano &model;
    bool encode;
    int batch, height, width;
    std::vector<float> input;

    problem(const nano &model, bool encode, int batch, int height, int width)
        : model(model), encode(encode), batch(batch), height(height), width(width) {
        random_numbers random(21);
        input = random.values((int64_t)batch * height * width * (encode ? 3 * 64 : 4));
    }

    aq_vae_call call(std::vector<float> &output, uint64_t most) const {
        output.assign((size_t)batch * height * width * (encode ? 8 : 3 * 64), NAN);
        return {input.data(), output.data(), input.size(), output.size(), batch, height, width, most};
    }

    uint64_t estimate(uint64_t most) const {
        std::vector<float> output;
        const aq_vae_call c = call(output, most);
        uint64_t bytes = 0;
        aq_error error;
        model.must(aq_vae_estimate(model.vae, &c, encode, &bytes, &error));
        return bytes;
    }

    aq_status run(uint64_t most, std::vector<float> &output) const {
        const aq_vae_call c = call(output, most);
        return encode ? aq_vae_encode(model.vae, &c, nullptr, nullptr) : aq_vae_decode(model.vae, &c, nullptr, nullptr);
    }
};

// In dB, against a range of 2.
double psnr(const std::vector<float> &a, const std::vector<float> &b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); i++) sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return 10 * log10(4 * (double)a.size() / sum);
}

void verify(const problem &p) {
    std::vector<float> whole, banded;
    const uint64_t most = p.estimate(UINT64_MAX), least = p.estimate(1);
    CHECK(p.run(most, whole) == AQ_OK);
    CHECK(least < most);
    for (int part = 0; part <= 4; part++) {
        const uint64_t budget = least + (most - 1 - least) * (uint64_t)(part * part) / 16;
        describe("%s %d x %dx%d cells in %d of %d KB", p.encode ? "encode" : "decode", p.batch, p.height, p.width,
                 (int)(budget / 1000), (int)(most / 1000));
        CHECK(p.estimate(budget) <= budget);
        CHECK(p.run(budget, banded) == AQ_OK);
        CHECK(psnr(whole, banded) > 65);
        // A seam would be a row whose error stands out.
        const int side = p.encode ? 1 : 8, row = p.width * side, rows = (int)whole.size() / row;
        std::vector<double> errors((size_t)(p.height * side));
        for (int i = 0; i < rows; i++) {
            double &worst = errors[(size_t)(i % (p.height * side))];
            for (int x = 0; x < row; x++) {
                worst = fmax(worst, fabs((double)whole[(size_t)(i * row + x)] - banded[(size_t)(i * row + x)]));
            }
        }
        CHECK(*std::max_element(errors.begin(), errors.end()) < 0.01);
    }
}

}  // namespace

TEST(bands_give_the_whole_picture_at_any_height_and_budget) {
    nano model;
    for (const bool encode : {false, true}) {
        verify(problem(model, encode, 1, 8, 8));
        verify(problem(model, encode, 1, 13, 6));
        verify(problem(model, encode, 1, 31, 5));
        verify(problem(model, encode, 2, 9, 7));
    }
}

TEST(bands_give_the_golden_image) {
    nano model;
    std::vector<float> latent = copy(model.golden["vae.z"]);
    for (float &x : latent) x /= model.kind.latent_scale;
    std::vector<float> image(3 * 64 * 64);
    aq_vae_call call = {latent.data(), image.data(), latent.size(), image.size(), 1, 8, 8, 1};
    model.must(aq_vae_estimate(model.vae, &call, 0, &call.max_memory, &model.error));
    model.must(aq_vae_decode(model.vae, &call, nullptr, &model.error));
    CHECK_CLOSE(image, copy(model.golden["vae.image"]), 2e-3);
}

TEST(too_small_a_budget_is_refused_with_the_size_that_is_needed) {
    nano model;
    const problem p(model, false, 1, 16, 16);
    std::vector<float> output;
    aq_vae_call call = p.call(output, p.estimate(1) - 1);
    aq_error error;
    CHECK(aq_vae_decode(model.vae, &call, nullptr, &error) == AQ_OUT_OF_MEMORY);
    CHECK(strstr(error.message, "MB for activations are needed") != nullptr);
    CHECK(std::all_of(output.begin(), output.end(), [](float x) { return isnan(x); }));
    uint64_t bytes;
    CHECK(aq_vae_estimate(model.vae, &call, 2, &bytes, nullptr) == AQ_INVALID_ARGUMENT);
    CHECK(aq_vae_estimate(model.vae, &call, 0, nullptr, nullptr) == AQ_INVALID_ARGUMENT);
    CHECK(aq_vae_estimate(model.vae, nullptr, 0, &bytes, nullptr) == AQ_INVALID_ARGUMENT);
    CHECK(aq_vae_estimate(model.unet, &call, 0, &bytes, nullptr) == AQ_INVALID_ARGUMENT);
    call.height = 0;
    CHECK(aq_vae_estimate(model.vae, &call, 0, &bytes, nullptr) == AQ_INVALID_ARGUMENT);
}

TEST(bands_can_be_cancelled) {
    nano model;
    const problem p(model, false, 1, 16, 16);
    std::vector<float> output;
    const aq_vae_call call = p.call(output, p.estimate(1));
    aq_control control = {1, 0, 0};
    CHECK(aq_vae_decode(model.vae, &call, &control, nullptr) == AQ_CANCELLED);
}
