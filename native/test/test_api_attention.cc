// Adapters of cross-attentions against an independent PyTorch implementation of their equations.
#include "nano.h"

using namespace test;

namespace {

constexpr double limit = 2e-5;

struct adapted {
    nano model;
    safetensors_file file;
    aq_handle weights = 0;
    std::vector<aq_handle> adapters;
    int32_t width = 0;

    explicit adapted(const family &kind = sd1)
        : model(2, AQ_ISA_AUTO, AQ_CONVOLUTION_AUTO, kind),
          file(std::string(AQ_GOLDEN_DIR) + "/" + kind.name + "-nano-attention.safetensors") {
        const std::vector<aq_tensor> tensors = file.describe();
        model.must(aq_weights_create(tensors.data(), tensors.size(), &weights, &model.error));
    }
    ~adapted() {
        for (const aq_handle adapter : adapters) aq_close(adapter, nullptr);
        aq_close(weights, nullptr);
    }

    aq_handle open(const char *prefix) {
        const aq_attention_adapter_options options = {prefix};
        adapters.push_back(0);
        model.must(aq_attention_adapter_create(model.unet, weights, &options, &adapters.back(), &width, &model.error));
        return adapters.back();
    }

    std::vector<float> context(const std::string &name) const {
        return copy((name.rfind("golden.", 0) == 0 ? file : model.golden)[name]);
    }

    struct term {
        aq_handle adapter;
        std::vector<float> context;
        float scale;
    };

    aq_status status(const std::vector<std::string> &branches, const std::vector<term> &terms,
                     std::vector<float> &output, int32_t change_tokens = 0) {
        std::vector<float> latents, contexts, labels, times;
        const auto append = [](std::vector<float> &to, const std::vector<float> &from) {
            to.insert(to.end(), from.begin(), from.end());
        };
        for (const std::string &branch : branches) {
            append(latents, context("unet.x.h24w8"));
            append(contexts, context("text." + branch));
            if (&model.kind == &sdxl) append(labels, context("adm." + branch));
            times.push_back(321);
        }
        std::vector<aq_attention_term> list;
        for (const term &t : terms) {
            const int32_t tokens = (int32_t)(t.context.size() / branches.size() / (size_t)width);
            list.push_back({t.adapter, t.context.data(), t.context.size(), tokens + change_tokens, t.scale});
        }
        output.assign(latents.size(), NAN);
        aq_unet_call c = {};
        c.latent = latents.data();
        c.timesteps = times.data();
        c.context = contexts.data();
        c.label = labels.data();
        c.output = output.data();
        c.latent_count = latents.size();
        c.timestep_count = times.size();
        c.context_count = contexts.size();
        c.label_count = labels.size();
        c.output_count = output.size();
        c.batch = (int32_t)branches.size();
        c.height = 24;
        c.width = 8;
        c.tokens = 77;
        c.terms = list.empty() ? nullptr : list.data();
        c.term_count = list.size();
        return aq_unet_evaluate(model.unet, &c, nullptr, &model.error);
    }

    std::vector<float> run(const std::vector<std::string> &branches, const std::vector<term> &terms) {
        std::vector<float> output;
        model.must(status(branches, terms, output));
        return output;
    }
};

std::vector<float> joined(std::vector<float> a, const std::vector<float> &b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

}  // namespace

TEST(terms_are_the_golden_ones_for_each_branch) {
    for (const family *kind : {&sd1, &sdxl}) {
        adapted a(*kind);
        const aq_handle ip = a.open("ip.");
        const std::vector<float> cond = a.context("golden.image.cond"), uncond = a.context("golden.image.uncond");
        CHECK_CLOSE(a.run({"cond"}, {{ip, cond, 0.6f}}), a.context("golden.ip.cond"), limit);
        CHECK_CLOSE(a.run({"uncond"}, {{ip, uncond, 0.6f}}), a.context("golden.ip.uncond"), limit);
        const std::vector<float> both = a.run({"cond", "uncond"}, {{ip, joined(cond, uncond), 0.6f}});
        CHECK_CLOSE(both, joined(a.context("golden.ip.cond"), a.context("golden.ip.uncond")), limit);
    }
}

TEST(matched_terms_are_the_golden_ones) {
    adapted a;
    const aq_handle ip = a.open("ip."), neg = a.open("neg."), pos = a.open("pos.");
    const std::vector<float> cond = a.context("text.cond"), uncond = a.context("text.uncond");
    const std::vector<adapted::term> sun = {{neg, uncond, -1}, {pos, cond, 1}};
    CHECK_CLOSE(a.run({"cond"}, sun), a.context("golden.sun"), limit);
    CHECK_CLOSE(a.run({"cond"}, {sun[0], sun[1], {ip, a.context("golden.image.cond"), 0.6f}}), a.context("golden.both"),
                limit);
    // Norms are those of one image: another one beside it changes nothing.
    const std::vector<float> two =
        a.run({"cond", "uncond"}, {{neg, joined(uncond, cond), -1}, {pos, joined(cond, uncond), 1}});
    CHECK_CLOSE(part(two, 0, (int64_t)two.size() / 2), a.context("golden.sun"), limit);
}

TEST(scale_of_zero_adds_nothing_and_scales_are_of_the_call) {
    adapted a;
    const aq_handle ip = a.open("ip."), neg = a.open("neg.");
    const std::vector<float> image = a.context("golden.image.cond"), plain = a.run({"cond"}, {});
    CHECK(a.run({"cond"}, {{ip, image, 0}}) == plain);
    CHECK(a.run({"cond"}, {{neg, image, 0}}) == plain);
    const std::vector<float> some = a.run({"cond"}, {{ip, image, 0.6f}});
    CHECK(some != plain);
    CHECK(a.run({"cond"}, {{ip, image, 0.3f}}) != some);
    CHECK(a.run({"cond"}, {{ip, image, 0.6f}}) == some);
    CHECK(a.run({"cond"}, {}) == plain);
    // Equal terms of opposite sign cancel, up to rounding.
    CHECK_CLOSE(a.run({"cond"}, {{neg, image, 1}, {neg, image, -1}}), plain, 1e-5);
    // Another context of the same length is read anew.
    CHECK(a.run({"cond"}, {{ip, a.context("golden.image.uncond"), 0.6f}}) != some);
}

TEST(a_matched_term_does_not_depend_on_the_size_of_its_values) {
    adapted a;
    const std::vector<float> text = a.context("text.uncond");
    const std::vector<float> before = a.run({"cond"}, {{a.open("neg."), text, -1}});
    std::vector<aq_tensor> tensors = a.file.describe();
    std::vector<std::vector<uint16_t>> changed;
    for (aq_tensor &t : tensors) {
        const std::string name = t.name, end = ".v.weight";
        if (name.rfind("neg.", 0) != 0 || name.find(end) == std::string::npos) continue;
        const uint16_t *from = (const uint16_t *)t.data;
        changed.emplace_back(from, from + t.size / 2);
        for (uint16_t &half : changed.back()) half += (half & 0x7c00) != 0 ? 0x0800 : 0;  // times 4
        t.data = changed.back().data();
    }
    aq_handle weights = 0;
    a.model.must(aq_weights_create(tensors.data(), tensors.size(), &weights, &a.model.error));
    std::swap(weights, a.weights);
    CHECK_CLOSE(a.run({"cond"}, {{a.open("neg."), text, -1}}), before, 1e-4);  // but for the smallest halves
    aq_close(weights, nullptr);
}

TEST(closed_adapters_leave_no_trace_in_kept_graphs) {
    adapted a;
    const std::vector<float> image = a.context("golden.image.cond");
    aq_handle ip = a.open("ip.");
    const std::vector<float> some = a.run({"cond"}, {{ip, image, 0.6f}});
    a.model.must(aq_close(ip, &a.model.error));
    a.adapters.pop_back();
    std::vector<float> output;
    CHECK(a.status({"cond"}, {{ip, image, 0.6f}}, output) == AQ_CLOSED);
    CHECK(a.run({"cond"}, {{a.open("ip."), image, 0.6f}}) == some);
}

TEST(wrong_adapters_and_terms_are_refused) {
    adapted a, xl(sdxl);
    aq_handle adapter = 5;
    int32_t width = 0;
    const auto message = [&](aq_handle unet, aq_handle weights, const char *prefix) {
        const aq_attention_adapter_options options = {prefix};
        CHECK(aq_attention_adapter_create(unet, weights, &options, &adapter, &width, &a.model.error) ==
              AQ_INVALID_MODEL);
        CHECK(adapter == 0);
        return std::string(a.model.error.message);
    };
    CHECK(message(a.model.unet, a.weights, "none.")
              .find("tensor 'none.input_blocks.1.1.transformer_blocks.0.attn2.k.weight' is missing") !=
          std::string::npos);
    CHECK(message(a.model.unet, xl.weights, "ip.").find("tensor 'ip.input_blocks.1.1") != std::string::npos);
    CHECK(message(xl.model.unet, a.weights, "ip.").find("tensor 'ip.input_blocks.4.1") != std::string::npos);

    const aq_handle ip = a.open("ip.");
    const std::vector<float> image = a.context("golden.image.cond");
    std::vector<float> output;
    CHECK(a.status({"cond"}, {{ip, image, NAN}}, output) == AQ_INVALID_ARGUMENT);
    CHECK(a.status({"cond"}, {{ip, image, 1}}, output, 1) == AQ_INVALID_ARGUMENT);
    CHECK(a.status({"cond"}, {{ip, image, 1}}, output, -4) == AQ_INVALID_ARGUMENT);
    CHECK(a.status({"cond"}, {{a.model.unet, image, 1}}, output) == AQ_INVALID_ARGUMENT);
    CHECK(a.status({"cond"}, std::vector<adapted::term>(17, {ip, image, 0}), output) == AQ_INVALID_ARGUMENT);
    const aq_handle foreign = xl.open("ip.");
    CHECK(a.status({"cond"}, {{foreign, image, 1}}, output) == AQ_INVALID_ARGUMENT);
    const aq_attention_adapter_options options = {"ip."};
    CHECK(aq_attention_adapter_create(a.model.unet, a.weights, &options, nullptr, &width, nullptr) ==
          AQ_INVALID_ARGUMENT);
    CHECK(aq_attention_adapter_create(a.model.unet, a.weights, nullptr, &adapter, &width, nullptr) ==
          AQ_INVALID_ARGUMENT);
}
