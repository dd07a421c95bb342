package io.aquarelle.sampling;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Named values in order. Names match whatever their case, spaces, hyphens and underscores, so "Euler a" and
 * "DPM++ 2M SDE" are "euler_a" and "dpm++2m_sde"; so are k-diffusion's and ComfyUI's "k_euler_a" and "dpmpp_2m_sde".
 */
final class Registry<T> {
    private record Entry<T>(String name, String displayName, T value) {}

    private final String kind;
    private final List<String> names = new ArrayList<>();
    private final Map<String, Entry<T>> entries = new HashMap<>();

    /** {@code kind} is what messages call a value: "sampler". */
    Registry(String kind) {
        this.kind = kind;
    }

    Registry<T> add(String name, String displayName, T value, String... aliases) {
        names.add(name);
        Entry<T> entry = new Entry<>(name, displayName, value);
        entries.put(key(name), entry);
        entries.put(key(displayName), entry);
        for (String alias : aliases) {
            entries.put(key(alias), entry);
        }
        return this;
    }

    List<String> names() {
        return List.copyOf(names);
    }

    T value(String name) {
        return entry(name).value;
    }

    /** The name as listed. */
    String name(String name) {
        return entry(name).name;
    }

    String displayName(String name) {
        return entry(name).displayName;
    }

    private Entry<T> entry(String name) {
        Entry<T> entry = entries.get(key(name));
        if (entry == null) {
            throw new IllegalArgumentException(
                    "unknown " + kind + " '" + name + "'; use one of " + String.join(", ", names));
        }
        return entry;
    }

    private static String key(String name) {
        return name.toLowerCase(Locale.ROOT)
                .replaceFirst("^k_", "")
                .replace("++", "pp")
                .replaceAll("[ _-]", "");
    }
}
