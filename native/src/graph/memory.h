// What the operating system says about memory.
#pragma once

#include <stdint.h>

namespace aq {

// Bytes that can be allocated without swapping or being killed; 0 if unknown.
uint64_t available_memory();

// Highest resident memory of this process so far in bytes; 0 if unknown.
uint64_t peak_resident_memory();

}  // namespace aq
