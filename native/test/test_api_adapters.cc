// Adapters: computed beside the weights and merged into them they give the same, and wrong ones are refused.
#include <functional>
#include <list>

#include "nano.h"

using namespace test;

namespace {

// Makes changes with random parts, and holds their values.
class changes {
public:
    explicit changes(unsigned seed) : random_(seed) {}

    std::vector<aq_adapter_change> list;

    aq_adapter_change &add(const std::string &target, aq_adapter_kind kind, float factor) {
        names_.push_back(target);
        aq_adapter_change c = {};
        c.target = names_.back().c_str();
        c.kind = kind;
        c.factor = factor;
        list.push_back(c);
        return list.back();
    }

    aq_tensor part(std::vector<int64_t> shape, double mean = 0, double spread = 0.3) {
        int64_t count = 1;
        for (const int64_t side : shape) count *= side;
        values_.push_back(random_.values(count, spread));
        for (float &x : values_.back()) x += (float)mean;
        aq_tensor t = {"", values_.back().data(), (uint64_t)count * 4, {1, 1, 1, 1}, (int32_t)shape.size(), 0};
        for (size_t i = 0; i < shape.size(); i++) t.shape[i] = shape[i];
        return t;
    }

    aq_handle create(const nano &) const {
        aq_handle made = 0;
        aq_error error;
        if (aq_adapter_create(list.data(), list.size(), &made, &error) != AQ_OK) printf("%s\n", error.message);
        CHECK(made != 0);
        return made;
    }

private:
    random_numbers random_;
    std::list<std::string> names_;
    std::list<std::vector<float>> values_;
};

const std::string unet = unet_prefix;
const std::string attention = unet + "input_blocks.1.1.transformer_blocks.0.";

// Every kind of layer with a LoRA: matrices, 1 x 1 and 3 x 3 kernels, Winograd's and strided ones, layers with an
// activation, of the text, and with a core.
void add_loras(changes &c) {
    const auto lora = [&](const std::string &name, int64_t outputs, std::vector<int64_t> down, int64_t rank) {
        aq_adapter_change &change = c.add(name, AQ_ADAPTER_LORA, 0.5f);
        down.insert(down.begin(), rank);
        change.first = {c.part({outputs, rank}), c.part(down), {}};
    };
    lora(attention + "attn1.to_q.weight", 32, {32}, 4);
    lora(attention + "attn2.to_k.weight", 32, {64}, 2);
    lora(attention + "attn2.to_out.0.weight", 32, {32}, 7);
    lora(attention + "ff.net.0.proj.weight", 256, {32}, 4);
    lora(unet + "time_embed.0.weight", 128, {32}, 3);
    lora(unet + "input_blocks.1.0.in_layers.2.weight", 32, {32, 3, 3}, 4);
    lora(unet + "input_blocks.1.0.emb_layers.1.weight", 32, {128}, 4);
    lora(unet + "input_blocks.1.1.proj_in.weight", 32, {32, 1, 1}, 4);
    aq_adapter_change &cored = c.add(unet + "middle_block.0.out_layers.3.weight", AQ_ADAPTER_LORA, 0.25f);
    cored.first = {c.part({64, 4, 1, 1}), c.part({5, 64, 1, 1}), c.part({4, 5, 3, 3})};
    lora(std::string(text_prefix) + "encoder.layers.0.mlp.fc1.weight", 256, {64}, 4);
    lora(std::string(text_prefix) + "encoder.layers.1.self_attn.v_proj.weight", 64, {64}, 4);
}

void add_others(changes &c) {
    aq_adapter_change &loha = c.add(attention + "attn1.to_v.weight", AQ_ADAPTER_LOHA, 0.5f);
    loha.first = {c.part({32, 3}), c.part({3, 32}), {}};
    loha.second = {c.part({32, 3}), c.part({3, 32}), {}};
    aq_adapter_change &cored = c.add(unet + "middle_block.2.in_layers.2.weight", AQ_ADAPTER_LOHA, 0.5f);
    cored.first = {c.part({3, 64}), c.part({3, 64}), c.part({3, 3, 3, 3})};
    cored.second = {c.part({3, 64}), c.part({3, 64}), c.part({3, 3, 3, 3})};
    aq_adapter_change &lokr = c.add(unet + "input_blocks.1.0.out_layers.3.weight", AQ_ADAPTER_LOKR, 0.2f);
    lokr.first = {c.part({4, 4}), {}, {}};
    lokr.second = {c.part({8, 2}), c.part({2, 8, 3, 3}), {}};
    aq_adapter_change &dora = c.add(attention + "attn1.to_k.weight", AQ_ADAPTER_LORA, 0.5f);
    dora.first = {c.part({32, 4}), c.part({4, 32}), {}};
    dora.magnitude = c.part({32, 1}, 1.2, 0.2);
    aq_adapter_change &inward = c.add(unet + "middle_block.0.in_layers.2.weight", AQ_ADAPTER_LORA, 0.5f);
    inward.first = {c.part({64, 4, 1, 1}), c.part({4, 64, 3, 3}), {}};
    inward.magnitude = c.part({1, 64, 1, 1}, 2, 0.2);
    c.add(unet + "out.2.weight", AQ_ADAPTER_FULL, 1).first.a = c.part({4, 32, 3, 3}, 0, 0.05);
    c.add(unet + "out.2.bias", AQ_ADAPTER_FULL, 1).first.a = c.part({4});
    c.add(unet + "out.0.weight", AQ_ADAPTER_FULL, 1).first.a = c.part({32});
    c.add(attention + "norm2.bias", AQ_ADAPTER_FULL, 1).first.a = c.part({32});
}

std::vector<float> evaluate(const nano &m, aq_handle network) {
    const float timestep = 500;
    std::vector<float> output;
    const aq_unet_call call = m.unet_call(m.golden["unet.x"], &timestep, output);
    aq_error error;
    const aq_status status = aq_unet_evaluate(network, &call, nullptr, &error);
    if (status != AQ_OK) printf("%s\n", error.message);
    CHECK(status == AQ_OK);
    return output;
}

std::vector<float> encode(const nano &m, aq_handle tower) {
    std::vector<int32_t> tokens;
    for (int i = 0; i < 77; i++) tokens.push_back((int32_t)((const int64_t *)m.golden["ids.cond"].data)[i]);
    std::vector<float> output(77 * 64, NAN);
    const aq_text_encoder_call call = {
        tokens.data(), output.data(), nullptr, 77, output.size(), 0, 1, 77, 0, 1, nullptr, 0};
    CHECK(aq_text_encoder_encode(tower, &call, nullptr, nullptr) == AQ_OK);
    return output;
}

// The model's networks on weights with the adapters in them.
class merged {
public:
    merged(const nano &m, const std::vector<aq_handle> &adapters, const std::vector<float> &scales) {
        std::vector<aq_tensor> tensors = m.file.describe();
        for (aq_tensor &t : tensors) {
            values_.emplace_back(t.size / 2);
            std::vector<float> &v = values_.back();
            const aq_merge_call call = {t, v.data(), v.size(), adapters.data(), scales.data(), adapters.size()};
            m.must(aq_merge(&call, nullptr));
            t.data = v.data();
            t.size = v.size() * 4;
            t.type = 0;
        }
        const aq_unet_options unet_options = {unet_prefix, m.kind.heads, m.kind.head_width, AQ_ROUTER_SIGMOID};
        const aq_text_encoder_options text_options = {m.kind.text_prefixes.back(), 4, AQ_GELU_AUTO};
        m.must(aq_weights_create(tensors.data(), tensors.size(), &weights_, nullptr));
        m.must(aq_unet_create(m.engine, weights_, &unet_options, &unet, nullptr));
        m.must(aq_text_encoder_create(m.engine, weights_, &text_options, &text, nullptr));
    }
    ~merged() {
        for (const aq_handle handle : {unet, text, weights_}) aq_close(handle, nullptr);
    }

    aq_handle unet = 0, text = 0;

private:
    std::list<std::vector<float>> values_;
    aq_handle weights_ = 0;
};

void adapt(const nano &m, const std::vector<aq_handle> &adapters, const std::vector<float> &scales) {
    for (const aq_handle network : {m.unet, m.towers.back()}) {
        aq_error error;
        const aq_status status = aq_adapt(network, adapters.data(), scales.data(), adapters.size(), &error);
        if (status != AQ_OK) printf("%s\n", error.message);
        CHECK(status == AQ_OK);
    }
}

// `limit`: of the largest value; copies of changed weights are F16 here.
void compare(const nano &m, const std::vector<aq_handle> &adapters, const std::vector<float> &scales, double limit) {
    const merged other(m, adapters, scales);
    const std::vector<float> plain = evaluate(m, m.unet);
    adapt(m, adapters, scales);
    CHECK(evaluate(m, m.unet) != plain);
    CHECK_CLOSE(evaluate(m, m.unet), evaluate(m, other.unet), limit);
    CHECK_CLOSE(encode(m, m.towers.back()), encode(m, other.text), limit);
    adapt(m, {}, {});
    CHECK(evaluate(m, m.unet) == plain);
}

aq_status create(const changes &c, std::string *message = nullptr) {
    aq_handle made = 0;
    aq_error error = {};
    const aq_status status = aq_adapter_create(c.list.data(), c.list.size(), &made, &error);
    if (message != nullptr) *message = error.message;
    if (made != 0) aq_close(made, nullptr);
    return status;
}

}  // namespace

TEST(loras_beside_the_weights_and_in_them_give_the_same) {
    for (const aq_convolution convolution : {AQ_CONVOLUTION_DIRECT, AQ_CONVOLUTION_WINOGRAD}) {
        const nano m(2, AQ_ISA_AUTO, convolution);
        changes one(1), two(2);
        add_loras(one);
        add_loras(two);
        const aq_handle a = one.create(m), b = two.create(m);
        compare(m, {a}, {0.8f}, 1e-5);
        compare(m, {a, b}, {0.8f, -0.4f}, 1e-5);
        compare(m, {a, b, a, b, a}, {0.8f, -0.4f, 0.1f, 0.1f, 0.2f}, 1e-5);
        compare(m, {a, b, a, b, a, b}, {0.8f, -0.4f, 0.1f, 0.1f, 0.2f, 0.1f}, 1e-3);  // too many for one node
        aq_close(a, nullptr);
        aq_close(b, nullptr);
    }
}

TEST(other_kinds_beside_the_weights_and_in_them_give_the_same) {
    const nano m(2);
    changes one(3), two(4);
    add_others(one);
    add_others(two);
    add_loras(two);
    const aq_handle a = one.create(m), b = two.create(m);
    compare(m, {a}, {1}, 1e-3);
    compare(m, {b, a}, {0.5f, 0.7f}, 1e-3);
    aq_close(a, nullptr);
    aq_close(b, nullptr);
}

TEST(thirds_of_a_joined_matrix) {
    const nano m(2, AQ_ISA_AUTO, AQ_CONVOLUTION_AUTO, sdxl);
    const std::string block = "conditioner.embedders.1.model.transformer.resblocks.0.attn.";
    changes c(5);
    for (const char *third : {"/0", "/2"}) {
        c.add(block + "in_proj_weight" + third, AQ_ADAPTER_LORA, 1).first = {c.part({64, 4}), c.part({4, 64}), {}};
    }
    c.add(block + "in_proj_bias/1", AQ_ADAPTER_FULL, 1).first.a = c.part({64});
    c.add(block + "in_proj_weight/1", AQ_ADAPTER_FULL, 1).first.a = c.part({64, 64});
    const aq_handle a = c.create(m);
    const merged other(m, {a}, {1});
    const std::vector<float> plain = encode(m, m.towers.back());
    adapt(m, {a}, {1});
    CHECK(encode(m, m.towers.back()) != plain);
    CHECK_CLOSE(encode(m, m.towers.back()), encode(m, other.text), 1e-3);
    aq_close(a, nullptr);  // the networks keep it
    CHECK_CLOSE(encode(m, m.towers.back()), encode(m, other.text), 1e-3);
}

TEST(changes_written_out) {
    const nano m(1);
    const std::string name = "w";
    std::vector<float> w = {1, -2, 3, 0.5f, 4, -1};  // [3][2]
    aq_tensor tensor = {name.c_str(), w.data(), 24, {3, 2, 1, 1}, 2, 0};
    const auto apply = [&](const changes &c, float scale) {
        const aq_handle a = c.create(m);
        std::vector<float> out(6);
        const aq_merge_call call = {tensor, out.data(), 6, &a, &scale, 1};
        m.must(aq_merge(&call, nullptr));
        aq_close(a, nullptr);
        return out;
    };
    const auto value = [](const aq_tensor &t, int i) { return ((const float *)t.data)[i]; };

    changes lora(6);
    aq_adapter_change &l = lora.add(name, AQ_ADAPTER_LORA, 0.5f);
    l.first = {lora.part({3, 2}), lora.part({2, 2}), {}};
    std::vector<double> low(6);
    for (int o = 0; o < 3; o++) {
        for (int i = 0; i < 2; i++) {
            for (int r = 0; r < 2; r++)
                low[o * 2 + i] += 0.5 * value(l.first.a, o * 2 + r) * value(l.first.b, r * 2 + i);
        }
    }
    std::vector<double> expected(6);
    for (int i = 0; i < 6; i++) expected[i] = w[i] + 2 * low[i];
    CHECK_NEAR(apply(lora, 2), expected, 1e-5);

    l.magnitude = lora.part({3});
    for (int o = 0; o < 3; o++) {
        const double x = w[o * 2] + low[o * 2], y = w[o * 2 + 1] + low[o * 2 + 1], norm = sqrt(x * x + y * y);
        const double m_o = value(l.magnitude, o);
        expected[o * 2] = w[o * 2] + 2 * (m_o * x / norm - w[o * 2]);
        expected[o * 2 + 1] = w[o * 2 + 1] + 2 * (m_o * y / norm - w[o * 2 + 1]);
    }
    CHECK_NEAR(apply(lora, 2), expected, 1e-5);

    changes lokr(7);
    aq_adapter_change &k = lokr.add(name, AQ_ADAPTER_LOKR, 1);
    k.first.a = lokr.part({3, 1});
    k.second.a = lokr.part({1, 2});
    for (int o = 0; o < 3; o++) {
        for (int i = 0; i < 2; i++) expected[o * 2 + i] = w[o * 2 + i] + value(k.first.a, o) * value(k.second.a, i);
    }
    CHECK_NEAR(apply(lokr, 1), expected, 1e-5);
}

TEST(parts_that_do_not_fit_are_refused) {
    std::string message;
    const auto refused = [&](const std::function<void(changes &)> &make) {
        changes c(8);
        make(c);
        return create(c, &message) == AQ_INVALID_MODEL && message.find("'w'") != std::string::npos;
    };
    CHECK(refused([](changes &c) { c.add("w", AQ_ADAPTER_LORA, 1); }));
    CHECK(refused([](changes &c) { c.add("w", AQ_ADAPTER_LORA, 1).first.a = c.part({3, 2}); }));
    CHECK(refused([](changes &c) { c.add("w", AQ_ADAPTER_LORA, 1).first = {c.part({3, 2}), c.part({3, 4}), {}}; }));
    CHECK(refused([](changes &c) { c.add("w", AQ_ADAPTER_LORA, 1).first = {c.part({2}), c.part({1, 4}), {}}; }));
    CHECK(refused([](changes &c) { c.add("w", AQ_ADAPTER_LORA, NAN).first = {c.part({3, 2}), c.part({2, 4}), {}}; }));
    CHECK(refused([](changes &c) {
        c.add("w", AQ_ADAPTER_LORA, 1).first = {c.part({3, 2}), c.part({2, 4}), c.part({3, 2, 3, 3})};
    }));
    CHECK(refused([](changes &c) {
        c.add("w", AQ_ADAPTER_LORA, 1).first = {c.part({3, 2}), c.part({2, 4}), c.part({2, 3, 3, 3})};
    }));
    CHECK(refused([](changes &c) { c.add("w", AQ_ADAPTER_LOHA, 1).first = {c.part({3, 2}), c.part({2, 4}), {}}; }));
    CHECK(refused([](changes &c) {
        for (int i = 0; i < 2; i++) c.add("w", AQ_ADAPTER_FULL, 1).first.a = c.part({3});
    }));
    CHECK(refused([](changes &c) {
        aq_adapter_change &change = c.add("w", AQ_ADAPTER_FULL, 1);
        change.first.a = c.part({3});
        change.first.a.size = 4;
    }));
}

TEST(shapes_that_do_not_fit_the_model_are_refused_and_change_nothing) {
    const nano m(1);
    const std::vector<float> plain = evaluate(m, m.unet);
    const std::string q = attention + "attn1.to_q.weight", kernel = unet + "input_blocks.1.0.in_layers.2.weight";
    const auto refused = [&](const std::string &target, aq_adapter_factor factor, aq_tensor magnitude = {}) {
        changes c(9);
        aq_adapter_change &change = c.add(target, AQ_ADAPTER_LORA, 1);
        change.first = factor;
        change.magnitude = magnitude;
        const aq_handle a = c.create(m);
        const float scale = 1;
        aq_error error = {};
        const aq_status status = aq_adapt(m.unet, &a, &scale, 1, &error);
        aq_close(a, nullptr);
        return status == AQ_INVALID_MODEL && std::string(error.message).find(target) != std::string::npos;
    };
    changes c(10);
    CHECK(refused(q, {c.part({32, 4}), c.part({4, 33}), {}}));
    CHECK(refused(q, {c.part({64, 4}), c.part({4, 16}), {}}));
    CHECK(refused(q, {c.part({32, 4}), c.part({4, 32}), {}}, c.part({5})));
    CHECK(refused(kernel, {c.part({32, 4}), c.part({4, 32}), {}}));
    CHECK(refused(kernel, {c.part({32, 4}), c.part({4, 288}), c.part({4, 4, 1, 1})}));
    CHECK(refused(attention + "norm1.weight", {c.part({1, 4}), c.part({4, 32}), {}}));
    CHECK(evaluate(m, m.unet) == plain);
}

TEST(wrong_arguments_are_refused) {
    const nano m(1);
    changes c(11);
    add_loras(c);
    const aq_handle a = c.create(m);
    const float scale = 1, nan = NAN;
    aq_handle made = 0;
    CHECK(aq_adapter_create(nullptr, 1, &made, nullptr) == AQ_INVALID_ARGUMENT);
    CHECK(aq_adapter_create(c.list.data(), 0, &made, nullptr) == AQ_INVALID_ARGUMENT);
    CHECK(aq_adapter_create(c.list.data(), 1, nullptr, nullptr) == AQ_INVALID_ARGUMENT);
    std::vector<aq_adapter_change> odd = c.list;
    odd[0].kind = 4;
    CHECK(aq_adapter_create(odd.data(), odd.size(), &made, nullptr) == AQ_INVALID_ARGUMENT);
    odd[0].target = nullptr;
    CHECK(aq_adapter_create(odd.data(), odd.size(), &made, nullptr) == AQ_INVALID_ARGUMENT);
    CHECK(aq_adapt(m.unet, nullptr, &scale, 1, nullptr) == AQ_INVALID_ARGUMENT);
    CHECK(aq_adapt(m.unet, &a, nullptr, 1, nullptr) == AQ_INVALID_ARGUMENT);
    CHECK(aq_adapt(m.unet, &a, &nan, 1, nullptr) == AQ_INVALID_ARGUMENT);
    CHECK(aq_adapt(m.unet, &m.unet, &scale, 1, nullptr) == AQ_INVALID_ARGUMENT);
    CHECK(aq_adapt(m.vae, &a, &scale, 1, nullptr) == AQ_INVALID_ARGUMENT);
    CHECK(aq_adapt(m.engine, &a, &scale, 1, nullptr) == AQ_INVALID_ARGUMENT);
    CHECK(aq_adapt(m.unet, &a, &scale, UINT64_MAX, nullptr) == AQ_INVALID_ARGUMENT);
    float value = 0;
    aq_merge_call merge = {{"x", &value, 4, {1, 1, 1, 1}, 1, 0}, &value, 1, &a, &scale, 1};
    CHECK(aq_merge(&merge, nullptr) == AQ_OK);
    CHECK(aq_merge(nullptr, nullptr) == AQ_INVALID_ARGUMENT);
    merge.output_count = 2;
    CHECK(aq_merge(&merge, nullptr) == AQ_INVALID_ARGUMENT);
    merge.output_count = 1;
    merge.tensor.name = nullptr;
    CHECK(aq_merge(&merge, nullptr) == AQ_INVALID_ARGUMENT);
    merge.tensor.name = "x";
    merge.tensor.data = nullptr;
    CHECK(aq_merge(&merge, nullptr) == AQ_INVALID_MODEL);
    aq_close(a, nullptr);
    CHECK(aq_adapt(m.unet, &a, &scale, 1, nullptr) == AQ_CLOSED);
}

TEST(words_stand_for_embeddings) {
    const nano m(1);
    const file_tensor &table = m.file[std::string(text_prefix) + "embeddings.token_embedding.weight"];
    const file_tensor &ids = m.golden["ids.cond"];
    std::vector<int32_t> plain, with;
    for (int i = 0; i < 77; i++) plain.push_back((int32_t)((const int64_t *)ids.data)[i]);
    with = plain;
    with[3] = 1001;
    // The second word is what the third token of the prompt was.
    std::vector<float> words(128, 5.0f);
    const uint16_t *row = (const uint16_t *)table.data + plain[3] * 64;
    for (int i = 0; i < 64; i++) {
        const int exponent = row[i] >> 10 & 31, fraction = row[i] & 1023;
        const double size = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
        words[(size_t)(64 + i)] = (float)(row[i] & 0x8000 ? -size : size);
    }
    struct result {
        std::vector<float> hidden = std::vector<float>(77 * 64, NAN), pooled = std::vector<float>(64, NAN);
        aq_status status;
    };
    const auto run = [&](const std::vector<int32_t> &tokens, const float *more, uint64_t count) {
        result r;
        const aq_text_encoder_call call = {
            tokens.data(), r.hidden.data(), r.pooled.data(), 77, r.hidden.size(), r.pooled.size(), 1, 77, 0, 1, more,
            count};
        r.status = aq_text_encoder_encode(m.text, &call, nullptr, nullptr);
        return r;
    };
    const result expected = run(plain, nullptr, 0), actual = run(with, words.data(), 2);
    CHECK(expected.status == AQ_OK && actual.status == AQ_OK);
    CHECK(actual.hidden == expected.hidden);
    CHECK(actual.pooled == expected.pooled);  // the word's id is the largest, but no end of text
    CHECK(run(with, words.data(), 1).status == AQ_INVALID_ARGUMENT);
    CHECK(run(with, nullptr, 2).status == AQ_INVALID_ARGUMENT);
}
