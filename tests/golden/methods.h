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

// Errors: what is wrong with the case, or what the server answered;
// UNIMPLEMENTED for what only one code base does.
using Method = absl::StatusOr<Outputs> (*)(const Case&, client::Client&);

// Null for an unknown method.
Method FindMethod(const std::string& name);

// One function a method, in the file of its name or of its family.
absl::StatusOr<Outputs> RopeDefault(const Case& c, client::Client& client);
absl::StatusOr<Outputs> RopeLinear(const Case& c, client::Client& client);
absl::StatusOr<Outputs> RopeNtkAware(const Case& c, client::Client& client);
absl::StatusOr<Outputs> RopeNtkByParts(const Case& c, client::Client& client);
absl::StatusOr<Outputs> RopeDynamicNtk(const Case& c, client::Client& client);
absl::StatusOr<Outputs> RopeYarn(const Case& c, client::Client& client);
absl::StatusOr<Outputs> RopeLongRope(const Case& c, client::Client& client);
absl::StatusOr<Outputs> RopeLlama3(const Case& c, client::Client& client);
absl::StatusOr<Outputs> Xpos(const Case& c, client::Client& client);
absl::StatusOr<Outputs> Alibi(const Case& c, client::Client& client);
absl::StatusOr<Outputs> Attention(const Case& c, client::Client& client);
absl::StatusOr<Outputs> StreamingLlm(const Case& c, client::Client& client);
absl::StatusOr<Outputs> LmInfinite(const Case& c, client::Client& client);
absl::StatusOr<Outputs> LongLlama(const Case& c, client::Client& client);
absl::StatusOr<Outputs> LongMem(const Case& c, client::Client& client);
absl::StatusOr<Outputs> MemorizingJoint(const Case& c, client::Client& client);
absl::StatusOr<Outputs> Landmark(const Case& c, client::Client& client);
absl::StatusOr<Outputs> Dilated(const Case& c, client::Client& client);
absl::StatusOr<Outputs> ShiftedSparse(const Case& c, client::Client& client);
absl::StatusOr<Outputs> Performer(const Case& c, client::Client& client);
absl::StatusOr<Outputs> LinearAttention(const Case& c, client::Client& client);
absl::StatusOr<Outputs> Infini(const Case& c, client::Client& client);

}  // namespace mneme::golden

#endif  // MNEME_TESTS_GOLDEN_METHODS_H_
