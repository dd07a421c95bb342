#include "api/edge.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <new>
#include <stdexcept>

#include "ggml.h"

namespace aq {

namespace {

aq_status report(aq_error *error, aq_status status, const char *message) noexcept {
    if (error != nullptr) {
        error->status = status;
        snprintf(error->message, sizeof error->message, "%s", message);
        // Names of tensors come from files and may hold anything: one line, and no character cut in two.
        size_t length = strlen(error->message);
        for (size_t i = 0; i < length; i++) {
            if ((unsigned char)error->message[i] < 0x20 || error->message[i] == 0x7f) error->message[i] = '?';
        }
        if (length == sizeof error->message - 1) {
            while (length > 0 && ((unsigned char)error->message[length - 1] & 0xc0) == 0x80) length--;
            error->message[length > 0 ? length - 1 : 0] = '\0';
        }
    }
    return status;
}

void say_nothing(ggml_log_level, const char *, void *) {}

// ggml ends the process when one of its assertions fails. Nothing here should make one fail; should it happen anyway
// on the calling thread, this turns it into an error before ggml gets to abort().
thread_local bool inside_call = false;
void refuse_to_die(const char *message) {
    if (inside_call) throw std::runtime_error(message);
}

}  // namespace

aq_status run_guarded(aq_error *error, void (*body)(void *), void *of) noexcept {
    ggml_set_abort_callback(refuse_to_die);
    ggml_log_set(say_nothing, nullptr);  // statuses tell what is wrong; standard error is the host's
    inside_call = true;
    aq_status status = AQ_OK;
    try {
        body(of);
        report(error, AQ_OK, "");
    } catch (const failure &f) {
        status = report(error, f.status, f.what());
    } catch (const std::bad_alloc &) {
        status = report(error, AQ_OUT_OF_MEMORY, "out of memory");
    } catch (const std::length_error &) {
        status = report(error, AQ_OUT_OF_MEMORY, "a size is too large for memory");
    } catch (const std::exception &e) {
        status = report(error, AQ_INTERNAL, e.what());
    } catch (...) {
        status = report(error, AQ_INTERNAL, "unknown error");
    }
    inside_call = false;
    return status;
}

void invalid(const std::string &message) { throw failure(AQ_INVALID_ARGUMENT, message); }

void need(const void *pointer, const char *name) {
    if (pointer == nullptr) invalid(std::string(name) + " is NULL");
}

void need_range(int64_t value, int64_t low, int64_t high, const char *name) {
    if (value < low || value > high) {
        invalid(std::string(name) + " is " + std::to_string(value) + ", must be " + std::to_string(low) + " to " +
                std::to_string(high));
    }
}

void need_count(uint64_t actual, uint64_t expected, const char *name) {
    if (actual != expected) {
        invalid(std::string(name) + " is " + std::to_string(actual) + ", the shape needs " + std::to_string(expected));
    }
}

void need_size(int32_t batch, int32_t height, int32_t width) {
    need_range(batch, 1, most_batch, "batch");
    need_range(height, 1, most_side, "height");
    need_range(width, 1, most_side, "width");
}

void need_finite(const float *timesteps, uint64_t images) {
    for (uint64_t i = 0; i < images; i++) {
        if (!isfinite(timesteps[i])) invalid("a timestep is not finite");
    }
}

void need_residuals(const float *const *residuals, uint64_t count, const unet &network, int32_t batch, int32_t height,
                    int32_t width) {
    uint64_t floats = 0;
    for (const extent &e : network.residual_shapes(height, width)) floats += (uint64_t)e.count();
    need_count(count, floats, "residual_count");
    for (int32_t i = 0; i < batch; i++) need(residuals[i], "residuals of an image");
}

}  // namespace aq
