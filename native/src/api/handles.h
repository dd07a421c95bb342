// Handles of the C edge. A handle is a number that is looked up, so a closed or foreign one is an error and not a
// crash.
#pragma once

#include <memory>
#include <mutex>
#include <unordered_map>
#include <variant>

#include "graph/engine.h"
#include "graph/weights.h"
#include "models/attention_adapter.h"
#include "models/autoencoder.h"
#include "models/control_net.h"
#include "models/image_encoder.h"
#include "models/text_encoder.h"
#include "models/unet.h"
#include "models/upscaler.h"

namespace aq {

using object = std::variant<std::shared_ptr<engine>, std::shared_ptr<const weights>, std::shared_ptr<text_encoder>,
                            std::shared_ptr<unet>, std::shared_ptr<autoencoder>, std::shared_ptr<feature_cache>,
                            std::shared_ptr<control_net>, std::shared_ptr<attention_adapter>,
                            std::shared_ptr<image_encoder>, std::shared_ptr<const adapter>, std::shared_ptr<upscaler>>;

class handle_table {
public:
    // One for the process, never destroyed: threads of the host may still be in a call while it ends.
    static handle_table &instance();

    aq_handle add(object o);

    // Throws failure(AQ_CLOSED).
    object get(aq_handle handle);
    void remove(aq_handle handle);

private:
    std::mutex mutex_;
    std::unordered_map<aq_handle, object> objects_;
    aq_handle last_ = 0;
};

}  // namespace aq
