// base/strict_json.h: JSON of a file that nobody vouches for.

#ifndef MNEME_BASE_STRICT_JSON_H_
#define MNEME_BASE_STRICT_JSON_H_

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "absl/status/statusor.h"

namespace mneme::base {

// A JSON object of at most `depth_max` levels in which no object has a key
// twice: other readers differ in which of the two wins.
// Errors: INVALID_ARGUMENT BAD_JSON that says what is wrong.
absl::StatusOr<nlohmann::json> ParseStrictJson(std::string_view bytes,
                                               int depth_max);

}  // namespace mneme::base

#endif  // MNEME_BASE_STRICT_JSON_H_
