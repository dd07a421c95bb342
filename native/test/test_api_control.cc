// Control nets against an independent PyTorch implementation, and against themselves where results must be equal.
#include "control.h"

using namespace test;

namespace {

constexpr double limit = 2e-5;
constexpr int32_t height = 24, width = 8;

struct controlled {
    nano model;
    control_weights weights;
    aq_handle opened = 0, net = 0;
    std::vector<uint64_t> lengths;
    uint64_t floats = 0;
    std::vector<float> hint = hint_picture(8 * height, 8 * width);
    float timestep = 321;

    explicit controlled(const family &kind = sd1) : model(2, AQ_ISA_AUTO, AQ_CONVOLUTION_AUTO, kind), weights(model) {
        opened = weights.open();
        const aq_control_net_options options = {control_prefix};
        model.must(aq_control_net_create(model.unet, opened, &options, &net, &model.error));
        aq_unet_info info;
        model.must(aq_unet_get_info(model.unet, &info, &model.error));
        lengths.resize((size_t)info.residuals);
        model.must(aq_unet_get_residuals(model.unet, height, width, lengths.data(), lengths.size(), &model.error));
        for (const uint64_t length : lengths) floats += length;
    }
    ~controlled() {
        aq_close(net, nullptr);
        aq_close(opened, nullptr);
    }

    std::vector<float> latent() const { return copy(model.golden["unet.x.h24w8"]); }
    std::vector<float> context(const std::string &branch) const { return copy(model.golden["text." + branch]); }
    std::vector<float> label(const std::string &branch) const {
        return &model.kind == &sdxl ? copy(model.golden["adm." + branch]) : std::vector<float>();
    }

    // What goes into a call of both networks.
    struct inputs {
        std::vector<float> latents, timesteps, contexts, labels;
    };
    inputs of(const std::vector<std::string> &branches) const {
        inputs in;
        for (const std::string &branch : branches) {
            const auto append = [](std::vector<float> &to, const std::vector<float> &from) {
                to.insert(to.end(), from.begin(), from.end());
            };
            append(in.latents, latent());
            append(in.contexts, context(branch));
            append(in.labels, label(branch));
            in.timesteps.push_back(timestep);
        }
        return in;
    }

    aq_control_net_call call(const inputs &in, std::vector<float *> &residuals) const {
        aq_control_net_call c = {};
        c.latent = in.latents.data();
        c.timesteps = in.timesteps.data();
        c.context = in.contexts.data();
        c.label = in.labels.data();
        c.hint = hint.data();
        c.residuals = residuals.data();
        c.latent_count = in.latents.size();
        c.timestep_count = in.timesteps.size();
        c.context_count = in.contexts.size();
        c.label_count = in.labels.size();
        c.hint_count = hint.size();
        c.residual_count = floats;
        c.batch = (int32_t)in.timesteps.size();
        c.height = height;
        c.width = width;
        c.tokens = 77;
        c.scale = 1;
        return c;
    }

    // [images][floats]
    std::vector<std::vector<float>> residuals(const std::vector<std::string> &branches, float scale = 1,
                                              const uint8_t *wanted = nullptr) {
        std::vector<std::vector<float>> result(branches.size(), std::vector<float>(floats, NAN));
        write(branches, result, scale, false, wanted);
        return result;
    }

    void write(const std::vector<std::string> &branches, std::vector<std::vector<float>> &to, float scale, bool adds,
               const uint8_t *wanted = nullptr) {
        const inputs in = of(branches);
        std::vector<float *> places;
        for (auto &image : to) places.push_back(image.data());
        aq_control_net_call c = call(in, places);
        c.scale = scale;
        c.adds = adds;
        c.wanted = wanted;
        c.wanted_count = lengths.size();
        model.must(aq_control_net_evaluate(net, &c, nullptr, &model.error));
    }

    aq_unet_call unet_call(const inputs &in, const std::vector<const float *> &places, std::vector<float> &output) {
        aq_unet_call c = {};
        output.assign(in.latents.size(), NAN);
        c.latent = in.latents.data();
        c.timesteps = in.timesteps.data();
        c.context = in.contexts.data();
        c.label = in.labels.data();
        c.output = output.data();
        c.latent_count = in.latents.size();
        c.timestep_count = in.timesteps.size();
        c.context_count = in.contexts.size();
        c.label_count = in.labels.size();
        c.output_count = output.size();
        c.batch = (int32_t)in.timesteps.size();
        c.height = height;
        c.width = width;
        c.tokens = 77;
        c.residuals = places.empty() ? nullptr : places.data();
        c.residual_count = floats;
        return c;
    }

    std::vector<float> unet(const std::vector<std::string> &branches, const std::vector<std::vector<float>> &added,
                            const std::vector<uint8_t> &actions = {}, const std::vector<aq_handle> &caches = {}) {
        const inputs in = of(branches);
        std::vector<const float *> places;
        for (const auto &image : added) places.push_back(image.data());
        std::vector<float> output;
        aq_unet_call c = unet_call(in, places, output);
        c.actions = actions.empty() ? nullptr : actions.data();
        c.action_count = actions.size();
        c.caches = caches.empty() ? nullptr : caches.data();
        c.cache_count = caches.size();
        model.must(aq_unet_evaluate(model.unet, &c, nullptr, &model.error));
        return output;
    }

    // One action for a unit, the others computed.
    std::vector<uint8_t> actions(const std::string &name, uint8_t action) {
        aq_unet_info info;
        model.must(aq_unet_get_info(model.unet, &info, &model.error));
        std::vector<aq_unit> units((size_t)info.units);
        model.must(aq_unet_get_units(model.unet, units.data(), units.size(), &model.error));
        std::vector<uint8_t> result;
        for (const aq_unit &u : units) result.push_back(name == u.name ? action : (uint8_t)AQ_COMPUTE);
        return result;
    }

    std::vector<uint8_t> read(const std::vector<uint8_t> &actions) {
        aq_unet_call c = {};
        c.batch = 1;
        c.height = height;
        c.width = width;
        c.tokens = 77;
        c.actions = actions.data();
        c.action_count = actions.size();
        std::vector<uint8_t> result(lengths.size(), 7);
        model.must(aq_unet_get_residuals_read(model.unet, &c, result.data(), result.size(), &model.error));
        return result;
    }
};

std::vector<float> every_seventh(const std::vector<float> &all) {
    std::vector<float> some;
    for (size_t i = 0; i < all.size(); i += 7) some.push_back(all[i]);
    return some;
}

}  // namespace

TEST(residuals_and_controlled_outputs_are_the_golden_ones) {
    for (const family *kind : {&sd1, &sdxl}) {
        controlled c(*kind);
        const safetensors_file &golden = c.weights.file;
        const int64_t *lengths = (const int64_t *)golden["golden.lengths"].data;
        for (size_t i = 0; i < c.lengths.size(); i++) CHECK((int64_t)c.lengths[i] == lengths[i]);
        for (const std::string branch : {"cond", "uncond"}) {
            describe("%s %s", kind->name, branch.c_str());
            const auto added = c.residuals({branch});
            CHECK_CLOSE(every_seventh(added[0]), copy(golden["golden.residuals." + branch]), limit);
            CHECK_CLOSE(c.unet({branch}, added), copy(golden["golden.eps." + branch + ".1.0"]), limit);
            CHECK_CLOSE(c.unet({branch}, c.residuals({branch}, 0.7f)), copy(golden["golden.eps." + branch + ".0.7"]),
                        limit);
        }
    }
}

TEST(branches_of_a_batch_are_as_alone) {
    for (const family *kind : {&sd1, &sdxl}) {
        controlled c(*kind);
        const auto both = c.residuals({"cond", "uncond"});
        CHECK_CLOSE(both[0], c.residuals({"cond"})[0], 1e-6);
        CHECK_CLOSE(both[1], c.residuals({"uncond"})[0], 1e-6);
        const std::vector<float> output = c.unet({"cond", "uncond"}, both);
        const int64_t half = (int64_t)output.size() / 2;
        CHECK_CLOSE(part(output, 0, half), copy(c.weights.file["golden.eps.cond.1.0"]), limit);
        CHECK_CLOSE(part(output, 1, half), copy(c.weights.file["golden.eps.uncond.1.0"]), limit);
    }
}

TEST(two_control_nets_add_up) {
    for (const family *kind : {&sd1, &sdxl}) {
        controlled c(*kind);
        auto sum = c.residuals({"cond"}, 0.7f);
        c.hint = hint_picture(8 * height, 8 * width, true);
        c.write({"cond"}, sum, 0.4f, true);
        CHECK_CLOSE(c.unet({"cond"}, sum), copy(c.weights.file["golden.eps.two"]), limit);
    }
}

TEST(residuals_of_zero_change_no_bit) {
    controlled c;
    CHECK(c.unet({"cond"}, {}) == c.unet({"cond"}, {std::vector<float>(c.floats, 0.0f)}));
    CHECK(c.unet({"cond"}, {}) == c.unet({"cond"}, c.residuals({"cond"}, 0)));
}

TEST(only_what_is_wanted_is_computed_and_it_is_the_same) {
    controlled c;
    const auto all = c.residuals({"cond"});
    for (size_t wanted = 0; wanted < c.lengths.size(); wanted++) {
        std::vector<uint8_t> flags(c.lengths.size(), 0);
        flags[wanted] = 1;
        aq_control control = {};
        const auto in = c.of({"cond"});
        std::vector<float> result(c.floats, NAN);
        std::vector<float *> places = {result.data()};
        aq_control_net_call call = c.call(in, places);
        call.wanted = flags.data();
        call.wanted_count = flags.size();
        c.model.must(aq_control_net_evaluate(c.net, &call, &control, &c.model.error));
        uint64_t start = 0;
        for (size_t r = 0; r < c.lengths.size(); start += c.lengths[r++]) {
            for (uint64_t i = start; i < start + c.lengths[r]; i++) {
                if (!CHECK(r == wanted ? result[i] == all[0][i] : isnan(result[i]))) break;
            }
        }
        // Time embedding, first convolution, sum and residual; a whole encoder for the last one.
        CHECK(wanted == 0 ? control.nodes_total < 12 : control.nodes_total > 12);
    }
    // Nothing wanted: nothing done.
    const std::vector<uint8_t> none(c.lengths.size(), 0);
    CHECK(isnan(c.residuals({"cond"}, 1, none.data())[0][0]));
}

TEST(estimates_count_what_is_wanted) {
    controlled c;
    aq_control_net_call call = {};
    call.batch = 1;
    call.height = height;
    call.width = width;
    call.tokens = 77;
    double all = 0, some = -1;
    c.model.must(aq_control_net_estimate(c.net, &call, &all, &c.model.error));
    std::vector<uint8_t> wanted(c.lengths.size(), 0);
    call.wanted = wanted.data();
    call.wanted_count = wanted.size();
    c.model.must(aq_control_net_estimate(c.net, &call, &some, &c.model.error));
    CHECK(some == 0);
    double before = 0;
    for (uint8_t &one : wanted) {
        one = 1;
        c.model.must(aq_control_net_estimate(c.net, &call, &some, &c.model.error));
        CHECK(some > before);
        before = some;
    }
    CHECK(some == all);
    // It may come before the first picture and changes nothing of it.
    controlled fresh;
    CHECK(c.residuals({"cond"}) == fresh.residuals({"cond"}));

    CHECK(aq_control_net_estimate(c.net, &call, nullptr, &c.model.error) == AQ_INVALID_ARGUMENT);
    CHECK(aq_control_net_estimate(c.net, nullptr, &all, &c.model.error) == AQ_INVALID_ARGUMENT);
    CHECK(aq_control_net_estimate(c.model.unet, &call, &all, &c.model.error) == AQ_INVALID_ARGUMENT);
    call.wanted_count--;
    CHECK(aq_control_net_estimate(c.net, &call, &all, &c.model.error) == AQ_INVALID_ARGUMENT);
    call.wanted_count++;
    call.tokens = 0;
    CHECK(aq_control_net_estimate(c.net, &call, &all, &c.model.error) == AQ_INVALID_ARGUMENT);
}

TEST(plans_that_reuse_deep_features_read_few_residuals_and_lose_nothing) {
    controlled c;
    CHECK(c.read(c.actions("none", 0)) == std::vector<uint8_t>(7, 1));
    // The outermost decoder block takes the first convolution's output; all others are reused.
    const auto reuse = c.actions("output_blocks.4", AQ_REUSE);
    const std::vector<uint8_t> needed = c.read(reuse);
    CHECK((needed == std::vector<uint8_t>{1, 0, 0, 0, 0, 0, 0}));
    // As stored by a call with the same inputs, so that the output must be that of the whole network.
    aq_handle cache = 0;
    c.model.must(aq_feature_cache_create(c.model.unet, &cache, &c.model.error));
    const auto added = c.residuals({"cond"});
    const auto whole = c.unet({"cond"}, added, c.actions("output_blocks.4", AQ_STORE), {cache});
    const auto again = c.unet({"cond"}, c.residuals({"cond"}, 1, needed.data()), reuse, {cache});
    CHECK(whole == again);
    aq_close(cache, nullptr);
}

TEST(another_picture_or_size_leaves_nothing_behind) {
    controlled c;
    const auto first = c.residuals({"cond"});
    c.hint = hint_picture(8 * height, 8 * width, true);
    CHECK(c.residuals({"cond"}) != first);
    c.hint = hint_picture(8 * height, 8 * width);
    CHECK(c.residuals({"cond"}) == first);
    // The UNet at another size meanwhile, whose memory the control net shares.
    std::vector<float> output;
    const float t = 1;
    aq_unet_call small = c.model.unet_call(c.model.golden["unet.x"], &t, output);
    c.model.must(aq_unet_evaluate(c.model.unet, &small, nullptr, &c.model.error));
    CHECK(c.residuals({"cond"}) == first);
}

TEST(cancelled_calls_leave_nothing_behind) {
    controlled c;
    const auto in = c.of({"cond"});
    std::vector<float> result(c.floats);
    std::vector<float *> places = {result.data()};
    const aq_control_net_call call = c.call(in, places);
    aq_control control = {1, 0, 0};
    CHECK(aq_control_net_evaluate(c.net, &call, &control, &c.model.error) == AQ_CANCELLED);
    CHECK_CLOSE(every_seventh(c.residuals({"cond"})[0]), copy(c.weights.file["golden.residuals.cond"]), limit);
}

TEST(wrong_files_are_refused_with_the_tensor_named) {
    controlled c;
    controlled xl(sdxl);
    const auto refusal = [](controlled &of, aq_handle weights) {
        const aq_control_net_options options = {control_prefix};
        aq_handle net = 5;
        CHECK(aq_control_net_create(of.model.unet, weights, &options, &net, &of.model.error) == AQ_INVALID_MODEL);
        CHECK(net == 0);
        return std::string(of.model.error.message);
    };
    // Made for the other family.
    CHECK(refusal(c, xl.opened).find("tensor 'control_model.label_emb.0.0.weight'") != std::string::npos);
    CHECK(refusal(xl, c.opened).find("tensor 'control_model.label_emb.0.0.weight' is missing") != std::string::npos);
    for (const std::string name :
         {"input_hint_block.0.weight", "zero_convs.3.0.weight", "middle_block_out.0.weight", "input_blocks.0.0.weight",
          "time_embed.0.weight", "input_blocks.4.1.transformer_blocks.0.attn2.to_v.weight",
          "middle_block.0.in_layers.2.weight"}) {
        const aq_handle weights = c.weights.open(name);
        const std::string message = refusal(c, weights);
        if (!CHECK(message.find("control_model." + name) != std::string::npos)) printf("%s\n", message.c_str());
        aq_close(weights, nullptr);
    }
    const aq_handle weights = c.weights.open("input_blocks.5");
    CHECK(refusal(c, weights).find("control_model.input_blocks.5") != std::string::npos);
    aq_close(weights, nullptr);
    // A UNet is no control net.
    CHECK(refusal(c, c.model.weights).find("control_model.") != std::string::npos);
}

TEST(wrong_calls_are_refused) {
    controlled c;
    const auto in = c.of({"cond"});
    std::vector<float> result(c.floats);
    std::vector<float *> places = {result.data()};
    const auto refused = [&](auto change) {
        aq_control_net_call call = c.call(in, places);
        change(call);
        CHECK(aq_control_net_evaluate(c.net, &call, nullptr, &c.model.error) == AQ_INVALID_ARGUMENT);
    };
    refused([](aq_control_net_call &call) { call.hint = nullptr; });
    refused([](aq_control_net_call &call) { call.hint_count--; });
    refused([](aq_control_net_call &call) { call.latent_count++; });
    refused([](aq_control_net_call &call) { call.context_count++; });
    refused([](aq_control_net_call &call) { call.residual_count--; });
    refused([](aq_control_net_call &call) { call.residuals = nullptr; });
    refused([](aq_control_net_call &call) { call.scale = NAN; });
    refused([](aq_control_net_call &call) { call.adds = 2; });
    refused([](aq_control_net_call &call) { call.batch = 0; });
    refused([](aq_control_net_call &call) { call.height = 1 << 20; });
    const uint8_t odd[7] = {1, 1, 1, 1, 1, 1, 9};
    refused([&](aq_control_net_call &call) { call.wanted = odd; });
    refused([&](aq_control_net_call &call) {
        call.wanted = odd;
        call.wanted_count = 7;
    });
    places[0] = nullptr;
    refused([](aq_control_net_call &) {});

    std::vector<float> output;
    std::vector<const float *> one = {result.data()};
    aq_unet_call call = c.unet_call(in, one, output);
    call.residual_count++;
    CHECK(aq_unet_evaluate(c.model.unet, &call, nullptr, &c.model.error) == AQ_INVALID_ARGUMENT);
    one[0] = nullptr;
    call = c.unet_call(in, one, output);
    CHECK(aq_unet_evaluate(c.model.unet, &call, nullptr, &c.model.error) == AQ_INVALID_ARGUMENT);
    CHECK(aq_unet_get_residuals(c.model.unet, 0, 1, c.lengths.data(), 7, nullptr) == AQ_INVALID_ARGUMENT);
    CHECK(aq_unet_get_residuals(c.model.unet, 1, 1, c.lengths.data(), 6, nullptr) == AQ_INVALID_ARGUMENT);
    CHECK(aq_control_net_evaluate(c.model.unet, nullptr, nullptr, nullptr) == AQ_INVALID_ARGUMENT);
}
