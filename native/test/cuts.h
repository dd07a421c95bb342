// UNets cut from the small models: pruned ones and such with other inputs. See README.md beside the golden files.
#pragma once

#include <fstream>
#include <list>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "nano.h"

namespace test {

class cut {
public:
    std::string name, model;

    // All cuts of cuts.txt.
    static std::vector<cut> all() {
        std::ifstream in(std::string(AQ_GOLDEN_DIR) + "/cuts.txt");
        std::vector<cut> cuts;
        for (std::string line; std::getline(in, line);) {
            if (line[0] == '[') {
                cut c;
                std::istringstream(line.substr(1, line.size() - 2)) >> c.name >> c.model;
                cuts.push_back(c);
            } else {
                cuts.back().rules_.push_back(line);
            }
        }
        return cuts;
    }

    // The tensors of this cut, for aq_weights_create; they point into `whole` and this object.
    std::vector<aq_tensor> tensors(const safetensors_file &whole) {
        const std::vector<aq_tensor> all = whole.describe();
        std::map<std::string, aq_tensor> taken;
        for (const std::string &rule : rules_) {
            std::istringstream words(rule);
            std::string to, from, shape;
            words >> to >> from >> shape;
            if (to[0] == '-') {
                const std::string gone = unet_prefix + to.substr(1);
                std::erase_if(taken, [&](const auto &entry) { return is_under(entry.first, gone); });
                continue;
            }
            const std::string old = unet_prefix + from;
            for (const aq_tensor &t : all) {
                if (!is_under(t.name, old)) continue;
                taken[unet_prefix + to + std::string(t.name).substr(old.size())] =
                    shape.empty() ? t : reshaped(t, shape);
            }
        }
        std::vector<aq_tensor> result;
        for (auto &[name, t] : taken) {
            names_.push_back(name);
            t.name = names_.back().c_str();
            result.push_back(t);
        }
        return result;
    }

private:
    static bool is_under(const std::string &name, const std::string &prefix) {
        return name == prefix || name.starts_with(prefix + ".");
    }

    // As many values from the start of a tensor of F16 as `shape` ("32,9,3,3") needs.
    static aq_tensor reshaped(aq_tensor t, const std::string &shape) {
        std::istringstream sides(shape);
        t.rank = 0;
        t.size = 2;
        for (std::string side; std::getline(sides, side, ',');) {
            t.shape[t.rank] = std::stoll(side);
            t.size *= (uint64_t)t.shape[t.rank++];
        }
        return t;
    }

    std::vector<std::string> rules_;
    std::list<std::string> names_;
};

}  // namespace test
