// tests/golden/wire.h: floats to and from a running server, in a session that
// lives as long as its case.

#ifndef MNEME_TESTS_GOLDEN_WIRE_H_
#define MNEME_TESTS_GOLDEN_WIRE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/client.h"
#include "tests/golden/case.h"

namespace mneme::golden {

// A profile of one FLOAT32 layer with the geometry of `in`.
v1::Profile ProfileFor(const Heads& in, double scale);

// Lifetime: deletes its session; borrows the client.
class WireSession {
 public:
  static absl::StatusOr<std::unique_ptr<WireSession>> Create(
      client::Client& client, const v1::Profile& profile);
  ~WireSession();
  WireSession(const WireSession&) = delete;
  WireSession& operator=(const WireSession&) = delete;

  // Appends tokens [begin, end) of `in` at their positions.
  // Shapes: positions [end - begin].
  absl::Status Append(const Heads& in, int64_t begin, int64_t end,
                      const std::vector<int64_t>& positions);

  struct Answer {
    std::vector<float> out;  // [heads, rows, value_dim]
    std::vector<float> lse;  // [heads, rows]; empty when a gate mixed.
  };
  // Attends with rows [begin, end) of `in`, reading every key of the kNN tier;
  // only `tier` when one is given.
  absl::StatusOr<Answer> Attend(const Heads& in, int64_t begin, int64_t end,
                                const std::vector<int64_t>& positions,
                                std::optional<v1::Tier> tier);

  struct State {
    std::vector<float> matrix;      // [kv_heads, key_dim, value_dim]
    std::vector<float> normalizer;  // [kv_heads, key_dim]
  };
  // Errors: INTERNAL when the state has absorbed another part of the log.
  absl::StatusOr<State> CompressiveState(uint64_t absorbed_seq);

 private:
  WireSession(client::Client& client, std::string name)
      : client_(client), name_(std::move(name)) {}

  client::Client& client_;
  const std::string name_;
};

}  // namespace mneme::golden

#endif  // MNEME_TESTS_GOLDEN_WIRE_H_
