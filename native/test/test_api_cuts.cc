// UNets without a version: what pruned, distilled and extended ones compute, against an independent PyTorch
// implementation.
#include "cuts.h"

using namespace test;

namespace {

// The output of a cut's UNet for the golden inputs at timestep 500.
std::vector<float> evaluate(const nano &whole, cut &c, const safetensors_file &golden) {
    aq_handle weights = 0, unet = 0;
    aq_error error = {};
    const aq_unet_options options = {unet_prefix, whole.kind.heads, whole.kind.head_width, 0};
    const std::vector<aq_tensor> tensors = c.tensors(whole.file);
    whole.must(aq_weights_create(tensors.data(), tensors.size(), &weights, &error));
    if (aq_unet_create(whole.engine, weights, &options, &unet, &error) != AQ_OK) {
        printf("%s: %s\n", c.name.c_str(), error.message);
        exit(2);
    }
    const float timestep = 500;
    std::vector<float> output, latent = copy(whole.golden["unet.x"]);
    aq_unet_call call = whole.unet_call(whole.golden["unet.x"], &timestep, output);
    if (golden.has(c.name + ".beside")) {
        const std::vector<float> beside = copy(golden[c.name + ".beside"]);
        latent.insert(latent.end(), beside.begin(), beside.end());
        call.latent = latent.data();
        call.latent_count = latent.size();
    }
    if (golden.has(c.name + ".guidance")) {
        call.guidance = golden[c.name + ".guidance"].floats();
        call.guidance_count = (uint64_t)golden[c.name + ".guidance"].count();
    }
    if (aq_unet_evaluate(unet, &call, nullptr, &error) != AQ_OK) {
        printf("%s: %s\n", c.name.c_str(), error.message);
        exit(2);
    }
    aq_close(unet, nullptr);
    aq_close(weights, nullptr);
    return output;
}

}  // namespace

TEST(cut_unets_give_the_golden_outputs) {
    const safetensors_file golden(std::string(AQ_GOLDEN_DIR) + "/cuts-golden.safetensors");
    for (const aq_isa isa : {AQ_ISA_PORTABLE, AQ_ISA_AUTO}) {
        const nano of_sd1(1, isa), of_sdxl(1, isa, AQ_CONVOLUTION_AUTO, sdxl);
        std::map<std::string, std::vector<float>> outputs;
        for (cut &c : cut::all()) {
            describe("isa %d, %s", isa, c.name.c_str());
            outputs[c.name] = evaluate(c.model == "sd1" ? of_sd1 : of_sdxl, c, golden);
            CHECK_CLOSE(outputs[c.name], copy(golden[c.name]), 1e-4);
        }
        CHECK(outputs.size() == 10);
        CHECK(outputs["bk-sdm-small"] == outputs["bk-sdm-small-gaps"]);
        CHECK(outputs["bk-sdm-small"] != outputs["bk-sdm-base"]);
    }
}

// Without the upsampler channels and counts still fit, and sizes do not.
TEST(unets_that_do_not_return_to_their_size_are_refused) {
    const nano whole(1);
    int samplers = 0;
    for (const aq_tensor &sampler : whole.file.describe()) {
        const std::string name = sampler.name;
        const bool down = name.ends_with(".0.op.weight"), up = name.ends_with(".conv.weight");
        if (!name.starts_with(unet_prefix) || !(down || up)) continue;
        samplers++;
        std::vector<aq_tensor> tensors = whole.file.describe();
        const std::string prefix = name.substr(0, name.size() - strlen("weight"));
        std::erase_if(tensors, [&](const aq_tensor &t) { return std::string(t.name).starts_with(prefix); });
        aq_handle weights = 0, unet = 0;
        aq_error error = {};
        const aq_unet_options options = {unet_prefix, 8, 0, 0};
        whole.must(aq_weights_create(tensors.data(), tensors.size(), &weights, &error));
        CHECK(aq_unet_create(whole.engine, weights, &options, &unet, &error) == AQ_INVALID_MODEL);
        if (unet != 0) aq_close(unet, nullptr);
        aq_close(weights, nullptr);
    }
    CHECK(samplers >= 2);
}

TEST(blocks_without_a_counterpart_are_refused) {
    const nano whole(1);
    for (const char *part : {"input_blocks.2.", "output_blocks.1.", "middle_block.0.in_layers"}) {
        std::vector<aq_tensor> tensors = whole.file.describe();
        std::erase_if(tensors, [&](const aq_tensor &t) {
            return std::string(t.name).starts_with(std::string(unet_prefix) + part);
        });
        aq_handle weights = 0, unet = 0;
        aq_error error = {};
        const aq_unet_options options = {unet_prefix, 8, 0, 0};
        whole.must(aq_weights_create(tensors.data(), tensors.size(), &weights, &error));
        const aq_status status = aq_unet_create(whole.engine, weights, &options, &unet, &error);
        // Without its first ResBlock the middle still fits; without another block channels or counts do not.
        CHECK(status == (std::string(part).starts_with("middle") ? AQ_OK : AQ_INVALID_MODEL));
        if (unet != 0) aq_close(unet, nullptr);
        aq_close(weights, nullptr);
    }
}
