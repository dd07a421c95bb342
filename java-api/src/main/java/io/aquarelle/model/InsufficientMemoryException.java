package io.aquarelle.model;

/** The machine has too little memory left for a call. Nothing was computed; a smaller picture may fit. */
public class InsufficientMemoryException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public InsufficientMemoryException(String message) {
        super(message);
    }
}
