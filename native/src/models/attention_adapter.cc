#include "models/attention_adapter.h"

#include <utility>

#include "graph/failure.h"

namespace aq {

attention_adapter::attention_adapter(std::shared_ptr<unet> unet, std::shared_ptr<const weights> from,
                                     const std::string &prefix)
    : of(std::move(unet)) {
    const layer_reader reader(*from, prefix);
    auto read = std::make_shared<added_attention>();
    read->source = std::move(from);
    for (const auto &[unit, channels] : of->cross_attentions()) {
        const std::string &name = of->units()[(size_t)unit].name;
        added_attention::layer layer;
        layer.k = reader.linear(name + ".k", read->width, channels);
        layer.v = reader.linear(name + ".v", layer.k.inputs, channels);
        read->width = layer.k.inputs;
        if (reader.has(name + ".gain") || reader.has(name + ".offset")) {
            layer.gain = reader.vector(name + ".gain", channels);
            layer.offset = reader.vector(name + ".offset", channels);
        }
        read->by_unit.emplace(unit, std::move(layer));
    }
    layers = std::move(read);
}

}  // namespace aq
