// Writes prompt-golden.tsv and weighting-golden.tsv from what stable-diffusion.cpp makes of prompts. Not part of the
// build. To use it, build that program (commit 97d2990) and compile this file against it, DIR being its folder:
//
//   g++ -std=c++17 -DGGML_MAX_NAME=128 -IDIR/src -IDIR/include -IDIR/thirdparty -IDIR/ggml/include \
//       make_prompt_golden.cpp DIR/build/libstable-diffusion.a DIR/build/ggml/src/libggml.a \
//       DIR/build/ggml/src/libggml-cpu.a DIR/build/ggml/src/libggml-base.a -lgomp
//   ./a.out
//
// prompt-golden.tsv: prompt, token ids of all chunks, weights of all chunks.
// weighting-golden.tsv: weights of one chunk of 77 tokens, hidden states [77][4] before, and after.
// The prompts keep to ASCII and to syntax that both programs read alike; the class comment of PromptSyntax says what
// A1111 does, and that is what counts where they differ (escapes other than \(, brackets that were never opened,
// BREAK inside a longer word).

#include <cstdio>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "conditioning/conditioner.hpp"
#include "ggml-cpu.h"

static std::string repeat(const std::string& text, int times) {
    std::string result;
    for (int i = 0; i < times; i++) {
        result += text;
    }
    return result;
}

template <typename T>
static std::string joined(const std::vector<T>& values) {
    std::string result;
    char number[32];
    for (const T& value : values) {
        snprintf(number, sizeof number, "%s%.9g", result.empty() ? "" : " ", static_cast<double>(value));
        result += number;
    }
    return result;
}

static std::vector<std::string> prompts() {
    std::vector<std::string> result = {
        "", " ", "a cat", "a photograph of an astronaut riding a horse", "a (red:1.3) cat", "a ((red)) cat", "a [red] cat",
        "a [[red]] cat", "(a (b (c:1.2):1.3):0.5) d", "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
        "(unbalanced", "((unbalanced (twice", "[unbalanced", "(mixed [unbalanced", "(a [b) c] d", "(unnecessary)(parens)",
        "un(real)istic", "a (b:-1.5) c", "a (b:+1.5) c", "a (b:.5) c", "a (b:2.) c", "a (b:0) c", "a (b:1.2.3) c",
        "a (b: 1.3) c", "a (b:c:1.3) d", "a (b:) c", "time 12:30", "a:b", "\\(literal", "smile :\\( face",
        "(big:100000)", "[(a)]", "a b BREAK c d", "BREAK a", "a BREAK", "a BREAK BREAK b", "BREAK", "BREAK BREAK",
        "(a BREAK b)", "(a BREAK b:1.0) c", "(a BREAK b:2)", "a, BREAK, b", "BREAKFAST", "Break break", "B B B BIG Bob",
        "(a:1.3) BREAK [b] BREAK (c (d))",
    };
    std::string words = "red, green blue ";
    for (int count : {74, 75, 76, 149, 150, 151}) {
        result.push_back(repeat("cat ", count));
        result.push_back(repeat("cat ", count) + "BREAK dog");
    }
    result.push_back(repeat(words, 30));
    result.push_back("(" + repeat(words, 25) + ":1.25) " + repeat("[moon] ", 40));
    result.push_back(repeat("antidisestablishmentarianism ", 30));
    result.push_back(repeat("cat ", 70) + "antidisestablishmentarianism, (pneumonoultramicroscopicsilicovolcanoconiosis:1.1)");

    // random syntax: brackets close only what is open
    std::mt19937 random(2);
    const char* pieces[] = {"a cat", "sky", ",", " ", "red ", ":", " BREAK ", "don't", "42", "!?", "house, "};
    for (int i = 0; i < 60; i++) {
        std::string prompt;
        std::string open;
        for (int j = random() % 25; j >= 0; j--) {
            switch (random() % 8) {
                case 0: prompt += "("; open += ")"; break;
                case 1: prompt += "["; open += "]"; break;
                case 2:
                case 3:
                    if (!open.empty()) {
                        if (open.back() == ')' && random() % 2) {
                            prompt += ":" + std::to_string(random() % 3) + "." + std::to_string(random() % 100);
                        }
                        prompt += open.back();
                        open.pop_back();
                    }
                    break;
                default: prompt += pieces[random() % std::size(pieces)];
            }
        }
        result.push_back(prompt);
    }
    return result;
}

int main() {
    ggml_backend_t backend = ggml_backend_cpu_init();
    FrozenCLIPEmbedderWithCustomWords embedder(backend, {}, {}); // no weights: only its tokenizer is used
    std::ofstream prompt_golden("prompt-golden.tsv");
    for (const std::string& prompt : prompts()) {
        auto [tokens, weights] = embedder.tokenize(prompt, 77, 77, true);
        prompt_golden << prompt << '\t' << joined(tokens) << '\t' << joined(weights) << '\n';
    }

    std::ofstream weighting_golden("weighting-golden.tsv");
    std::mt19937 random(3);
    std::normal_distribution<float> normal(0.1f, 1.0f);
    for (const char* prompt : {"a cat", "a (red:1.3) cat", "a [red] ((cat))", "(a:0) b", "(a:-2) b (c:7.5)", "(a:1000) b"}) {
        auto [tokens, weights] = embedder.tokenize(prompt, 77, 77, true);
        std::vector<float> hidden(77 * 4);
        for (float& value : hidden) {
            value = normal(random);
        }
        auto tensor = sd::Tensor<float>::from_vector(hidden);
        tensor.reshape_({4, 77});
        auto weighted = apply_token_weights(tensor, weights);
        weighting_golden << joined(weights) << '\t' << joined(hidden) << '\t' << joined(weighted.values()) << '\n';
    }
    ggml_backend_free(backend);
    return 0;
}
