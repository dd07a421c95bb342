package io.aquarelle;

import io.aquarelle.model.Checkpoint;
import io.aquarelle.model.TensorInfo;
import java.io.IOException;
import java.io.StringReader;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Optional;
import java.util.Properties;

/**
 * Plans that were found, one small file each. Its name is a hash of all that the plan depends on, so that it is found
 * again for the same model, run and version only; a damaged file is none.
 */
final class PlanCache {
    private static final int SAMPLE = 256; // bytes of each tensor's start and end
    private static final int LARGEST = 1 << 16;
    private static final String LAST = "complete"; // of a file that was not cut

    private final Path file;

    /**
     * The place of a plan.
     *
     * @param folder made when something is stored
     * @param model of whose tensors names, shapes, types and samples count
     * @param run everything else that the plan depends on
     */
    PlanCache(Path folder, Checkpoint model, String run) {
        file = folder.resolve(hash(model, run) + ".plan");
    }

    private static String hash(Checkpoint model, String run) {
        MessageDigest digest;
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError(e); // every Java platform has it
        }
        digest.update(run.getBytes(StandardCharsets.UTF_8));
        for (TensorInfo tensor : model.tensors().values()) {
            digest.update(tensor.toString().getBytes(StandardCharsets.UTF_8));
            MemorySegment data = model.data(tensor);
            long size = data.byteSize();
            digest.update(data.asSlice(0, Math.min(SAMPLE, size)).toArray(ValueLayout.JAVA_BYTE));
            digest.update(data.asSlice(Math.max(0, size - SAMPLE)).toArray(ValueLayout.JAVA_BYTE));
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    /** The plan that was stored. */
    Optional<AutoPlan> read() {
        try {
            if (!Files.isRegularFile(file) || Files.size(file) > LARGEST) {
                return Optional.empty();
            }
            Properties values = new Properties();
            values.load(new StringReader(Files.readString(file)));
            if (!"true".equals(values.getProperty(LAST))) {
                return Optional.empty();
            }
            return Optional.of(new AutoPlan(
                    Integer.parseInt(values.getProperty("cond_only_last")),
                    Arrays.stream(values.getProperty("inherit", "").split(" "))
                            .filter(each -> !each.isEmpty())
                            .toList(),
                    Integer.parseInt(values.getProperty("skip_middle_last")),
                    Double.parseDouble(values.getProperty("psnr", "")),
                    Double.parseDouble(values.getProperty("share", "")),
                    Integer.parseInt(values.getProperty("pictures")),
                    Integer.parseInt(values.getProperty("width")),
                    Integer.parseInt(values.getProperty("height"))));
        } catch (IOException | IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    /** Stores a plan, or nothing where that cannot be: it is found again at the price of another search. */
    void write(AutoPlan plan) {
        String text = "cond_only_last=" + plan.condOnlyLast() + "\ninherit="
                + String.join(" ", plan.inherit()).replace(":", "\\:")
                + "\nskip_middle_last=" + plan.skipMiddleLast() + "\npsnr=" + plan.psnr() + "\nshare=" + plan.share()
                + "\npictures=" + plan.pictures() + "\nwidth=" + plan.width() + "\nheight=" + plan.height() + "\n"
                + LAST + "=true\n";
        try {
            Files.createDirectories(file.getParent());
            Path temporary = Files.createTempFile(file.getParent(), "plan", ".tmp");
            try {
                Files.writeString(temporary, text);
                Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
            } finally {
                Files.deleteIfExists(temporary);
            }
        } catch (IOException e) {
            System.getLogger(PlanCache.class.getName())
                    .log(System.Logger.Level.WARNING, "the plan could not be kept in " + file, e);
        }
    }
}
