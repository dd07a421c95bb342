// Small control nets: the tensors of their own in *-nano-control.safetensors, and the golden UNets' encoders with each
// tensor's values in reverse order.
#pragma once

#include <algorithm>
#include <list>
#include <map>
#include <string>
#include <vector>

#include "nano.h"

namespace test {

inline const char *const control_prefix = "control_model.";

class control_weights {
public:
    explicit control_weights(const nano &model)
        : file(std::string(AQ_GOLDEN_DIR) + "/" + model.kind.name + "-nano-control.safetensors") {
        for (const aq_tensor &t : model.file.describe()) {
            const std::string name = t.name, start = unet_prefix;
            if (name.rfind(start, 0) != 0 || name.rfind(start + "out", 0) == 0) continue;
            const uint16_t *from = (const uint16_t *)t.data;
            values_.emplace_back(from, from + t.size / 2);
            std::reverse(values_.back().begin(), values_.back().end());
            aq_tensor reversed = t;
            reversed.data = values_.back().data();
            add(control_prefix + name.substr(start.size()), reversed);
        }
        for (const aq_tensor &t : file.describe()) {
            if (std::string(t.name).rfind(control_prefix, 0) == 0) add(t.name, t);
        }
    }

    const safetensors_file file;  // with what it does in "golden.*"
    std::map<std::string, aq_tensor> tensors;

    // The weights without some tensors.
    aq_handle open(const std::string &without = "no such name") const {
        std::vector<aq_tensor> all;
        for (const auto &[name, t] : tensors) {
            if (name.rfind(control_prefix + without, 0) == 0) continue;
            all.push_back(t);
            all.back().name = name.c_str();
        }
        aq_handle weights = 0;
        aq_error error;
        if (aq_weights_create(all.data(), all.size(), &weights, &error) != AQ_OK) printf("%s\n", error.message);
        return weights;
    }

private:
    void add(const std::string &name, const aq_tensor &t) { tensors[name] = t; }

    std::list<std::vector<uint16_t>> values_;
};

// A picture that a formula gives: [3][height][width].
inline std::vector<float> hint_picture(int height, int width, bool mirrored = false) {
    std::vector<float> picture;
    for (int c = 0; c < 3; c++) {
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                picture.push_back((float)((c * 7 + y * 13 + (mirrored ? width - 1 - x : x) * 29) % 64) / 63.0f);
            }
        }
    }
    return picture;
}

}  // namespace test
