#include "graph/memory.h"

#if defined(_WIN32)
#define NOMINMAX
#include <windows.h>
// psapi.h needs windows.h before it
#include <psapi.h>
#else
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#if defined(__APPLE__)
#include <mach/mach.h>
#endif
#endif

namespace aq {

#if defined(_WIN32)

uint64_t available_memory() {
    MEMORYSTATUSEX status = {};
    status.dwLength = sizeof status;
    return GlobalMemoryStatusEx(&status) ? status.ullAvailPageFile : 0;
}

uint64_t peak_resident_memory() {
    PROCESS_MEMORY_COUNTERS counters = {};
    counters.cb = sizeof counters;
    return K32GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters) ? counters.PeakWorkingSetSize : 0;
}

#elif defined(__APPLE__)

uint64_t available_memory() {
    vm_statistics64_data_t pages;
    mach_msg_type_number_t count = HOST_VM_INFO64_COUNT;
    if (host_statistics64(mach_host_self(), HOST_VM_INFO64, (host_info64_t)&pages, &count) != KERN_SUCCESS) return 0;
    return ((uint64_t)pages.free_count + pages.inactive_count + pages.purgeable_count) * vm_page_size;
}

uint64_t peak_resident_memory() {
    rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss : 0;
}

#else

namespace {

// The number behind `key` in a file of "key value" lines; 0 if there is none.
uint64_t number_in(const char *file, const char *key) {
    FILE *f = fopen(file, "r");
    if (f == nullptr) return 0;
    char line[256];
    unsigned long long value = 0;
    const size_t length = strlen(key);
    while (fgets(line, sizeof line, f) != nullptr) {
        if (strncmp(line, key, length) == 0 && sscanf(line + length, "%llu", &value) == 1) break;
    }
    fclose(f);
    return value;
}

}  // namespace

uint64_t available_memory() {
    const uint64_t machine = number_in("/proc/meminfo", "MemAvailable:") * 1024;
    // In a container the limit of its control group counts; its page cache can be given back.
    const uint64_t limit = number_in("/sys/fs/cgroup/memory.max", "");
    if (limit == 0) return machine;
    const uint64_t used = number_in("/sys/fs/cgroup/memory.current", "");
    const uint64_t cache = number_in("/sys/fs/cgroup/memory.stat", "file ");
    const uint64_t held = used > cache ? used - cache : 0, group = limit > held ? limit - held : 1;
    return machine == 0 || group < machine ? group : machine;
}

uint64_t peak_resident_memory() {
    rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

#endif

}  // namespace aq
