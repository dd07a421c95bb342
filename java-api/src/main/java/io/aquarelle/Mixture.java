package io.aquarelle;

/** Which branches a request's guidance needs. */
enum Mixture {
    /** The prompt's alone. */
    PROMPT(1),
    /** Also that of the negative prompt. */
    NEGATIVE_PROMPT(2),
    /** Also one with neither picture nor prompt, of models that edit pictures. */
    PICTURE(3);

    private final int branches;

    Mixture(int branches) {
        this.branches = branches;
    }

    int branches() {
        return branches;
    }

    /** Of a request: branches that scales of 1 take out of the sum are left out. */
    static Mixture of(ImageRequest request, Model model) {
        // Consistency models know the scale of themselves.
        float scale = model.networks().unet().guidanceWidth() > 0 ? 1 : request.guidance();
        if (model.networks().edits() && request.image() != null && request.imageGuidance() != 1) {
            return PICTURE;
        }
        return scale == 1 ? PROMPT : NEGATIVE_PROMPT;
    }
}
