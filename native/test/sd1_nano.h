// The small SD 1.x model of the golden files, opened through the C edge.
#pragma once

#include <string>
#include <vector>

#include "check.h"
#include "safetensors.h"

#ifndef AQ_GOLDEN_DIR
#error "AQ_GOLDEN_DIR must name the folder of the golden files"
#endif

namespace test {

inline const char *const text_prefix = "cond_stage_model.transformer.text_model.";
inline const char *const unet_prefix = "model.diffusion_model.";
inline const char *const vae_prefix = "first_stage_model.";

struct sd1_nano {
    safetensors_file file{std::string(AQ_GOLDEN_DIR) + "/sd1-nano.safetensors"};
    safetensors_file golden{std::string(AQ_GOLDEN_DIR) + "/sd1-nano-golden.safetensors"};
    aq_handle engine = 0, weights = 0, text = 0, unet = 0, vae = 0;
    aq_error error = {};

    explicit sd1_nano(int threads = 2, aq_isa isa = AQ_ISA_AUTO, aq_convolution convolution = AQ_CONVOLUTION_AUTO) {
        const aq_engine_options options = {threads, isa, convolution};
        const std::vector<aq_tensor> tensors = file.describe();
        const aq_text_encoder_options text_options = {text_prefix, 4};
        const aq_unet_options unet_options = {unet_prefix, 8, 0};
        const aq_vae_options vae_options = {vae_prefix};
        must(aq_engine_create(&options, &engine, &error));
        must(aq_weights_create(tensors.data(), tensors.size(), &weights, &error));
        must(aq_text_encoder_create(engine, weights, &text_options, &text, &error));
        must(aq_unet_create(engine, weights, &unet_options, &unet, &error));
        must(aq_vae_create(engine, weights, &vae_options, &vae, &error));
    }

    ~sd1_nano() {
        for (aq_handle handle : {text, unet, vae, weights, engine}) aq_close(handle, nullptr);
    }

    // A UNet call on golden inputs; `output` is sized here.
    aq_unet_call unet_call(const file_tensor &latent, const float *timestep, std::vector<float> &output) const {
        const file_tensor &context = golden["text.cond"];
        output.assign((size_t)latent.count(), NAN);
        aq_unet_call call = {};
        call.latent = latent.floats();
        call.latent_count = (uint64_t)latent.count();
        call.timesteps = timestep;
        call.timestep_count = 1;
        call.context = context.floats();
        call.context_count = (uint64_t)context.count();
        call.output = output.data();
        call.output_count = output.size();
        call.batch = 1;
        call.height = (int32_t)latent.shape[2];
        call.width = (int32_t)latent.shape[3];
        call.tokens = (int32_t)context.shape[1];
        return call;
    }

    void must(aq_status status) const {
        if (status == AQ_OK) return;
        printf("status %d: %s\n", status, error.message);
        exit(2);
    }
};

}  // namespace test
