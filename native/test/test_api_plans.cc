// Plans against an independent PyTorch implementation that saves units' outputs in one call and injects them into
// another, or leaves units out; and against the UNet itself where results must be equal to the bit.
#include <functional>
#include <set>

#include "cuts.h"

using namespace test;

namespace {

using actions = std::vector<uint8_t>;
using selector = std::function<bool(const aq_unit &)>;

bool ends_with(const std::string &s, const std::string &end) {
    return s.size() >= end.size() && s.compare(s.size() - end.size(), end.size(), end) == 0;
}

selector of_kind(aq_unit_kind kind) {
    return [kind](const aq_unit &u) { return u.kind == kind; };
}

selector named(const std::string &name) {
    return [name](const aq_unit &u) { return name == u.name; };
}

bool is_sampler(const aq_unit &u) {
    return u.kind == AQ_UNIT_CONVOLUTION && std::string(u.name) != "out" && std::string(u.name) != "input_blocks.0.0";
}

bool is_encoder(const aq_unit &u) { return u.kind == AQ_UNIT_BLOCK && std::string(u.name).rfind("output", 0) != 0; }

// A small UNet, its units, and caches.
struct planned {
    nano model;
    std::vector<aq_unit> units;
    std::vector<aq_handle> caches = {0, 0};
    aq_unet_work work = {};

    explicit planned(const family &kind = sd1, int threads = 2)
        : model(threads, AQ_ISA_AUTO, AQ_CONVOLUTION_AUTO, kind) {
        aq_unet_info info;
        model.must(aq_unet_get_info(model.unet, &info, &model.error));
        units.resize((size_t)info.units);
        model.must(aq_unet_get_units(model.unet, units.data(), units.size(), &model.error));
        for (aq_handle &cache : caches) model.must(aq_feature_cache_create(model.unet, &cache, &model.error));
    }
    ~planned() {
        for (const aq_handle cache : caches) aq_close(cache, nullptr);
    }

    actions all(aq_action action, const selector &which) const {
        actions result;
        for (const aq_unit &u : units) result.push_back(which(u) && (action != AQ_SKIP || u.skippable) ? action : 0);
        return result;
    }

    int working_units() const {
        int count = 0;
        for (const aq_unit &u : units) count += u.kind != AQ_UNIT_BLOCK && u.kind != AQ_UNIT_TRANSFORMER_BLOCK;
        return count;
    }

    aq_status status(const std::string &latent, float timestep, const actions *plan, std::vector<float> &output,
                     size_t cache = 0) {
        aq_unet_call call = model.unet_call(model.golden[latent], &timestep, output);
        if (plan != nullptr) {
            call.actions = plan->data();
            call.action_count = plan->size();
            call.caches = &caches[cache];
            call.cache_count = 1;
        }
        call.work = &work;
        return aq_unet_evaluate(model.unet, &call, nullptr, &model.error);
    }

    std::vector<float> run(const std::string &latent, float timestep, const actions *plan = nullptr, size_t cache = 0) {
        std::vector<float> output;
        model.must(status(latent, timestep, plan, output, cache));
        CHECK(work.run + work.reused + work.skipped == working_units());
        return output;
    }
};

struct golden_plan {
    const char *name;
    aq_action action;
    selector which;
};

const std::vector<golden_plan> plans = {
    {"reuse.cross", AQ_REUSE, of_kind(AQ_UNIT_CROSS_ATTENTION)},
    {"reuse.self", AQ_REUSE, of_kind(AQ_UNIT_SELF_ATTENTION)},
    {"reuse.ff", AQ_REUSE, of_kind(AQ_UNIT_FEED_FORWARD)},
    {"reuse.transformer_block", AQ_REUSE, of_kind(AQ_UNIT_TRANSFORMER_BLOCK)},
    {"reuse.resnet", AQ_REUSE, of_kind(AQ_UNIT_RESNET)},
    {"reuse.transformer", AQ_REUSE, of_kind(AQ_UNIT_TRANSFORMER)},
    {"reuse.sampler", AQ_REUSE, is_sampler},
    {"reuse.encoder", AQ_REUSE, is_encoder},
    {"reuse.layer0", AQ_REUSE, named("output_blocks.4")},
    {"reuse.layer2", AQ_REUSE, named("output_blocks.2")},
    {"reuse.out", AQ_REUSE, named("out")},
    {"skip.cross", AQ_SKIP, of_kind(AQ_UNIT_CROSS_ATTENTION)},
    {"skip.self", AQ_SKIP, of_kind(AQ_UNIT_SELF_ATTENTION)},
    {"skip.ff", AQ_SKIP, of_kind(AQ_UNIT_FEED_FORWARD)},
    {"skip.transformer_block", AQ_SKIP, of_kind(AQ_UNIT_TRANSFORMER_BLOCK)},
    {"skip.transformer", AQ_SKIP, of_kind(AQ_UNIT_TRANSFORMER)},
    {"skip.resnet", AQ_SKIP, of_kind(AQ_UNIT_RESNET)},
    {"skip.middle", AQ_SKIP, named("middle_block")},
};

constexpr double limit = 2e-5;

}  // namespace

TEST(units_are_what_the_tensors_say) {
    for (const family *kind : {&sd1, &sd2, &sdxl}) {
        planned p(*kind);
        std::set<std::string> names, expected;
        for (size_t i = 0; i < p.units.size(); i++) {
            CHECK(names.insert(p.units[i].name).second);
            CHECK(p.units[i].parent < (int32_t)i);
            if (p.units[i].parent >= 0) {
                CHECK(
                    std::string(p.units[i].name).rfind(std::string(p.units[(size_t)p.units[i].parent].name) + ".", 0) ==
                    0);
            }
        }
        const std::vector<std::pair<std::string, aq_unit_kind>> marks = {
            {".attn1.to_q.weight", AQ_UNIT_SELF_ATTENTION},
            {".attn2.to_q.weight", AQ_UNIT_CROSS_ATTENTION},
            {".ff.net.2.weight", AQ_UNIT_FEED_FORWARD},
            {".in_layers.0.weight", AQ_UNIT_RESNET},
            {".proj_in.weight", AQ_UNIT_TRANSFORMER},
            {".norm3.weight", AQ_UNIT_TRANSFORMER_BLOCK},
            {".op.weight", AQ_UNIT_CONVOLUTION},
            {".conv.weight", AQ_UNIT_CONVOLUTION},
        };
        int found = 0, blocks = 0;
        for (const aq_tensor &t : p.model.file.describe()) {
            const std::string name = t.name;
            if (name.rfind(unet_prefix, 0) != 0) continue;
            for (const auto &[mark, kind_of] : marks) {
                if (!ends_with(name, mark)) continue;
                const size_t start = strlen(unet_prefix);
                const std::string unit = name.substr(start, name.size() - mark.size() - start);
                const std::string inner = kind_of == AQ_UNIT_SELF_ATTENTION    ? ".attn1"
                                          : kind_of == AQ_UNIT_CROSS_ATTENTION ? ".attn2"
                                          : kind_of == AQ_UNIT_FEED_FORWARD    ? ".ff"
                                                                               : "";
                found++;
                bool there = false;
                for (const aq_unit &u : p.units) there = there || (unit + inner == u.name && u.kind == kind_of);
                describe("%s", (unit + inner).c_str());
                CHECK(there);
            }
        }
        for (const aq_unit &u : p.units) blocks += u.kind == AQ_UNIT_BLOCK;
        CHECK(blocks == 6 + 1 + 6);
        CHECK((size_t)(found + blocks + 2) == p.units.size());  // and the first convolution and "out"
    }
}

TEST(plans_agree_with_saved_activations_injected_elsewhere) {
    for (const family *kind : {&sd1, &sdxl}) {
        planned p(*kind);
        const safetensors_file golden(std::string(AQ_GOLDEN_DIR) + "/" + kind->name + "-nano-plans.safetensors");
        CHECK_CLOSE(p.run("sample.noise", 1), copy(golden["plain"]), limit);
        for (const golden_plan &plan : plans) {
            describe("%s %s", kind->name, plan.name);
            if (plan.action == AQ_REUSE) {
                const actions store = p.all(AQ_STORE, plan.which);
                CHECK_CLOSE(p.run("unet.x", 999, &store), copy(p.model.golden["unet.eps.t999"]), limit);
                CHECK(p.work.skipped == 0 && p.work.reused == 0);
            }
            const actions use = p.all(plan.action, plan.which);
            CHECK_CLOSE(p.run("sample.noise", 1, &use), copy(golden[plan.name]), limit);
        }
    }
}

TEST(plans_that_compute_everything_change_no_bit) {
    planned p;
    const std::vector<float> plain = p.run("unet.x", 500);
    const actions compute(p.units.size(), AQ_COMPUTE), store(p.units.size(), AQ_STORE);
    CHECK(p.run("unet.x", 500, &compute) == plain);
    CHECK(p.run("unet.x", 500, &store) == plain);
    for (const golden_plan &plan : plans) {
        if (plan.action != AQ_REUSE) continue;
        const actions use = p.all(AQ_REUSE, plan.which);
        describe("%s", plan.name);
        CHECK(p.run("unet.x", 500, &use) == plain);
    }
}

TEST(work_is_counted_as_planned) {
    planned p;
    p.run("unet.x", 999);
    CHECK(p.work.run == p.working_units() && p.work.reused == 0 && p.work.skipped == 0);
    const double whole = p.work.multiply_adds;
    const actions store = p.all(AQ_STORE, named("output_blocks.4"));
    p.run("unet.x", 999, &store);
    CHECK(p.work.multiply_adds == whole);

    // The first convolution, the last ResBlock and transformer (itself, two attentions, feed-forward), "out"; the block
    // that is reused has as many as the last one.
    const actions outermost = p.all(AQ_REUSE, named("output_blocks.4"));
    p.run("sample.noise", 1, &outermost);
    CHECK(p.work.run == 1 + 5 + 1);
    CHECK(p.work.reused == 5);
    CHECK(p.work.multiply_adds > 0 && p.work.multiply_adds < whole / 4);

    const actions cross = p.all(AQ_SKIP, of_kind(AQ_UNIT_CROSS_ATTENTION));
    p.run("unet.x", 1, &cross);
    CHECK(p.work.skipped == 11);  // 4 transformers in the encoder, 1 in the middle, 6 in the decoder
    CHECK(p.work.run == p.working_units() - 11);
}

TEST(multiply_adds_are_those_of_the_shapes) {
    planned p;
    p.run("unet.x", 1);
    const double whole = p.work.multiply_adds;
    const actions middle = p.all(AQ_SKIP, named("middle_block"));
    p.run("unet.x", 1, &middle);
    // 8 x 8 pixels of 64 channels: two ResBlocks with two 3 x 3 convolutions and a time projection from 128; a
    // transformer with projections in and out, q, k, v and out of self-attention, q and out of cross-attention with
    // 77 tokens, both attentions' products, and a feed-forward to 2 x 256 and back from 256.
    const double n = 64, c = 64, tokens = 77;
    const double resnets = 2 * (2 * n * 9 * c * c + 128 * c);
    const double transformer = 2 * n * c * c + 4 * n * c * c + 2 * n * n * c + 2 * n * c * c + 2 * n * tokens * c +
                               n * c * 8 * c + n * 4 * c * c;
    CHECK_NEAR(std::vector<double>{whole - p.work.multiply_adds}, std::vector<double>{resnets + transformer}, 0.5);
}

TEST(an_estimate_is_what_the_call_does) {
    for (const family *kind : {&sd1, &sdxl}) {
        planned p(*kind);
        for (const golden_plan &plan : plans) {
            describe("%s %s", kind->name, plan.name);
            const actions store = p.all(AQ_STORE, plan.which), use = p.all(plan.action, plan.which);
            if (plan.action == AQ_REUSE) p.run("unet.x", 999, &store);
            p.run("unet.x", 1, &use);
            aq_unet_call sizes = {};
            sizes.batch = 1;
            sizes.height = sizes.width = 16;
            sizes.tokens = 77;
            sizes.actions = use.data();
            sizes.action_count = use.size();
            aq_unet_work work;
            p.model.must(aq_unet_estimate(p.model.unet, &sizes, &work, &p.model.error));
            CHECK(work.run == p.work.run && work.reused == p.work.reused && work.skipped == p.work.skipped);
            CHECK(work.multiply_adds == p.work.multiply_adds);
        }
    }
}

TEST(a_whole_of_reused_parts_can_be_stored) {
    planned p;
    const selector part = named("input_blocks.0.0"), whole = named("input_blocks.0"), out = named("out");
    const actions first = p.all(AQ_STORE, [&](const aq_unit &u) { return part(u) || out(u); });
    const std::vector<float> plain = p.run("unet.x", 500, &first);
    // Nothing computed needs the part: it goes from one place of the cache to another.
    actions second = p.all(AQ_REUSE, [&](const aq_unit &u) { return part(u) || out(u); });
    for (size_t i = 0; i < p.units.size(); i++) {
        if (whole(p.units[i])) second[i] = AQ_STORE;
    }
    CHECK(p.run("sample.noise", 1, &second) == plain);
    const actions third = p.all(AQ_REUSE, whole), alone = p.all(AQ_REUSE, part);
    CHECK(p.run("unet.x", 1, &third) == p.run("unet.x", 1, &alone));
}

TEST(units_of_a_model_without_middle_block_are_its_own) {
    const nano host(1);
    for (cut &c : cut::all()) {
        if (c.name != "bk-sdm-small") continue;
        aq_handle weights = 0, unet = 0, cache = 0;
        aq_error error = {};
        const std::vector<aq_tensor> tensors = c.tensors(host.file);
        const aq_unet_options options = {unet_prefix, sd1.heads, sd1.head_width, 0};
        aq_unet_info info;
        host.must(aq_weights_create(tensors.data(), tensors.size(), &weights, &error));
        host.must(aq_unet_create(host.engine, weights, &options, &unet, &error));
        host.must(aq_unet_get_info(unet, &info, &error));
        host.must(aq_feature_cache_create(unet, &cache, &error));
        std::vector<aq_unit> units((size_t)info.units);
        host.must(aq_unet_get_units(unet, units.data(), units.size(), &error));
        const float timestep = 500;
        std::vector<float> plain, output;
        aq_unet_call call = host.unet_call(host.golden["unet.x"], &timestep, plain);
        host.must(aq_unet_evaluate(unet, &call, nullptr, &error));
        for (size_t i = 0; i < units.size(); i++) {
            describe("%s", units[i].name);
            CHECK(strcmp(units[i].name, "middle_block") != 0);
            for (const uint8_t action : {AQ_STORE, AQ_REUSE}) {
                actions plan(units.size(), AQ_COMPUTE);
                plan[i] = action;
                call = host.unet_call(host.golden["unet.x"], &timestep, output);
                call.actions = plan.data();
                call.action_count = plan.size();
                call.caches = &cache;
                call.cache_count = 1;
                if (aq_unet_evaluate(unet, &call, nullptr, &error) != AQ_OK) printf("%s\n", error.message);
                CHECK(output == plain);
            }
        }
        for (const aq_handle handle : {cache, unet, weights}) aq_close(handle, nullptr);
    }
}

TEST(branches_have_caches_of_their_own) {
    planned p;
    const file_tensor &latent = p.model.golden["unet.x"];
    const file_tensor &cond = p.model.golden["text.cond"], &uncond = p.model.golden["text.uncond"];
    std::vector<float> latents, contexts, unused;
    for (int i = 0; i < 2; i++) latents.insert(latents.end(), latent.floats(), latent.floats() + latent.count());
    contexts.insert(contexts.end(), cond.floats(), cond.floats() + cond.count());
    contexts.insert(contexts.end(), uncond.floats(), uncond.floats() + uncond.count());
    const auto both = [&](const float(&timesteps)[2], const actions &plan, std::vector<aq_handle> caches) {
        std::vector<float> output(latents.size());
        aq_unet_call call = p.model.unet_call(latent, timesteps, unused);
        call.latent = latents.data();
        call.context = contexts.data();
        call.output = output.data();
        call.latent_count = call.output_count = latents.size();
        call.context_count = contexts.size();
        call.timestep_count = call.batch = 2;
        call.actions = plan.data();
        call.action_count = plan.size();
        call.caches = caches.data();
        call.cache_count = 2;
        p.model.must(aq_unet_evaluate(p.model.unet, &call, nullptr, &p.model.error));
        return output;
    };
    const int64_t count = latent.count();
    // The self-attention of the first block is still the same for both branches; the block before last is not.
    for (const char *name : {"input_blocks.1.1.transformer_blocks.0.attn1", "output_blocks.4"}) {
        const actions store = p.all(AQ_STORE, named(name)), use = p.all(AQ_REUSE, named(name));
        const std::vector<float> first = both({700, 700}, store, p.caches);
        CHECK(both({700, 700}, use, p.caches) == first);
        const std::vector<float> later = both({100, 100}, use, p.caches);
        CHECK(later != first);
        // Each branch alone, with its own cache: the order of caches is that of images.
        for (const size_t branch : {0, 1}) {
            std::vector<float> single;
            const float timestep = 100;
            aq_unet_call call = p.model.unet_call(latent, &timestep, single);
            call.context = branch == 0 ? cond.floats() : uncond.floats();
            call.actions = use.data();
            call.action_count = use.size();
            call.caches = &p.caches[branch];
            call.cache_count = 1;
            p.model.must(aq_unet_evaluate(p.model.unet, &call, nullptr, &p.model.error));
            CHECK_CLOSE(part(later, (int)branch, count), single, 1e-6);
        }
        const std::vector<float> crossed = both({100, 100}, use, {p.caches[1], p.caches[0]});
        if (std::string(name) == "output_blocks.4") CHECK(crossed != later);
        else CHECK(crossed == later);
    }
}

TEST(graphs_take_turns_in_one_memory) {
    planned p;
    const actions store = p.all(AQ_STORE, of_kind(AQ_UNIT_RESNET)), use = p.all(AQ_REUSE, of_kind(AQ_UNIT_RESNET));
    const actions skip = p.all(AQ_SKIP, of_kind(AQ_UNIT_TRANSFORMER));
    const auto first = p.run("unet.x", 700, &store), second = p.run("unet.x", 200, &use);
    const auto third = p.run("unet.x", 200, &skip), whole = p.run("unet.x", 200);
    for (int i = 0; i < 3; i++) {
        CHECK(p.run("unet.x", 200, &use) == second);
        CHECK(p.run("unet.x", 200) == whole);
        CHECK(p.run("unet.x", 200, &skip) == third);
        CHECK(p.run("unet.x", 700, &store) == first);
        // Another size comes between: its graphs replace all others, its cache is another one.
        const auto other = p.run("unet.x.h24w8", 321, nullptr, 1);
        CHECK_CLOSE(other, copy(p.model.golden["unet.eps.h24w8.t321"]), limit);
    }
}

TEST(what_was_not_stored_cannot_be_reused) {
    planned p;
    std::vector<float> output;
    const actions store = p.all(AQ_STORE, named("output_blocks.4")), use = p.all(AQ_REUSE, named("output_blocks.4"));
    const actions other = p.all(AQ_REUSE, named("output_blocks.3"));
    const auto refused = [&](const char *latent, const actions &plan, size_t cache, const char *words) {
        CHECK(p.status(latent, 1, &plan, output, cache) == AQ_INVALID_ARGUMENT);
        describe("%s", p.model.error.message);
        CHECK(strstr(p.model.error.message, words) != nullptr);
    };
    refused("unet.x", use, 0, "'output_blocks.4' is to be reused before");
    p.run("unet.x", 999, &store);
    refused("unet.x", other, 0, "'output_blocks.3' is to be reused before");
    refused("unet.x", use, 1, "'output_blocks.4' is to be reused before");
    refused("unet.x.h24w8", use, 0, "'output_blocks.4' is to be reused before");
    p.run("unet.x", 1, &use);
    // Storing at another size forgets the first one.
    p.run("unet.x.h24w8", 999, &store);
    p.run("unet.x.h24w8", 1, &use);
    refused("unet.x", use, 0, "'output_blocks.4' is to be reused before");
}

TEST(a_cancelled_call_leaves_what_was_stored) {
    planned p;
    const actions store = p.all(AQ_STORE, named("output_blocks.4")), use = p.all(AQ_REUSE, named("output_blocks.4"));
    p.run("unet.x", 999, &store);
    const std::vector<float> before = p.run("unet.x", 1, &use);
    aq_control control = {1, 0, 0};
    std::vector<float> output;
    const float timestep = 500;
    for (const size_t cache : {0, 1}) {
        aq_unet_call call = p.model.unet_call(p.model.golden["unet.x"], &timestep, output);
        call.actions = store.data();
        call.action_count = store.size();
        call.caches = &p.caches[cache];
        call.cache_count = 1;
        CHECK(aq_unet_evaluate(p.model.unet, &call, &control, &p.model.error) == AQ_CANCELLED);
    }
    CHECK(p.run("unet.x", 1, &use) == before);
    CHECK(p.status("unet.x", 1, &use, output, 1) == AQ_INVALID_ARGUMENT);
}

TEST(hostile_plans_are_refused) {
    planned p, other;
    std::vector<float> output;
    const float timestep = 1;
    aq_unet_call call = p.model.unet_call(p.model.golden["unet.x"], &timestep, output);
    actions plan(p.units.size(), AQ_COMPUTE);
    call.actions = plan.data();
    call.action_count = plan.size();
    const auto refused = [&](const char *words) {
        CHECK(aq_unet_evaluate(p.model.unet, &call, nullptr, &p.model.error) == AQ_INVALID_ARGUMENT);
        describe("%s", p.model.error.message);
        CHECK(strstr(p.model.error.message, words) != nullptr);
    };
    for (const uint64_t count : {(uint64_t)0, (uint64_t)1, (uint64_t)plan.size() - 1, UINT64_MAX}) {
        call.action_count = count;
        refused("action_count");
    }
    call.action_count = plan.size();
    plan[3] = 5;
    refused("an action is 5");
    plan[3] = AQ_COMPUTE;
    for (size_t i = 0; i < p.units.size(); i++) {
        if (p.units[i].skippable) continue;
        plan[i] = AQ_SKIP;
        refused("cannot be skipped");
        plan[i] = AQ_COMPUTE;
    }
    for (size_t i = 0; i < p.units.size(); i++) {
        plan[i] = AQ_STORE;
        refused("without caches");
        // Parts of what is not computed, their parts too.
        for (int32_t whole = p.units[i].parent; whole >= 0; whole = p.units[(size_t)whole].parent) {
            plan[(size_t)whole] = AQ_REUSE;
            refused("plan one of them");
            plan[(size_t)whole] = AQ_COMPUTE;
        }
        plan[i] = AQ_COMPUTE;
    }
    call.caches = &other.caches[0];
    call.cache_count = 1;
    refused("another UNet");
    call.caches = &p.model.unet;
    refused("not a feature cache");
    call.caches = &p.caches[0];
    call.cache_count = 2;
    refused("cache_count");
    const aq_handle cache = p.caches[0];
    aq_close(cache, nullptr);
    call.cache_count = 1;
    CHECK(aq_unet_evaluate(p.model.unet, &call, nullptr, &p.model.error) == AQ_CLOSED);
    p.model.must(aq_feature_cache_create(p.model.unet, &p.caches[0], &p.model.error));
    p.run("unet.x", 1);
}
