package io.aquarelle.cli;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;

/** Names of files to be written, checked before the work starts. */
final class OutputFile {
    private OutputFile() {}

    /** {@code out.png, out_2.png, out_3.png, ...} */
    static List<Path> series(Path first, int count) {
        String name = String.valueOf(first.getFileName());
        int dot = name.lastIndexOf('.');
        return IntStream.rangeClosed(1, count)
                .mapToObj(i ->
                        i == 1 ? first : first.resolveSibling(name.substring(0, dot) + "_" + i + name.substring(dot)))
                .toList();
    }

    static void requireEnding(String option, Path file, String ending) {
        if (!String.valueOf(file.getFileName()).toLowerCase(Locale.ROOT).endsWith(ending)) {
            String name = file.toString().isEmpty() ? option + ": an empty name" : file.toString();
            throw new BadInputException(name + " does not end in " + ending + ", which is what is written; rename it");
        }
    }

    /** Refuses what cannot become files of one folder: folders, names too long, places that are closed to us. */
    static void requireWritable(List<Path> files) {
        for (Path file : files) {
            if (isOtherThanFile(file)) {
                throw new BadInputException(file + " is not a file; choose another name");
            }
        }
        Path file = files.getFirst();
        Path folder = file.toAbsolutePath().getParent();
        if (!Files.isDirectory(folder)) {
            throw new BadInputException(file + " cannot be written: its folder does not exist; create it first");
        }
        try {
            // The surest test: access rights do not tell of read-only disks and of quotas.
            Files.delete(Files.createTempFile(folder, ".aquarelle-", ".part"));
        } catch (IOException e) {
            throw new BadInputException(file + " cannot be written: its folder takes no new files; choose another");
        }
    }

    private static boolean isOtherThanFile(Path file) {
        try {
            return !Files.readAttributes(file, BasicFileAttributes.class).isRegularFile();
        } catch (NoSuchFileException e) {
            return false;
        } catch (FileSystemException e) {
            throw new BadInputException(file + " cannot be written: " + e.getReason() + "; choose another name");
        } catch (IOException e) {
            throw new BadInputException(e);
        }
    }
}
