package io.aquarelle.cli;

import io.aquarelle.model.Checkpoint;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code aquarelle inspect}: what a model file holds. */
@Command(name = "inspect", description = "Tells what a model file holds.", sortOptions = false)
final class InspectCommand extends SubCommand {
    @Parameters(paramLabel = "MODEL", description = "A model file or folder, as for convert.")
    private Path model;

    @Option(names = "--json", description = "Print one JSON object instead of text.")
    private boolean json;

    InspectCommand(Context context) {
        super(context);
    }

    @Override
    public Integer call() {
        Inspection inspection;
        try (Checkpoint checkpoint = Checkpoint.open(model)) {
            inspection = Inspection.of(checkpoint);
        } catch (IOException e) {
            throw new BadInputException(e);
        }
        if (json) {
            print("%s", Json.of(inspection));
        } else {
            describe(inspection);
        }
        return Main.DONE;
    }

    private void describe(Inspection inspection) {
        print("%s", inspection.path());
        if (inspection.family() != null) {
            print(
                    "%-14s%s%s, predicts %s",
                    "family",
                    inspection.family(),
                    inspection.distillation() == null ? "" : " (" + inspection.distillation() + ")",
                    inspection.prediction() == null ? "eps or v (known when it is run)" : inspection.prediction());
            describe(inspection.structure().unet());
        }
        for (var encoder : inspection.structure().textEncoders()) {
            print(
                    "%-14s%d layers, width %d, %d tokens",
                    "text encoder", encoder.layers(), encoder.width(), encoder.vocabulary());
        }
        var vae = inspection.structure().vae();
        if (vae.encoder() || vae.decoder()) {
            print(
                    "%-14s%d latent channels, %s",
                    "vae",
                    vae.latentChannels(),
                    vae.encoder() ? vae.decoder() ? "encoder and decoder" : "encoder only" : "decoder only");
        }
        List<String> missing = missing(inspection.structure());
        if (!missing.isEmpty()) {
            print("%-14s%s", "missing", String.join(", ", missing));
        }
        print("");
        print("%-14s%8s%16s%18s", "", "tensors", "parameters", "bytes");
        inspection.parts().forEach((part, share) -> row(part.replace('_', ' '), share));
        inspection.types().forEach((type, share) -> row(type.name(), share));
        row("all", inspection.all());
        if (!inspection.metadata().isEmpty()) {
            print("");
        }
        inspection.metadata().forEach((key, value) -> print("%s", Context.printable(key + ": " + value)));
    }

    private void describe(Inspection.UNet unet) {
        print(
                "%-14s%d input channels, width %d, %d input blocks, %s, %d output blocks",
                "unet",
                unet.inChannels(),
                unet.channels(),
                unet.inputBlocks(),
                unet.middleBlock() ? "middle" : "no middle",
                unet.outputBlocks());
        print(
                "%-14s%d transformer blocks, context width %d%s",
                "",
                unet.transformerBlocks(),
                unet.contextWidth(),
                unet.labelWidth() > 0 ? ", label width " + unet.labelWidth() : "");
    }

    /** What a whole model has besides. */
    private static List<String> missing(Inspection.Structure structure) {
        var missing = new ArrayList<String>();
        if (structure.unet().channels() == 0) {
            missing.add("unet");
        }
        if (structure.textEncoders().isEmpty()) {
            missing.add("text encoder");
        }
        if (!structure.vae().decoder()) {
            missing.add("vae");
        }
        return missing;
    }

    private void row(String name, Inspection.Share share) {
        print("%-14s%,8d%,16d%,18d", name, share.tensors(), share.parameters(), share.bytes());
    }
}
