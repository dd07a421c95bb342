#include "api/handles.h"

#include <utility>

#include "graph/failure.h"

namespace aq {

namespace {

[[noreturn]] void closed(aq_handle handle) {
    throw failure(AQ_CLOSED, "handle " + std::to_string(handle) + " is closed or was never opened");
}

}  // namespace

handle_table &handle_table::instance() {
    static handle_table &table = *new handle_table;
    return table;
}

aq_handle handle_table::add(object o) {
    const std::lock_guard<std::mutex> lock(mutex_);
    objects_.emplace(++last_, std::move(o));
    return last_;
}

object handle_table::get(aq_handle handle) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = objects_.find(handle);
    if (found == objects_.end()) closed(handle);
    return found->second;
}

void handle_table::remove(aq_handle handle) {
    object last;  // destroyed after the lock is released
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = objects_.find(handle);
    if (found == objects_.end()) closed(handle);
    last = std::move(found->second);
    objects_.erase(found);
}

}  // namespace aq
