// Text towers by both schemes of names, and what they can be asked for.
#include <list>

#include "nano.h"

using namespace test;

namespace {

const char *const open_prefix = "conditioner.embedders.1.model.";

// SDXL's second tower by the names of Hugging Face: queries, keys and values apart, the projection transposed.
class renamed_tower {
public:
    explicit renamed_tower(const safetensors_file &file) {
        for (const aq_tensor &t : file.describe()) {
            std::string name = t.name;
            if (!name.starts_with(open_prefix)) continue;
            name = name.substr(strlen(open_prefix));
            if (name == "text_projection") {
                add("x.text_projection.weight", transposed(t));
                continue;
            }
            replace(name, "transformer.resblocks.", "encoder.layers.");
            replace(name, "positional_embedding", "embeddings.position_embedding.weight");
            replace(name, "token_embedding", "embeddings.token_embedding");
            replace(name, "ln_final", "final_layer_norm");
            replace(name, "ln_", "layer_norm");
            replace(name, "mlp.c_fc", "mlp.fc1");
            replace(name, "mlp.c_proj", "mlp.fc2");
            replace(name, "attn.out_proj", "self_attn.out_proj");
            if (const size_t at = name.find("attn.in_proj_"); at != std::string::npos) {
                for (int part = 0; part < 3; part++) {
                    aq_tensor third = t;
                    third.shape[0] /= 3;
                    third.size /= 3;
                    third.data = (const char *)t.data + (uint64_t)part * third.size;
                    add("x.text_model." + name.substr(0, at) + "self_attn." + "qkv"[part] + "_proj." +
                            name.substr(at + strlen("attn.in_proj_")),
                        third);
                }
            } else {
                add("x.text_model." + name, t);
            }
        }
    }

    std::vector<aq_tensor> tensors;

private:
    static void replace(std::string &text, const std::string &from, const std::string &to) {
        const size_t at = text.find(from);
        if (at != std::string::npos && text.find(to) != at) text.replace(at, from.size(), to);
    }

    void add(const std::string &name, aq_tensor t) {
        names_.push_back(name);
        t.name = names_.back().c_str();
        tensors.push_back(t);
    }

    aq_tensor transposed(aq_tensor t) {
        const auto *from = (const uint16_t *)t.data;
        const int64_t rows = t.shape[0], columns = t.shape[1];
        transposed_.resize((size_t)(rows * columns));
        for (int64_t r = 0; r < rows; r++) {
            for (int64_t c = 0; c < columns; c++) transposed_[(size_t)(c * rows + r)] = from[r * columns + c];
        }
        std::swap(t.shape[0], t.shape[1]);
        t.data = transposed_.data();
        return t;
    }

    std::list<std::string> names_;
    std::vector<uint16_t> transposed_;
};

struct encoding {
    std::vector<float> hidden = std::vector<float>(77 * 64, NAN), pooled = std::vector<float>(64, NAN);
};

encoding encode(const nano &m, aq_handle tower, int32_t skip_layers, int32_t final_norm, bool pools) {
    std::vector<int32_t> tokens;
    for (int i = 0; i < 77; i++) tokens.push_back((int32_t)((const int64_t *)m.golden["ids.cond"].data)[i]);
    encoding e;
    const aq_text_encoder_call call = {tokens.data(),
                                       e.hidden.data(),
                                       pools ? e.pooled.data() : nullptr,
                                       77,
                                       e.hidden.size(),
                                       pools ? e.pooled.size() : 0,
                                       1,
                                       77,
                                       skip_layers,
                                       final_norm,
                                       nullptr,
                                       0};
    aq_error error = {};
    if (aq_text_encoder_encode(tower, &call, nullptr, &error) != AQ_OK) {
        printf("%s\n", error.message);
        exit(2);
    }
    return e;
}

}  // namespace

TEST(both_schemes_of_names_give_one_tower) {
    const nano m(1, AQ_ISA_AUTO, AQ_CONVOLUTION_AUTO, sdxl);
    const renamed_tower renamed(m.file);
    aq_handle weights = 0, exact = 0, quick = 0;
    m.must(aq_weights_create(renamed.tensors.data(), renamed.tensors.size(), &weights, nullptr));
    const aq_text_encoder_options as_exact = {"x.text_model.", 4, AQ_GELU_EXACT};
    const aq_text_encoder_options as_auto = {"x.text_model.", 4, AQ_GELU_AUTO};
    m.must(aq_text_encoder_create(m.engine, weights, &as_exact, &exact, nullptr));
    m.must(aq_text_encoder_create(m.engine, weights, &as_auto, &quick, nullptr));
    const encoding expected = encode(m, m.towers[1], 1, 0, true), actual = encode(m, exact, 1, 0, true);
    CHECK(actual.hidden == expected.hidden);
    CHECK_CLOSE(actual.pooled, copy(m.golden["pooled.cond"]), 1e-4);
    CHECK(encode(m, quick, 1, 0, true).hidden != expected.hidden);
    for (const aq_handle handle : {exact, quick, weights}) aq_close(handle, nullptr);
}

TEST(hidden_states_do_not_depend_on_the_pooled_embedding) {
    const nano m(1, AQ_ISA_AUTO, AQ_CONVOLUTION_AUTO, sdxl);
    for (const int32_t skip : {0, 1, 2}) {
        for (const int32_t norm : {0, 1}) {
            const encoding with = encode(m, m.towers[1], skip, norm, true);
            CHECK(with.hidden == encode(m, m.towers[1], skip, norm, false).hidden);
            CHECK_CLOSE(with.pooled, copy(m.golden["pooled.cond"]), 1e-4);
        }
    }
    CHECK(encode(m, m.towers[1], 1, 0, false).hidden != encode(m, m.towers[1], 1, 1, false).hidden);
    CHECK(encode(m, m.towers[1], 1, 0, false).hidden != encode(m, m.towers[1], 2, 0, false).hidden);
}

TEST(a_tower_without_projection_pools_its_last_state) {
    const nano m(1);
    aq_text_encoder_info info;
    CHECK(aq_text_encoder_get_info(m.text, &info, nullptr) == AQ_OK && info.pooled_width == 64);
    const encoding e = encode(m, m.text, 0, 1, true);
    // The first end mark of seven tokens between begin and end.
    CHECK(std::vector<float>(&e.hidden[8 * 64], &e.hidden[9 * 64]) == e.pooled);
}
