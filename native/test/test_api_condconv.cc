// Convolutions with several kernels, all of a UNet's at once: against a PyTorch implementation that adds up the outputs
// of the experts' convolutions, and against the plain UNet where routing leaves one kernel.
#include <math.h>

#include <algorithm>
#include <list>
#include <utility>

#include "nano.h"

using namespace test;

namespace {

bool ends_with(const std::string &s, const std::string &end) { return s.size() >= end.size() && s.ends_with(end); }

// Routers and experts in place of every convolution of sd1-nano's UNet: expert e is the kernel rolled by 7 e and times
// 1 + e / 4, its bias the bias rolled by e.
struct mixture {
    int experts = 3;
    bool softmax = false;
    std::vector<float> router_bias = {0.5f, 0.2f, -0.1f};
    float router_scale = 0.3f;
    bool alike = false;   // all experts are the kernel itself
    int64_t surplus = 0;  // values too many in each expert

    std::list<std::string> names;
    std::list<std::vector<float>> values;

    std::vector<aq_tensor> tensors(const nano &whole) {
        std::vector<aq_tensor> result;
        const std::vector<aq_tensor> all = whole.file.describe();
        for (const aq_tensor &t : all) {
            const std::string name = t.name;
            const bool bias = ends_with(name, ".bias");
            const std::string layer = name.substr(0, name.rfind('.'));
            if (!name.starts_with(unet_prefix) || !is_convolution(all, layer)) {
                result.push_back(t);
                continue;
            }
            std::vector<float> plain = floats(whole, t), mixed;
            for (int e = 0; e < experts; e++) {
                std::vector<float> one = plain;
                if (!alike) {
                    const size_t shift = (size_t)(bias ? e : 7 * e) % one.size();
                    std::rotate(one.begin(), one.end() - (std::ptrdiff_t)shift, one.end());
                    if (!bias) {
                        for (float &value : one) value *= 1 + 0.25f * (float)e;
                    }
                }
                if (!bias) one.insert(one.end(), (size_t)surplus, 0.0f);
                mixed.insert(mixed.end(), one.begin(), one.end());
            }
            result.push_back(add(layer + (bias ? ".experts.bias" : ".experts.weight"), std::move(mixed)));
            if (bias) continue;
            std::vector<float> router;
            for (int e = 0; e < experts; e++) {
                for (int64_t c = 0; c < t.shape[1]; c++) {
                    router.push_back((float)(router_scale * sin(1 + 3.0 * e + 7.0 * (double)c)));
                }
            }
            result.push_back(add(layer + ".router.weight", std::move(router)));
            result.push_back(add(layer + ".router.bias", router_bias));
            result.back().rank = 1;
            result.back().shape[0] = experts;
            result.back().shape[1] = 1;
        }
        return result;
    }

private:
    static bool is_convolution(const std::vector<aq_tensor> &all, const std::string &layer) {
        for (const char *part : {"proj_in", "proj_out"}) {
            if (ends_with(layer, part)) return false;
        }
        return std::any_of(all.begin(), all.end(),
                           [&](const aq_tensor &t) { return t.rank == 4 && layer + ".weight" == t.name; });
    }

    static std::vector<float> floats(const nano &whole, const aq_tensor &t) {
        const uint64_t count = t.size / 2;  // F16
        std::vector<float> result(count);
        const aq_conversion call = {t.data, result.data(), t.size, 4 * count, count, 1, 0};
        aq_error error;
        whole.must(aq_convert(&call, &error));
        return result;
    }

    // Rows of all experts.
    aq_tensor add(std::string name, std::vector<float> rows) {
        names.push_back(std::move(name));
        values.push_back(std::move(rows));
        const int64_t columns = (int64_t)values.back().size() / experts;
        return {names.back().c_str(), values.back().data(), 4 * values.back().size(), {experts, columns, 1, 1}, 2, 0};
    }
};

aq_status create(const nano &whole, mixture &m, aq_handle *unet, aq_error *error) {
    aq_handle weights = 0;
    const std::vector<aq_tensor> tensors = m.tensors(whole);
    whole.must(aq_weights_create(tensors.data(), tensors.size(), &weights, error));
    const aq_unet_options options = {unet_prefix, 8, 0, m.softmax ? AQ_ROUTER_SOFTMAX : AQ_ROUTER_SIGMOID};
    const aq_status status = aq_unet_create(whole.engine, weights, &options, unet, error);
    aq_close(weights, nullptr);
    return status;
}

// Outputs for latents of the golden file, in one batch, at timestep 500.
std::vector<float> evaluate(const nano &whole, aq_handle unet, const std::vector<std::string> &latents) {
    std::vector<float> output, latent, context;
    const std::vector<float> timesteps(latents.size(), 500);
    aq_unet_call call = whole.unet_call(whole.golden[latents.front()], timesteps.data(), output);
    for (const std::string &name : latents) {
        for (const auto &[to, from] :
             {std::pair{&latent, copy(whole.golden[name])}, std::pair{&context, copy(whole.golden["text.cond"])}}) {
            to->insert(to->end(), from.begin(), from.end());
        }
    }
    output.resize(latent.size());
    call.latent = latent.data();
    call.latent_count = latent.size();
    call.context = context.data();
    call.context_count = context.size();
    call.output = output.data();
    call.output_count = output.size();
    call.batch = (int32_t)latents.size();
    call.timestep_count = timesteps.size();
    aq_error error;
    if (aq_unet_evaluate(unet, &call, nullptr, &error) != AQ_OK) {
        printf("%s\n", error.message);
        exit(2);
    }
    return output;
}

std::vector<float> evaluate(const nano &whole, mixture &m, const std::vector<std::string> &latents) {
    aq_handle unet = 0;
    aq_error error = {};
    if (create(whole, m, &unet, &error) != AQ_OK) {
        printf("%s\n", error.message);
        exit(2);
    }
    const std::vector<float> output = evaluate(whole, unet, latents);
    aq_close(unet, nullptr);
    return output;
}

}  // namespace

TEST(mixed_kernels_give_the_sum_of_the_experts_outputs) {
    const safetensors_file golden(std::string(AQ_GOLDEN_DIR) + "/condconv-golden.safetensors");
    for (const auto &[isa, convolution, threads] :
         {std::tuple{AQ_ISA_PORTABLE, AQ_CONVOLUTION_AUTO, 1}, std::tuple{AQ_ISA_AUTO, AQ_CONVOLUTION_AUTO, 2},
          std::tuple{AQ_ISA_AUTO, AQ_CONVOLUTION_DIRECT, 3}, std::tuple{AQ_ISA_AUTO, AQ_CONVOLUTION_WINOGRAD, 1}}) {
        const nano whole(threads, isa, convolution);
        for (const bool softmax : {false, true}) {
            describe("isa %d, convolution %d, softmax %d", isa, convolution, softmax);
            mixture m;
            m.softmax = softmax;
            const std::vector<float> both = evaluate(whole, m, {"unet.x", "sample.noise"});
            CHECK_CLOSE(both, copy(golden[softmax ? "softmax" : "sigmoid"]), 1e-4);
            // Each image has kernels of its own.
            const int64_t size = (int64_t)both.size() / 2;
            CHECK(part(both, 0, size) == evaluate(whole, m, {"unet.x"}));
            CHECK(part(both, 1, size) == evaluate(whole, m, {"sample.noise"}));
        }
    }
}

TEST(one_kernel_is_the_plain_convolution) {
    for (const aq_convolution convolution : {AQ_CONVOLUTION_AUTO, AQ_CONVOLUTION_DIRECT}) {
        const nano whole(2, AQ_ISA_AUTO, convolution);
        const std::vector<float> plain = evaluate(whole, whole.unet, {"unet.x"});
        mixture single, chosen, alike, other;
        single.experts = 1;
        single.softmax = true;
        single.router_bias = {0.5f};
        CHECK(evaluate(whole, single, {"unet.x"}) == plain);
        chosen.router_scale = 0;
        chosen.router_bias = {200, -200, -200};
        CHECK(evaluate(whole, chosen, {"unet.x"}) == plain);
        other.router_scale = 0;
        other.router_bias = {-200, 200, -200};
        CHECK(evaluate(whole, other, {"unet.x"}) != plain);
        alike.alike = true;
        alike.softmax = true;
        CHECK_CLOSE(evaluate(whole, alike, {"unet.x"}), plain, 1e-5);
    }
}

TEST(experts_that_do_not_fit_are_refused) {
    const nano whole(1);
    aq_handle unet = 0;
    aq_error error = {};
    mixture m;
    m.surplus = 5;
    CHECK(create(whole, m, &unet, &error) == AQ_INVALID_MODEL);
    CHECK(std::string(error.message).find("experts.weight") != std::string::npos);
    mixture fewer;
    fewer.router_bias = {1, 1};
    std::vector<aq_tensor> tensors = fewer.tensors(whole);
    for (aq_tensor &t : tensors) {
        if (ends_with(t.name, ".router.bias")) {
            t.shape[0] = 2;
        }
    }
    aq_handle weights = 0;
    const aq_unet_options options = {unet_prefix, 8, 0, AQ_ROUTER_SIGMOID};
    whole.must(aq_weights_create(tensors.data(), tensors.size(), &weights, &error));
    CHECK(aq_unet_create(whole.engine, weights, &options, &unet, &error) == AQ_INVALID_MODEL);
    aq_close(weights, nullptr);
}
