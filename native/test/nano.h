// The small models of the golden files, opened through the C edge.
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

// What shapes cannot tell of a model.
struct family {
    const char *name;
    std::vector<const char *> text_prefixes;
    int heads, head_width;  // of the UNet
    int skip_layers, final_norm;
    float latent_scale;
};

inline const family sd1 = {"sd1", {text_prefix}, 8, 0, 0, 1, 0.18215f};
inline const family sd2 = {"sd2", {"cond_stage_model.model."}, 0, 16, 1, 1, 0.18215f};
inline const family sdxl = {
    "sdxl",  {"conditioner.embedders.0.transformer.text_model.", "conditioner.embedders.1.model."}, 0, 16, 1, 0,
    0.13025f};

struct nano {
    const family &kind;
    safetensors_file file, golden;
    aq_handle engine = 0, weights = 0, text = 0, unet = 0, vae = 0;
    std::vector<aq_handle> towers;  // text is the first
    aq_error error = {};

    explicit nano(int threads = 2, aq_isa isa = AQ_ISA_AUTO, aq_convolution convolution = AQ_CONVOLUTION_AUTO,
                  const family &kind = sd1)
        : kind(kind),
          file(std::string(AQ_GOLDEN_DIR) + "/" + kind.name + "-nano.safetensors"),
          golden(std::string(AQ_GOLDEN_DIR) + "/" + kind.name + "-nano-golden.safetensors") {
        const aq_engine_options options = {threads, isa, convolution};
        const std::vector<aq_tensor> tensors = file.describe();
        const aq_unet_options unet_options = {unet_prefix, kind.heads, kind.head_width, 0};
        const aq_vae_options vae_options = {vae_prefix};
        must(aq_engine_create(&options, &engine, &error));
        must(aq_weights_create(tensors.data(), tensors.size(), &weights, &error));
        for (const char *prefix : kind.text_prefixes) {
            const aq_text_encoder_options text_options = {prefix, 4, AQ_GELU_AUTO};
            towers.push_back(0);
            must(aq_text_encoder_create(engine, weights, &text_options, &towers.back(), &error));
        }
        text = towers.front();
        must(aq_unet_create(engine, weights, &unet_options, &unet, &error));
        must(aq_vae_create(engine, weights, &vae_options, &vae, &error));
    }

    ~nano() {
        for (aq_handle handle : towers) aq_close(handle, nullptr);
        for (aq_handle handle : {unet, vae, weights, engine}) aq_close(handle, nullptr);
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
        if (&kind == &sdxl) {
            const file_tensor &label = golden["adm.cond"];
            call.label = label.floats();
            call.label_count = (uint64_t)label.count();
        }
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

inline std::vector<float> copy(const file_tensor &t) { return {t.floats(), t.floats() + t.count()}; }

// Item `index` of items of `size` values.
inline std::vector<float> part(const std::vector<float> &all, int64_t index, int64_t size) {
    return {all.begin() + index * size, all.begin() + (index + 1) * size};
}

}  // namespace test
