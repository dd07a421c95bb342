package io.aquarelle.cli;

/** An argument or a file is wrong; the message is one line that names it and the mend. */
final class BadInputException extends IllegalArgumentException {
    private static final long serialVersionUID = 1L;

    BadInputException(String message) {
        super(message);
    }

    BadInputException(Exception cause) {
        super(cause.getMessage(), cause);
    }

    /** For what is wrong about the value of an option. */
    BadInputException(String option, Exception cause) {
        super(option + ": " + cause.getMessage(), cause);
    }
}
