// Every network against what an independent PyTorch implementation computed from the same weights.
#include <algorithm>

#include "nano.h"

using namespace test;

namespace {

constexpr aq_isa every_isa[] = {AQ_ISA_PORTABLE, AQ_ISA_NEON, AQ_ISA_AVX2, AQ_ISA_AVX512};

constexpr aq_convolution every_convolution[] = {AQ_CONVOLUTION_AUTO, AQ_CONVOLUTION_DIRECT, AQ_CONVOLUTION_WINOGRAD};

// Runs `body` with an engine of each instruction set that this machine has, each way to convolve, and each family.
template <class Body> void on_every_engine(Body body) {
    for (const aq_isa isa : every_isa) {
        aq_handle probe;
        const aq_engine_options options = {1, isa, AQ_CONVOLUTION_AUTO};
        if (aq_engine_create(&options, &probe, nullptr) != AQ_OK) continue;
        aq_close(probe, nullptr);
        for (const aq_convolution convolution : every_convolution) {
            for (const family *kind : {&sd1, &sd2, &sdxl}) {
                describe("isa %d, convolution %d, %s", isa, convolution, kind->name);
                body(isa, convolution, *kind);
            }
        }
    }
}

// Float32 in another order of summation: far below the 2e-3 that a wrong formula would miss by.
constexpr double limit = 1e-4;

}  // namespace

TEST(text_encoders_give_the_golden_embeddings) {
    on_every_engine([](aq_isa isa, aq_convolution convolution, const family &kind) {
        nano model(1, isa, convolution, kind);
        for (const char *branch : {"cond", "uncond"}) {
            const file_tensor &ids = model.golden[std::string("ids.") + branch];
            const file_tensor &expected = model.golden[std::string("text.") + branch];
            std::vector<int32_t> tokens;
            for (int i = 0; i < 77; i++) tokens.push_back((int32_t)((const int64_t *)ids.data)[i]);
            const size_t width = 64, all = width * model.towers.size();
            std::vector<float> joined(77 * all, NAN);
            for (size_t tower = 0; tower < model.towers.size(); tower++) {
                std::vector<float> output(77 * width, NAN), pooled(width, NAN);
                const bool pools = tower == 1;
                const aq_text_encoder_call call = {tokens.data(),
                                                   output.data(),
                                                   pools ? pooled.data() : nullptr,
                                                   77,
                                                   output.size(),
                                                   pools ? pooled.size() : 0,
                                                   1,
                                                   77,
                                                   kind.skip_layers,
                                                   kind.final_norm,
                                                   nullptr,
                                                   0};
                model.must(aq_text_encoder_encode(model.towers[tower], &call, nullptr, &model.error));
                for (size_t i = 0; i < 77; i++) {
                    std::copy_n(&output[i * width], width, &joined[i * all + tower * width]);
                }
                if (pools) CHECK_CLOSE(pooled, copy(model.golden[std::string("pooled.") + branch]), limit);
            }
            CHECK_CLOSE(joined, copy(expected), limit);
        }
    });
}

TEST(unet_gives_the_golden_outputs) {
    on_every_engine([](aq_isa isa, aq_convolution convolution, const family &kind) {
        nano model(1, isa, convolution, kind);
        const auto compare = [&](const char *input, const char *result, float timestep) {
            std::vector<float> output;
            const aq_unet_call call = model.unet_call(model.golden[input], &timestep, output);
            model.must(aq_unet_evaluate(model.unet, &call, nullptr, &model.error));
            CHECK_CLOSE(output, copy(model.golden[result]), limit);
        };
        compare("unet.x", "unet.eps.t999", 999);
        compare("unet.x", "unet.eps.t500", 500);
        compare("unet.x.h24w8", "unet.eps.h24w8.t321", 321);
        compare("unet.x", "unet.eps.t1", 1);
    });
}

TEST(vae_gives_the_golden_image_and_moments) {
    on_every_engine([](aq_isa isa, aq_convolution convolution, const family &kind) {
        nano model(1, isa, convolution, kind);
        std::vector<float> latent = copy(model.golden["vae.z"]);
        for (float &z : latent) z /= kind.latent_scale;
        std::vector<float> image(3 * 64 * 64, NAN), moments(8 * 8 * 8, NAN);
        const aq_vae_call decode = {latent.data(), image.data(), latent.size(), image.size(), 1, 8, 8, 0};
        model.must(aq_vae_decode(model.vae, &decode, nullptr, &model.error));
        CHECK_CLOSE(image, copy(model.golden["vae.image"]), limit);

        const file_tensor &picture = model.golden["vae.enc.image"];
        const aq_vae_call encode = {
            picture.floats(), moments.data(), (uint64_t)picture.count(), moments.size(), 1, 8, 8, 0};
        model.must(aq_vae_encode(model.vae, &encode, nullptr, &model.error));
        CHECK_CLOSE(part(moments, 0, 256), copy(model.golden["vae.enc.mean"]), limit);
        CHECK_CLOSE(part(moments, 1, 256), copy(model.golden["vae.enc.logvar"]), limit);
    });
}

// A batch with the same latent and timestep twice computes them once as far as it can; the other does not.
static void check_batch(const float (&timesteps)[2]) {
    nano model(2);
    const file_tensor &latent = model.golden["unet.x"], &cond = model.golden["text.cond"];
    const file_tensor &uncond = model.golden["text.uncond"];
    std::vector<float> latents, contexts, both(2 * (size_t)latent.count()), single;
    for (int i = 0; i < 2; i++) latents.insert(latents.end(), latent.floats(), latent.floats() + latent.count());
    contexts.insert(contexts.end(), cond.floats(), cond.floats() + cond.count());
    contexts.insert(contexts.end(), uncond.floats(), uncond.floats() + uncond.count());
    aq_unet_call call = model.unet_call(latent, timesteps, single);
    call.latent = latents.data();
    call.context = contexts.data();
    call.output = both.data();
    call.latent_count = call.output_count = both.size();
    call.context_count = contexts.size();
    call.timestep_count = call.batch = 2;
    model.must(aq_unet_evaluate(model.unet, &call, nullptr, &model.error));
    for (int i = 0; i < 2; i++) {
        aq_unet_call one = model.unet_call(latent, &timesteps[i], single);
        one.context = i == 0 ? cond.floats() : uncond.floats();
        model.must(aq_unet_evaluate(model.unet, &one, nullptr, &model.error));
        CHECK_CLOSE(part(both, i, latent.count()), single, 1e-6);
    }
}

TEST(a_batch_equals_its_images_one_by_one) {
    check_batch({500, 1});
    check_batch({500, 500});
}

// Keys and values of the text are kept from call to call, but not what a cancelled call left half computed.
TEST(the_text_of_a_cancelled_call_is_read_again) {
    nano model(1);
    const float timestep = 500;
    const file_tensor &latent = model.golden["unet.x"], &uncond = model.golden["text.uncond"];
    std::vector<float> cond_output, output;
    const aq_unet_call cond = model.unet_call(latent, &timestep, cond_output);
    aq_control cancelled = {};
    cancelled.cancel = 1;
    CHECK(aq_unet_evaluate(model.unet, &cond, &cancelled, &model.error) == AQ_CANCELLED);
    model.must(aq_unet_evaluate(model.unet, &cond, nullptr, &model.error));
    CHECK_CLOSE(cond_output, copy(model.golden["unet.eps.t500"]), limit);

    aq_unet_call other = model.unet_call(latent, &timestep, output);
    other.context = uncond.floats();
    CHECK(aq_unet_evaluate(model.unet, &other, &cancelled, &model.error) == AQ_CANCELLED);
    const aq_unet_call again = model.unet_call(latent, &timestep, output);
    model.must(aq_unet_evaluate(model.unet, &again, nullptr, &model.error));
    CHECK(output == cond_output);
}

TEST(odd_latent_sizes_and_thread_counts_agree) {
    std::vector<float> latent(4 * 13 * 7);
    for (size_t i = 0; i < latent.size(); i++) latent[i] = sinf((float)i);
    std::vector<float> first;
    for (const int threads : {1, 2, 3}) {
        nano model(threads);
        const file_tensor odd = {{1, 4, 13, 7}, "F32", (const char *)latent.data(), latent.size() * 4};
        const float timestep = 250;
        std::vector<float> output;
        const aq_unet_call call = model.unet_call(odd, &timestep, output);
        model.must(aq_unet_evaluate(model.unet, &call, nullptr, &model.error));
        if (first.empty()) first = output;
        CHECK(first == output);
    }
}
