// tests/golden/wire.h: floats to and from a running server, in a session that
// lives as long as its case.

#ifndef MNEME_TESTS_GOLDEN_WIRE_H_
#define MNEME_TESTS_GOLDEN_WIRE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/client.h"
#include "tests/golden/case.h"
#include "tests/golden/compare.h"

namespace mneme::golden {

// A profile of one FLOAT32 layer with the geometry of `in`.
v1::Profile ProfileFor(const Heads& in, double scale);

// The same, which leaves everything else to a preset.
v1::Profile PresetFor(const std::string& preset, const Heads& in, double scale);

// RoPE of Llama checkpoints.
v1::PositionEncoding RopeOf(double theta);

// begin, begin + 1, ..., end - 1.
std::vector<int64_t> Positions(int64_t begin, int64_t end);

// Copies [heads, count, width] to rows [begin, begin + count) of
// [heads, rows, width].
void PlaceRows(const std::vector<float>& part, int64_t heads, int64_t rows,
               int64_t width, int64_t begin, std::vector<double>& whole);

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

  struct Reading {
    std::vector<v1::Tier> tiers;  // Empty: all that the profile has.
    uint32_t top_items = 0;
  };
  struct Answer {
    std::vector<float> out;  // [heads, rows, value_dim]
    std::vector<float> lse;  // [heads, rows]; empty when a gate mixed.
    // [heads * rows]: the seqs of its items, largest share first.
    std::vector<std::vector<uint64_t>> items;
  };
  // Attends with rows [begin, end) of `in`.
  // Shapes: positions [end - begin].
  absl::StatusOr<Answer> Attend(const Heads& in, int64_t begin, int64_t end,
                                const std::vector<int64_t>& positions,
                                const Reading& reading);

  // Appends tokens [begin, end) of `in`, attends with their rows, and puts what
  // comes back to its place in "out" and "lse". The log is `in` from token 0.
  absl::Status Step(const Heads& in, int64_t begin, int64_t end,
                    Outputs& outputs);

  // Keeps the last `keep` tokens in the window.
  absl::Status CommitWindow(int64_t keep);

  struct Tokens {
    int64_t count = 0;
    std::vector<float> keys;    // [kv_heads, count, key_dim]
    std::vector<float> values;  // [kv_heads, count, value_dim]
  };
  // Everything that `tiers` hold.
  absl::StatusOr<Tokens> ReadTokens(const Heads& in,
                                    const std::vector<v1::Tier>& tiers);

  absl::StatusOr<v1::SessionStats> Stats();

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
