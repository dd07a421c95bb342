#include "graph/memory.h"

#if defined(_WIN32)
#define NOMINMAX
#include <windows.h>
// psapi.h needs windows.h before it
#include <psapi.h>
#else
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <string>
#if defined(__APPLE__)
#include <mach/mach.h>
#endif
#endif

#include <new>

namespace aq {

#if defined(_WIN32)

pages::pages(uint64_t bytes)
    : data_((uint8_t *)VirtualAlloc(nullptr, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE)), bytes_(bytes) {
    if (data_ == nullptr) throw std::bad_alloc();
}

pages::~pages() { VirtualFree(data_, 0, MEM_RELEASE); }

#else

pages::pages(uint64_t bytes)
    : data_((uint8_t *)mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)),
      bytes_(bytes) {
    if (data_ == MAP_FAILED) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
    madvise(data_, bytes, MADV_HUGEPAGE);  // fewer page faults; where there are no huge pages, nothing is lost
#endif
}

pages::~pages() { munmap(data_, bytes_); }

#endif

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

// This process's control group: the path behind `key` in /proc/self/cgroup, "0::" in version 2, "N:memory:" in 1.
std::string control_group(const char *key) {
    FILE *f = fopen("/proc/self/cgroup", "r");
    if (f == nullptr) return "";
    char line[512];
    std::string path;
    while (fgets(line, sizeof line, f) != nullptr) {
        const char *found = strstr(line, key);
        if (found != nullptr) path.assign(found + strlen(key), strcspn(found + strlen(key), "\n"));
    }
    fclose(f);
    return path;
}

// The least room under the limits of a control group and all above it, as far as they are visible; its page cache can
// be given back. UINT64_MAX without limits.
uint64_t room_in_groups(const std::string &root, std::string path, const char *limit, const char *usage,
                        const char *cache) {
    uint64_t room = UINT64_MAX;
    while (true) {
        const std::string folder = root + path + "/";
        const uint64_t most = number_in((folder + limit).c_str(), "");
        if (most != 0) {
            const uint64_t used = number_in((folder + usage).c_str(), "");
            const uint64_t cached = number_in((folder + "memory.stat").c_str(), cache);
            const uint64_t held = used > cached ? used - cached : 0, left = most > held ? most - held : 1;
            if (left < room) room = left;
        }
        const size_t end = path.rfind('/');
        if (end == std::string::npos) return room;
        path.resize(end);
    }
}

}  // namespace

uint64_t available_memory() {
    const uint64_t machine = number_in("/proc/meminfo", "MemAvailable:") * 1024;
    const uint64_t second =
        room_in_groups("/sys/fs/cgroup", control_group("0::"), "memory.max", "memory.current", "file ");
    const uint64_t first = room_in_groups("/sys/fs/cgroup/memory", control_group(":memory:"), "memory.limit_in_bytes",
                                          "memory.usage_in_bytes", "total_cache ");
    const uint64_t group = second < first ? second : first;
    if (group == UINT64_MAX) return machine;
    return machine == 0 || group < machine ? group : machine;
}

uint64_t peak_resident_memory() {
    rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

#endif

}  // namespace aq
