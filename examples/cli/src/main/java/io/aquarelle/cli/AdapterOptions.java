package io.aquarelle.cli;

import io.aquarelle.ImageRequest;
import io.aquarelle.Pipeline;
import io.aquarelle.model.Adapter;
import io.aquarelle.model.AdapterMerge;
import io.aquarelle.model.AdapterUse;
import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.ModelFormatException;
import io.aquarelle.model.TextualInversion;
import io.aquarelle.text.LoraTags;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import picocli.CommandLine.Option;

/** LoRA and its relatives, and textual inversions. */
final class AdapterOptions {
    /** When adapters meet the weights. */
    enum ApplyMode {
        /** Computed beside the weights, which stay as they are. */
        AT_RUNTIME,
        /** Added to the weights while the model is opened. */
        IMMEDIATELY,
        /** Beside quantised weights, into others. */
        AUTO;

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    private static final List<String> ADAPTER_ENDINGS =
            List.of("", ".safetensors", ".gguf", ".ckpt", ".pt", ".pth", ".bin");
    private static final List<String> WORD_ENDINGS = List.of(".safetensors", ".pt", ".pth", ".bin", ".ckpt");

    private static final int SHOWN = 3;

    @Option(
            names = "--lora",
            paramLabel = "FILE[:SCALE]",
            description = "A LoRA, LoHa, LoKr or DoRA to draw with; as often as wanted.")
    private List<String> files = List.of();

    @Option(
            names = "--lora-model-dir",
            paramLabel = "DIR",
            description = "Where the files are that prompts name as <lora:NAME:SCALE>.")
    private Path folder;

    @Option(
            names = "--lora-apply-mode",
            paramLabel = "MODE",
            description = "Add them to the weights (immediately), compute them beside (at_runtime, the default), or do"
                    + " the first where weights are not quantised (auto).")
    private ApplyMode mode = ApplyMode.AT_RUNTIME;

    @Option(
            names = "--embd-dir",
            paramLabel = "DIR",
            description = "Where textual inversions are; a file's name in a prompt stands for its vectors.")
    private Path wordFolder;

    private final Map<Path, AdapterUse> uses = new LinkedHashMap<>();
    private boolean merged;

    /** Reads the files that options name. */
    void read() {
        for (String file : files) {
            add(fileAndScale(file));
        }
    }

    /** Reads the files that a prompt names; returns the prompt without their names. */
    String withoutTags(String option, String prompt) {
        LoraTags parsed;
        try {
            parsed = LoraTags.parse(prompt);
        } catch (IllegalArgumentException e) {
            throw new BadInputException(option, e);
        }
        for (LoraTags.Tag tag : parsed.tags()) {
            add(new AdapterUse(open(find(tag.name())), tag.unetScale(), tag.textScale()));
        }
        return parsed.text();
    }

    /** What was read; a file that was named several times has the sum of its scales. */
    List<AdapterUse> adapters() {
        return List.copyOf(uses.values());
    }

    /** A file and the number behind its last colon, or 1. */
    static AdapterUse fileAndScale(String text) {
        int colon = text.lastIndexOf(':');
        if (colon > 0 && !Files.exists(Path.of(text))) {
            try {
                float scale = Float.parseFloat(text.substring(colon + 1));
                return new AdapterUse(open(Path.of(text.substring(0, colon))), scale);
            } catch (NumberFormatException e) {
                // the colon belongs to the name
            } catch (IllegalArgumentException e) {
                throw new BadInputException("--lora", e);
            }
        }
        return new AdapterUse(open(Path.of(text)), 1);
    }

    private void add(AdapterUse use) {
        uses.merge(
                use.adapter().path().toAbsolutePath().normalize(),
                use,
                (old, more) -> new AdapterUse(
                        old.adapter(), old.unetScale() + more.unetScale(), old.textScale() + more.textScale()));
    }

    private static Adapter open(Path file) {
        try {
            return Adapter.open(file);
        } catch (IOException e) {
            throw new BadInputException(e);
        }
    }

    private Path find(String name) {
        if (folder == null) {
            throw new BadInputException(
                    "--prompt: it names the LoRA '" + name + "'; say where it is with --lora-model-dir DIR");
        }
        if (!Files.isDirectory(folder)) {
            throw new BadInputException("--lora-model-dir: there is no folder " + folder + "; check the path");
        }
        for (String ending : ADAPTER_ENDINGS) {
            try {
                Path file = folder.resolve(name + ending).normalize();
                if (file.startsWith(folder.normalize()) && Files.isRegularFile(file)) {
                    return file;
                }
            } catch (InvalidPathException e) {
                break;
            }
        }
        throw new BadInputException("--lora-model-dir: " + folder + " has no LoRA '" + name
                + "'; the name is that of its file without .safetensors");
    }

    /** The model with adapters in its weights, if they are to be there; the model itself is closed then. */
    Checkpoint merged(Checkpoint model) throws IOException {
        merged = merges(model);
        if (!merged) {
            return model;
        }
        try (model) {
            return AdapterMerge.of(model, adapters());
        }
    }

    /** The request without the adapters that the model has in its weights; what it has of their guidance stays. */
    ImageRequest beside(ImageRequest request) {
        return merged ? request.toBuilder().adapters(List.of()).build() : request;
    }

    private boolean merges(Checkpoint model) {
        boolean quantised =
                model.tensors().values().stream().anyMatch(it -> it.type().isQuantised());
        return !uses.isEmpty() && (mode == ApplyMode.IMMEDIATELY || mode == ApplyMode.AUTO && !quantised);
    }

    /** Refuses adapters that do not fit the model; says on standard error what of them does nothing, the first or all. */
    void requireFit(Pipeline pipeline, Context context, boolean all) {
        for (AdapterUse use : adapters()) {
            List<String> unused;
            try {
                unused = pipeline.unused(use.adapter());
            } catch (ModelFormatException e) {
                throw new BadInputException(e);
            }
            if (!unused.isEmpty()) {
                int shown = all ? unused.size() : Math.min(SHOWN, unused.size());
                String some = String.join(", ", unused.subList(0, shown));
                context.err()
                        .println(Context.printable("warning: " + use.adapter() + ": " + unused.size()
                                + " tensors are not used by this model: " + some
                                + (unused.size() > shown ? ", ..." : "")));
            }
        }
    }

    /** The textual inversions, of the folder or in adapters, whose words are in one of the prompts. */
    List<TextualInversion> words(String... prompts) {
        List<TextualInversion> words = new ArrayList<>();
        for (AdapterUse use : adapters()) {
            use.adapter().words().stream()
                    .filter(it -> contains(it.word(), prompts))
                    .forEach(words::add);
        }
        if (wordFolder == null) {
            return words;
        }
        List<Path> found = new ArrayList<>();
        try (Stream<Path> all = Files.list(wordFolder)) {
            all.filter(file -> isIn(file, prompts)).sorted().forEach(found::add);
        } catch (IOException e) {
            throw new BadInputException("--embd-dir: " + wordFolder + " cannot be read; name a folder");
        }
        for (Path file : found) {
            try {
                words.add(TextualInversion.open(file));
            } catch (IOException e) {
                throw new BadInputException(e);
            }
        }
        return words;
    }

    private static boolean isIn(Path file, String... prompts) {
        String name = file.getFileName().toString();
        int dot = name.lastIndexOf('.');
        if (dot <= 0 || !WORD_ENDINGS.contains(name.substring(dot).toLowerCase(Locale.ROOT))) {
            return false;
        }
        return contains(name.substring(0, dot), prompts);
    }

    private static boolean contains(String word, String... prompts) {
        return Stream.of(prompts)
                .anyMatch(prompt -> prompt.toLowerCase(Locale.ROOT).contains(word.toLowerCase(Locale.ROOT)));
    }
}
