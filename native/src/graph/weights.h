// The tensors of a model file by name. The data stays where it is and is never copied as a whole.
#pragma once

#include <stdint.h>

#include <string>
#include <unordered_map>
#include <vector>

#include "aquarelle.h"
#include "kernels/stored_matrix.h"

namespace aq {

struct tensor {
    const uint8_t *data;
    std::vector<int64_t> shape;  // PyTorch's order
    stored_matrix matrix;        // shape[0] rows of the remaining values; one row of all values for rank < 2
};

// Throws failure(AQ_INVALID_MODEL) where the tensor is not possible; `name` is for the message.
tensor checked(const aq_tensor &t, const std::string &name);

class weights {
public:
    // Checks every tensor; throws failure(AQ_INVALID_MODEL) naming the first that is wrong.
    weights(const aq_tensor *tensors, uint64_t count);

    // NULL when there is none of that name.
    const tensor *find(const std::string &name) const;

    const std::unordered_map<std::string, tensor> &all() const { return tensors_; }

private:
    std::unordered_map<std::string, tensor> tensors_;
};

std::string to_string(const std::vector<int64_t> &shape);

}  // namespace aq
