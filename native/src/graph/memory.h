// What the operating system says about memory.
#pragma once

#include <stdint.h>

namespace aq {

// Bytes that can be allocated without swapping or being killed; 0 if unknown.
uint64_t available_memory();

// Highest resident memory of this process so far in bytes; 0 if unknown.
uint64_t peak_resident_memory();

// Memory in whole pages that the system has back as soon as it is not used any more: of what malloc is given back much
// stays with the process. Throws std::bad_alloc.
class pages {
public:
    explicit pages(uint64_t bytes);
    ~pages();
    pages(const pages &) = delete;
    pages &operator=(const pages &) = delete;

    uint8_t *data() const { return data_; }

    // What `bytes` take.
    static uint64_t rounded(uint64_t bytes) { return (bytes + 4095) / 4096 * 4096; }

private:
    uint8_t *data_;
    uint64_t bytes_;
};

}  // namespace aq
