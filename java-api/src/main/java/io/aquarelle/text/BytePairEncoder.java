package io.aquarelle.text;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.zip.GZIPInputStream;

/**
 * Byte-pair encoding of single words (Sennrich, Haddow and Birch, 2016, over bytes as in GPT-2).
 *
 * <p>A word starts as one token per byte and, as long as any merge fits, the merge of lowest rank is applied to all its
 * places from left to right. Ids: bytes 0–255 in CLIP's order, the same bytes at a word's end 256–511, then the merges
 * by rank. No two merges make the same token and every merge uses only older tokens, so a merge never makes room for
 * one of lower rank, and a queue ordered by (token made, place) yields the same result one merge at a time.
 */
final class BytePairEncoder {
    private static final String RESOURCE = "clip-merges.gz";
    private static final int BYTES = 256;
    private static final int TABLE_MASK = (1 << 17) - 1;

    private final int[] byteTokens = byteTokens();

    /** Open-addressing hash table from a pair of tokens to the token that it makes; made 0 marks a free slot. */
    private final int[] pairs = new int[TABLE_MASK + 1];

    private final int[] made = new int[TABLE_MASK + 1];

    /** {@code merges} holds the pairs by rank, each as two unsigned shorts. */
    private BytePairEncoder(ByteBuffer merges) {
        for (int token = 2 * BYTES; merges.hasRemaining(); token++) {
            int pair = merges.getInt();
            int slot = slot(pair);
            pairs[slot] = pair;
            made[slot] = token;
        }
    }

    static BytePairEncoder load() {
        try (InputStream resource = BytePairEncoder.class.getResourceAsStream(RESOURCE)) {
            if (resource == null) {
                throw new IllegalStateException("resource " + RESOURCE + " is missing from this build of Aquarelle");
            }
            return new BytePairEncoder(ByteBuffer.wrap(new GZIPInputStream(resource).readAllBytes()));
        } catch (IOException e) {
            throw new UncheckedIOException("resource " + RESOURCE + " can't be read", e);
        }
    }

    /** Bytes that print in Latin-1 come first, in order, then the others, in order. */
    private static int[] byteTokens() {
        int[] tokens = new int[BYTES];
        int next = 0;
        for (boolean printable : new boolean[] {true, false}) {
            for (int b = 0; b < BYTES; b++) {
                boolean prints = b > 0x20 && b < 0x7F || b > 0xA0 && b != 0xAD;
                if (prints == printable) {
                    tokens[b] = next++;
                }
            }
        }
        return tokens;
    }

    private int slot(int pair) {
        int slot = (pair * 0x9E3779B1) >>> 15;
        while (made[slot] != 0 && pairs[slot] != pair) {
            slot = (slot + 1) & TABLE_MASK;
        }
        return slot;
    }

    /** Returns the token that {@code left} and {@code right} make, or 0 if they don't merge. */
    int merge(int left, int right) {
        return made[slot(left << 16 | right)];
    }

    /** Returns the tokens of single bytes, the last one marked as the word's end. */
    int[] split(byte[] word) {
        int[] tokens = new int[word.length];
        for (int i = 0; i < word.length; i++) {
            tokens[i] = byteTokens[word[i] & 0xFF];
        }
        tokens[word.length - 1] += BYTES;
        return tokens;
    }

    /** Returns the tokens of a word of at least one byte, in O(n log n). */
    int[] encode(byte[] word) {
        int[] tokens = split(word);
        int length = tokens.length;
        int[] next = new int[length]; // place of the token to the right, length at the end
        int[] previous = new int[length];
        MergeQueue queue = new MergeQueue(length);
        for (int i = 0; i < length; i++) {
            next[i] = i + 1;
            previous[i] = i - 1;
            if (i + 1 < length) {
                queue.add(merge(tokens[i], tokens[i + 1]), i);
            }
        }
        while (!queue.isEmpty()) {
            long candidate = queue.poll();
            int token = (int) (candidate >>> 32);
            int place = (int) candidate;
            int right = next[place];
            if (tokens[place] < 0 || right == length || merge(tokens[place], tokens[right]) != token) {
                continue; // an earlier merge has taken one of the two
            }
            tokens[place] = token;
            tokens[right] = -1;
            next[place] = next[right];
            if (next[place] < length) {
                previous[next[place]] = place;
                queue.add(merge(token, tokens[next[place]]), place);
            }
            if (previous[place] >= 0) {
                queue.add(merge(tokens[previous[place]], token), previous[place]);
            }
        }
        return Arrays.stream(tokens).filter(token -> token >= 0).toArray();
    }

    /** A binary heap of merges to do: the token made in the upper half, its place in the lower half. */
    private static final class MergeQueue {
        private long[] heap;
        private int size;

        MergeQueue(int capacity) {
            heap = new long[capacity];
        }

        boolean isEmpty() {
            return size == 0;
        }

        void add(int token, int place) {
            if (token == 0) {
                return;
            }
            if (size == heap.length) {
                heap = Arrays.copyOf(heap, 2 * size);
            }
            long item = (long) token << 32 | place;
            int i = size++;
            while (i > 0 && heap[(i - 1) / 2] > item) {
                heap[i] = heap[(i - 1) / 2];
                i = (i - 1) / 2;
            }
            heap[i] = item;
        }

        long poll() {
            long first = heap[0];
            long item = heap[--size];
            int i = 0;
            while (2 * i + 1 < size) {
                int child = 2 * i + 1;
                if (child + 1 < size && heap[child + 1] < heap[child]) {
                    child++;
                }
                if (heap[child] >= item) {
                    break;
                }
                heap[i] = heap[child];
                i = child;
            }
            heap[i] = item;
            return first;
        }
    }
}
