// Stored types to other stored types.
#pragma once

#include "aquarelle.h"

namespace aq {

// Throws failure: AQ_INVALID_ARGUMENT for types and sizes that do not fit, AQ_INVALID_MODEL for values that do not.
void convert(const aq_conversion &call);

}  // namespace aq
