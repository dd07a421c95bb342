package io.aquarelle.cli;

import io.aquarelle.demo.DemoModel;
import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.DataType;
import io.aquarelle.model.ModelFiles;
import io.aquarelle.model.StoredTypes;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.stream.Collectors;
import picocli.CommandLine.Option;

/** The files that a model comes from. */
final class ModelFileOptions {
    @Option(
            names = {"-m", "--model"},
            paramLabel = "FILE",
            description = "A Stable Diffusion model: .safetensors (or its .index.json), .gguf, .ckpt, .pt, or a folder"
                    + " of diffusers. Without it, the small model that draws emoji.")
    Path model;

    @Option(
            names = "--unet",
            paramLabel = "FILE",
            description = "Use the UNet of another file; to generate, FILE@0-8 in steps 0 to 7 only. May be repeated.")
    private List<String> unets = List.of();

    @Option(names = "--vae", paramLabel = "FILE", description = "Use the VAE of another file, or a tiny autoencoder.")
    private Path vae;

    @Option(
            names = "--clip",
            paramLabel = "FILE",
            description = "Use the text encoder of another file; once more for a second encoder.")
    private List<Path> textEncoders = List.of();

    /** The model to take: that of the option, or the one in the box. */
    Path modelOrDemo() throws IOException {
        return model == null ? DemoModel.file() : model;
    }

    /** UNets for some of the steps. */
    List<UNetOption> switched() {
        return unets.stream().map(UNetOption::parse).filter(Objects::nonNull).toList();
    }

    /** Refuses UNets for some of the steps, where there are none. */
    void requireNoSteps() {
        if (!switched().isEmpty()) {
            throw new BadInputException("--unet: only generate has steps; name the file alone");
        }
    }

    /** Maps all files but those of UNets for some of the steps. */
    Checkpoint open(Path model) {
        return open(model, null);
    }

    /** The same with {@code tiny} in place of the VAE, if it is not null. */
    Checkpoint open(Path model, Path tiny) {
        ModelFiles files = ModelFiles.of(model);
        for (String unet : unets) {
            files = UNetOption.parse(unet) == null ? files.withUNet(Path.of(unet)) : files;
        }
        files = vae == null ? files : files.withVae(vae);
        files = tiny == null ? files : files.withVae(tiny);
        for (Path textEncoder : textEncoders) {
            files = files.withTextEncoder(textEncoder);
        }
        try {
            return Checkpoint.open(files);
        } catch (IOException e) {
            throw new BadInputException(e);
        }
    }

    /** The type that is called so. */
    static DataType type(String option, String name) {
        return StoredTypes.WRITABLE.stream()
                .filter(type -> type.label().equalsIgnoreCase(name))
                .findFirst()
                .orElseThrow(() -> new BadInputException(
                        option + ": there is no type '" + name + "' to store weights in; use " + typeNames()));
    }

    static String typeNames() {
        return StoredTypes.WRITABLE.stream().map(DataType::label).collect(Collectors.joining(", "));
    }
}
