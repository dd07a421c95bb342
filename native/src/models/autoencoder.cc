#include "models/autoencoder.h"

#include "models/tiny_vae.h"
#include "models/vae.h"

namespace aq {

std::shared_ptr<autoencoder> read_autoencoder(std::shared_ptr<engine> on, std::shared_ptr<const weights> from,
                                              const std::string &prefix) {
    if (tiny_vae::fits(*from, prefix)) return std::make_shared<tiny_vae>(std::move(on), std::move(from), prefix);
    return std::make_shared<vae>(std::move(on), std::move(from), prefix);
}

}  // namespace aq
