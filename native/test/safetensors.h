// Reads the small golden files for tests. Trusts them: the product's reader is in Java.
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "aquarelle.h"

namespace test {

struct file_tensor {
    std::vector<int64_t> shape;
    std::string dtype;
    const char *data;
    uint64_t size;

    const float *floats() const { return (const float *)data; }
    int64_t count() const {
        int64_t n = 1;
        for (int64_t side : shape) n *= side;
        return n;
    }
};

class safetensors_file {
public:
    explicit safetensors_file(const std::string &path) {
        std::ifstream in(path, std::ios::binary);
        bytes_.assign(std::istreambuf_iterator<char>(in), {});
        if (bytes_.size() < 8) {
            printf("cannot read %s\n", path.c_str());
            exit(2);
        }
        uint64_t length;
        memcpy(&length, bytes_.data(), 8);
        parse(std::string(bytes_.data() + 8, length), bytes_.data() + 8 + length);
    }

    const file_tensor &operator[](const std::string &name) const {
        const auto found = tensors_.find(name);
        if (found == tensors_.end()) {
            printf("no tensor %s\n", name.c_str());
            exit(2);
        }
        return found->second;
    }

    bool has(const std::string &name) const { return tensors_.contains(name); }

    // For aq_weights_create; points into this object.
    std::vector<aq_tensor> describe() const {
        std::vector<aq_tensor> result;
        for (const auto &[name, t] : tensors_) {
            aq_tensor a = {
                name.c_str(), t.data, t.size, {1, 1, 1, 1}, (int32_t)t.shape.size(), t.dtype == "F16" ? 1 : 0};
            for (size_t i = 0; i < t.shape.size(); i++) a.shape[i] = t.shape[i];
            result.push_back(a);
        }
        return result;
    }

private:
    static std::vector<int64_t> numbers(const std::string &list) {
        std::vector<int64_t> result;
        for (const char *p = list.c_str(); *p != '\0';) {
            char *end;
            const int64_t value = strtoll(p, &end, 10);
            if (end == p) p++;
            else result.push_back(value), p = end;
        }
        return result;
    }

    static std::string between(const std::string &text, size_t from, const char *key, char open, char close) {
        const size_t begin = text.find(open, text.find(':', text.find(key, from)));
        return text.substr(begin + 1, text.find(close, begin + 1) - begin - 1);
    }

    // {"name":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]}, ...}
    void parse(const std::string &header, const char *data) {
        for (size_t at = header.find("\"dtype\""); at != std::string::npos; at = header.find("\"dtype\"", at + 1)) {
            const size_t colon = header.rfind(':', at), quote = header.rfind('"', colon);
            const size_t start = header.rfind('"', quote - 1) + 1;
            const auto offsets = numbers(between(header, at, "data_offsets", '[', ']'));
            tensors_[header.substr(start, quote - start)] = {numbers(between(header, at, "shape", '[', ']')),
                                                             between(header, at, "dtype", '"', '"'), data + offsets[0],
                                                             (uint64_t)(offsets[1] - offsets[0])};
        }
    }

    std::vector<char> bytes_;
    std::map<std::string, file_tensor> tensors_;
};

}  // namespace test
