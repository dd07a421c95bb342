// What every function of the C edge does: looks up handles, checks arguments, catches everything, returns a status.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "api/handles.h"
#include "aquarelle.h"
#include "graph/failure.h"

namespace aq {

constexpr int32_t most_threads = 512, most_batch = 1024, most_side = 1 << 14, most_tokens = 1 << 16;

aq_status run_guarded(aq_error *error, void (*body)(void *), void *of) noexcept;

// Runs the body of an API function; tells of what it throws by a status.
template <class Body> aq_status guarded(aq_error *error, Body body) noexcept {
    return run_guarded(
        error, [](void *of) { (*(Body *)of)(); }, &body);
}

[[noreturn]] void invalid(const std::string &message);

void need(const void *pointer, const char *name);
void need_range(int64_t value, int64_t low, int64_t high, const char *name);

// Factors are checked before, so that the product cannot overflow.
void need_count(uint64_t actual, uint64_t expected, const char *name);

void need_size(int32_t batch, int32_t height, int32_t width);
void need_finite(const float *timesteps, uint64_t images);

// Each image's residuals are as long as the UNet takes them.
void need_residuals(const float *const *residuals, uint64_t count, const unet &network, int32_t batch, int32_t height,
                    int32_t width);

template <class T> struct kind;
template <> struct kind<engine> { static constexpr const char *name = "an engine"; };
template <> struct kind<const weights> { static constexpr const char *name = "weights"; };
template <> struct kind<text_encoder> { static constexpr const char *name = "a text encoder"; };
template <> struct kind<image_encoder> { static constexpr const char *name = "an image encoder"; };
template <> struct kind<unet> { static constexpr const char *name = "a UNet"; };
template <> struct kind<feature_cache> { static constexpr const char *name = "a feature cache"; };
template <> struct kind<attention_adapter> { static constexpr const char *name = "an adapter of attention"; };
template <> struct kind<control_net> { static constexpr const char *name = "a control net"; };
template <> struct kind<const adapter> { static constexpr const char *name = "an adapter"; };
template <> struct kind<autoencoder> { static constexpr const char *name = "a VAE"; };
template <> struct kind<upscaler> { static constexpr const char *name = "an upscaler"; };

template <class T> std::shared_ptr<T> get(aq_handle handle) {
    const object o = handle_table::instance().get(handle);
    if (const auto *found = std::get_if<std::shared_ptr<T>>(&o)) return *found;
    invalid("handle " + std::to_string(handle) + " is not " + kind<T>::name);
}

// The engine is this call's until the end of the scope.
class turn {
public:
    turn(engine &on, aq_control *control) : engine_(on), lock_(on.busy, std::try_to_lock) {
        if (!lock_.owns_lock()) throw failure(AQ_BUSY, "the engine is running another call; use one engine a thread");
        engine_.control = control;
    }
    ~turn() {
        if (lock_.owns_lock()) engine_.control = nullptr;
    }

private:
    engine &engine_;
    std::unique_lock<std::mutex> lock_;
};

// `On` is what it belongs to: an engine, or a UNet.
template <class Made, class On = engine, class... Arguments>
std::shared_ptr<Made> create(aq_handle on, aq_handle from, const char *prefix, aq_handle *result,
                             Arguments... arguments) {
    need(prefix, "prefix");
    need(result, "result");
    *result = 0;
    auto made = std::make_shared<Made>(get<On>(on), get<const weights>(from), prefix, arguments...);
    *result = handle_table::instance().add(made);
    return made;
}

}  // namespace aq
