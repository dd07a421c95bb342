package io.aquarelle;

import io.aquarelle.model.Adapter;
import io.aquarelle.model.AdapterUse;
import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.FittedAdapter;
import io.aquarelle.model.ModelFormatException;
import io.aquarelle.model.TextEncoder;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;

/**
 * The adapters that a model's networks compute with. Those of the last request stay, so that another one with other scales
 * opens nothing anew.
 */
final class AdapterSet implements AutoCloseable {
    private final Checkpoint model;
    private final Networks networks;
    private final Map<Adapter, FittedAdapter> fitted = new IdentityHashMap<>();

    AdapterSet(Checkpoint model, Networks networks) {
        this.model = model;
        this.networks = networks;
    }

    /**
     * Has the networks compute with these adapters and no others.
     *
     * @throws IllegalArgumentException if one does not fit the model; the networks may have some of them
     */
    void use(List<AdapterUse> uses) {
        try {
            for (AdapterUse use : uses) {
                fitted(use.adapter());
            }
        } catch (ModelFormatException e) {
            throw new IllegalArgumentException(e.getMessage(), e);
        }
        for (TextEncoder text : networks.text()) {
            adapt(text::adapt, uses, AdapterUse::textScale);
        }
        adapt(networks.unet()::adapt, uses, AdapterUse::unetScale);
        fitted.entrySet().removeIf(entry -> {
            boolean idle = uses.stream().noneMatch(use -> use.adapter() == entry.getKey());
            if (idle) {
                entry.getValue().close();
            }
            return idle;
        });
    }

    /** The file's tensors that change nothing of this model. */
    List<String> unused(Adapter adapter) throws ModelFormatException {
        return fitted(adapter).unused();
    }

    private FittedAdapter fitted(Adapter adapter) throws ModelFormatException {
        FittedAdapter found = fitted.get(adapter);
        if (found == null) {
            found = FittedAdapter.of(adapter, model);
            fitted.put(adapter, found);
        }
        return found;
    }

    @FunctionalInterface
    private interface Adaptable {
        void adapt(List<FittedAdapter> adapters, List<Float> scales);
    }

    /** An adapter at scale 0 is left out, so that nothing of it is computed. */
    private void adapt(Adaptable network, List<AdapterUse> uses, ToDoubleFunction<AdapterUse> scale) {
        List<FittedAdapter> adapters = new ArrayList<>();
        List<Float> scales = new ArrayList<>();
        for (AdapterUse use : uses) {
            if (scale.applyAsDouble(use) != 0) {
                adapters.add(fitted.get(use.adapter()));
                scales.add((float) scale.applyAsDouble(use));
            }
        }
        network.adapt(adapters, scales);
    }

    @Override
    public void close() {
        fitted.values().forEach(FittedAdapter::close);
        fitted.clear();
    }
}
