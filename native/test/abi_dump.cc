// Prints the ABI of aquarelle.h as this compiler sees it. A type is written as its kind and size in bytes: i4, f4, p8,
// and an array as its length before that: 508i1.
#include <cstddef>
#include <cstdio>
#include <string>
#include <type_traits>

#include "aquarelle.h"

namespace {

template <class T> std::string type() {
    if constexpr (std::is_array_v<T>) return std::to_string(std::extent_v<T>) + type<std::remove_extent_t<T>>();
    const char *kind = std::is_pointer_v<T> ? "p" : std::is_floating_point_v<T> ? "f" : "i";
    return kind + std::to_string(sizeof(T));
}

void constant(const char *name, long value) { std::printf("constant %s %ld\n", name, value); }

template <class T> void structure(const char *name) {
    std::printf("struct %s size %zu align %zu\n", name, sizeof(T), alignof(T));
}

template <class T> void field(const char *name, std::size_t offset) {
    std::printf("field %s at %zu %s\n", name, offset, type<T>().c_str());
}

template <class Result, class... Arguments> std::string signature(Result (*)(Arguments...)) {
    return type<Result>() + ((" " + type<Arguments>()) + ... + "");
}

template <class Function> void function(const char *name) {
    std::printf("function %s %s\n", name, signature(static_cast<Function>(nullptr)).c_str());
}

}  // namespace

int main() {
#include "abi_lines.inl"
}
