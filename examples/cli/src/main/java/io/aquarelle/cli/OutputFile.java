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
                .mapToObj(i -> i == 1 ? first : first.resolveSibling(name.substring(0, dot) + "_" + i + name.substring(dot)))
                .toList();
    }

    static void requireEnding(Path file, String ending) {
        if (!String.valueOf(file.getFileName()).toLowerCase(Locale.ROOT).endsWith(ending)) {
            throw new BadInputException(file + " does not end in " + ending + ", which is what is written; rename it");
        }
    }

    /** Refuses what cannot become a file: a folder, a name in a folder that is missing or closed to us. */
    static void requireWritable(Path file) {
        Path folder = file.toAbsolutePath().getParent();
        if (folder == null || isOtherThanFile(file)) {
            throw new BadInputException(file + " is not a file; choose another name");
        }
        if (!Files.isDirectory(folder)) {
            throw new BadInputException(file + " cannot be written: its folder does not exist; create it first");
        }
        if (!Files.isWritable(folder)) {
            throw new BadInputException(file + " cannot be written: you may not write to its folder; choose another");
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
