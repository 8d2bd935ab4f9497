// tests/golden/methods.h: how each method of the golden cases is computed here:
// through a running server where the server has the method, by the library's
// own kernel where it is not a tier.

#ifndef MNEME_TESTS_GOLDEN_METHODS_H_
#define MNEME_TESTS_GOLDEN_METHODS_H_

#include <string>

#include "absl/status/statusor.h"
#include "client/client.h"
#include "tests/golden/case.h"
#include "tests/golden/compare.h"

namespace mneme::golden {

struct Computed {
  Outputs outputs;
  std::string not_yet;  // What the server lacks for this case; empty: nothing.
};

// Errors: what is wrong with the case, or what the server answered.
using Method = absl::StatusOr<Computed> (*)(const Case&, client::Client&);

// Null for a method that we do not have yet.
Method FindMethod(const std::string& name);

// One function a method; README of the cases has the formulas.
absl::StatusOr<Computed> RopeDefault(const Case& c, client::Client& client);
absl::StatusOr<Computed> RopeLinear(const Case& c, client::Client& client);
absl::StatusOr<Computed> RopeNtkAware(const Case& c, client::Client& client);
absl::StatusOr<Computed> RopeNtkByParts(const Case& c, client::Client& client);
absl::StatusOr<Computed> RopeDynamicNtk(const Case& c, client::Client& client);
absl::StatusOr<Computed> RopeYarn(const Case& c, client::Client& client);
absl::StatusOr<Computed> RopeLongRope(const Case& c, client::Client& client);
absl::StatusOr<Computed> RopeLlama3(const Case& c, client::Client& client);
absl::StatusOr<Computed> Xpos(const Case& c, client::Client& client);
absl::StatusOr<Computed> Alibi(const Case& c, client::Client& client);
absl::StatusOr<Computed> Attention(const Case& c, client::Client& client);
absl::StatusOr<Computed> LmInfinite(const Case& c, client::Client& client);
absl::StatusOr<Computed> Dilated(const Case& c, client::Client& client);
absl::StatusOr<Computed> ShiftedSparse(const Case& c, client::Client& client);
absl::StatusOr<Computed> Landmark(const Case& c, client::Client& client);
absl::StatusOr<Computed> Performer(const Case& c, client::Client& client);
absl::StatusOr<Computed> LinearAttention(const Case& c, client::Client& client);
absl::StatusOr<Computed> Infini(const Case& c, client::Client& client);

}  // namespace mneme::golden

#endif  // MNEME_TESTS_GOLDEN_METHODS_H_
