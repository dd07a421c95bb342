// What goes wrong below the C edge: thrown as a failure, turned into a status and a message there.
#pragma once

#include <exception>
#include <string>
#include <utility>

#include "aquarelle.h"

namespace aq {

class failure : public std::exception {
public:
    failure(aq_status status, std::string message) : status(status), message(std::move(message)) {}

    const char *what() const noexcept override { return message.c_str(); }

    aq_status status;
    std::string message;
};

}  // namespace aq
