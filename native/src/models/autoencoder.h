// Pictures to latents and back.
#pragma once

#include <string>

#include "models/network.h"

namespace aq {

struct autoencoder : network {
    using network::network;
    virtual ~autoencoder() = default;

    virtual aq_vae_info info() const = 0;

    // Sizes are checked by the caller; see aq_vae_call.
    virtual void decode(const aq_vae_call &call) = 0;
    virtual void encode(const aq_vae_call &call) = 0;

    // Bytes of buffers that decode or encode would take.
    virtual uint64_t estimate(const aq_vae_call &call, bool encodes) = 0;
};

// What the tensors behind the prefix are. Throws failure(AQ_INVALID_MODEL) naming the tensor that is missing or does
// not fit.
std::shared_ptr<autoencoder> read_autoencoder(std::shared_ptr<engine> on, std::shared_ptr<const weights> from,
                                              const std::string &prefix);

}  // namespace aq
