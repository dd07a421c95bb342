package io.aquarelle.cli;

import io.aquarelle.model.AdapterMerge;
import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.Conversion;
import io.aquarelle.model.DataType;
import io.aquarelle.model.ModelFormatException;
import io.aquarelle.model.StoredTypes;
import io.aquarelle.model.StoredTypes.Choice;
import io.aquarelle.model.StoredTypes.Rule;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code aquarelle convert}: a model in another format and in other types. */
@Command(
        name = "convert",
        description = "Writes a model in another format, with its weights in other types.",
        sortOptions = false)
final class ConvertCommand extends SubCommand {
    @Parameters(arity = "0..1", paramLabel = "MODEL", description = "The same as --model.")
    private Path positionalModel;

    @Mixin
    private ModelFileOptions files;

    @Option(
            names = {"-o", "--output"},
            required = true,
            paramLabel = "FILE",
            description = "The .gguf or .safetensors file to write or replace.")
    private Path out;

    @Option(
            names = "--type",
            paramLabel = "TYPE",
            completionCandidates = TypeNames.class,
            description =
                    "How weights are stored (as they are): ${COMPLETION-CANDIDATES}. Biases, norms and a few small"
                            + " layers stay plain.")
    private String type;

    @Option(
            names = {"--rules", "--rule"},
            paramLabel = "REGEX=TYPE",
            description = "Another type for the tensors whose names have a match; the first rule that has one counts.")
    private List<String> rules = List.of();

    @Option(
            names = "--keep-kernels",
            description = "Store convolution kernels as f16 in place of a quantised type, for stable-diffusion.cpp.")
    private boolean keepKernels;

    @Option(
            names = "--lora",
            paramLabel = "FILE[:SCALE]",
            description = "Add a LoRA, LoHa, LoKr or DoRA to the weights; as often as wanted.")
    private List<String> adapters = List.of();

    @Option(names = "--json", description = "Print one JSON object instead of text.")
    private boolean json;

    ConvertCommand(Context context) {
        super(context);
    }

    /** What {@code --json} prints. */
    private record Report(String output, long bytes, double totalS, List<Tensor> tensors) {}

    /** {@code reason} says why a tensor is not of the type that was asked for. */
    private record Tensor(String name, List<Long> shape, String from, String to, long bytes, String reason) {
        static Tensor of(Choice choice) {
            return new Tensor(
                    choice.tensor().name(),
                    choice.tensor().shape(),
                    choice.tensor().type().label(),
                    choice.type().label(),
                    choice.result().byteSize(),
                    choice.reason());
        }
    }

    @Override
    public Integer call() throws IOException {
        long start = System.nanoTime();
        StoredTypes types = types();
        requireOutput(types);
        OutputFile.requireWritable(List.of(out));
        List<Choice> choices;
        files.requireNoSteps();
        Path source = model();
        requireOther(source);
        try (Checkpoint model = merged(files.open(source));
                ProgressBar bar = context.progressBar()) {
            choices = Conversion.write(model, types, out, (bytes, total) -> bar.showBytes("convert", bytes, total));
        }
        double seconds = Json.seconds(System.nanoTime() - start);
        if (json) {
            List<Tensor> tensors = choices.stream().map(Tensor::of).toList();
            print("%s", Json.of(new Report(out.toString(), Files.size(out), seconds, tensors)));
        } else {
            describe(choices);
            print("%s  %.2f GB  %.1f s", out, Files.size(out) / 1e9, seconds);
        }
        return Main.DONE;
    }

    /** The model with the adapters in its weights. */
    private Checkpoint merged(Checkpoint model) {
        if (adapters.isEmpty()) {
            return model;
        }
        try (model) {
            return AdapterMerge.of(
                    model, adapters.stream().map(AdapterOptions::fileAndScale).toList());
        } catch (ModelFormatException e) {
            throw new BadInputException(e);
        }
    }

    /** Refuses a link to the model: what is written goes where links lead. */
    private void requireOther(Path source) throws IOException {
        if (Files.isSymbolicLink(out) && Files.exists(source) && Files.exists(out) && Files.isSameFile(out, source)) {
            throw new BadInputException("--output: " + out + " is a link to the model; choose another name");
        }
    }

    private Path model() throws IOException {
        if (positionalModel != null && files.model != null) {
            throw new BadInputException("--model: a model stands before it already; give one of them");
        }
        return positionalModel == null ? files.modelOrDemo() : positionalModel;
    }

    private StoredTypes types() {
        StoredTypes types =
                type == null ? StoredTypes.unchanged() : StoredTypes.of(ModelFileOptions.type("--type", type));
        for (String rule : rules) {
            int sign = rule.lastIndexOf('=');
            if (sign < 0) {
                throw new BadInputException("--rules: '" + rule + "' has no type; write it as REGEX=TYPE");
            }
            try {
                Pattern names = Pattern.compile(rule.substring(0, sign));
                types = types.with(new Rule(names, ModelFileOptions.type("--rules", rule.substring(sign + 1))));
            } catch (PatternSyntaxException e) {
                throw new BadInputException(
                        "--rules: '" + rule.substring(0, sign) + "' is no regular expression: " + e.getDescription());
            }
        }
        return keepKernels ? types.keepingKernels() : types;
    }

    private void requireOutput(StoredTypes types) {
        boolean gguf;
        try {
            gguf = Conversion.requireEnding(out);
        } catch (IllegalArgumentException e) {
            throw new BadInputException(e);
        }
        if (!gguf && types.quantises()) {
            throw new BadInputException(out + " cannot hold quantised weights; write a .gguf file");
        }
    }

    /** How many tensors became what, and why; all of them with {@code --verbose}. */
    private void describe(List<Choice> choices) {
        Map<String, List<Choice>> groups = new TreeMap<>();
        for (Choice choice : choices) {
            String change = choice.tensor().type() == choice.type()
                    ? choice.type().label() + " stays"
                    : choice.tensor().type().label() + " to " + choice.type().label();
            String reason = choice.reason() == null ? "" : choice.reason();
            groups.computeIfAbsent(String.format("%-20s  %s", change, reason), key -> new ArrayList<>())
                    .add(choice);
            tell("%s: %s%s", choice.tensor().name(), change, reason.isEmpty() ? "" : ", " + reason);
        }
        groups.forEach((group, members) -> {
            long bytes =
                    members.stream().mapToLong(it -> it.result().byteSize()).sum();
            print("%,8d tensors%,16d bytes  %s", members.size(), bytes, group.stripTrailing());
        });
    }

    /** Names for the help text. */
    private static final class TypeNames implements Iterable<String> {
        @Override
        public Iterator<String> iterator() {
            return StoredTypes.WRITABLE.stream().map(DataType::label).iterator();
        }
    }
}
