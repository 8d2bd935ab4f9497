// tests/memory/oracle.h: attention over a profile's tiers as DESIGN states it,
// one key at a time, in double; no tier, block or cluster is a short cut here.

#ifndef MNEME_TESTS_MEMORY_ORACLE_H_
#define MNEME_TESTS_MEMORY_ORACLE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "attention/position.h"
#include "memory/types.h"
#include "memory/view.h"

namespace mneme::memory {

inline constexpr double kUnit = 0x1p-24;  // Relative rounding error of a float.

// What a row's answer should be, with how far a float answer may be off.
struct Expected {
  std::vector<double> out;    // [value_dim]
  std::vector<double> error;  // [value_dim]
  double lse = 0;             // Of the joint softmax.
  double lse_error = 0;
  bool gated = false;
  // A selection hangs on less than the rounding of its scores: the answer may
  // be another one.
  bool undecided = false;
};

class Oracle {
 public:
  // Lifetime: borrows both. The compressive tier is recomputed from the rows.
  Oracle(const LogView& view, const attention::PositionEncoder& encoder);

  Expected Attend(const AttendQuery& query, const LayerRead& read,
                  uint32_t head, size_t row) const;

 private:
  struct Scored {
    uint64_t seq;
    double logit;
    double error;
  };
  struct Softmax {
    std::vector<double> out;
    std::vector<double> magnitude;
    double lse;
    double logit_error;
  };
  struct Asked {
    const LayerRead& read;
    uint32_t head;
    size_t row;
    int64_t position;
  };

  size_t BankOf(const Asked& asked) const;
  std::vector<float> Row(size_t bank, uint64_t seq, bool values) const;
  std::vector<double> Normalized(const std::vector<float>& row) const;
  int64_t PositionOf(uint64_t seq) const;
  std::vector<uint64_t> LiveIn(SeqRange range, int64_t position) const;
  int64_t RankOf(int64_t position) const;
  // The angles of query and key.
  std::pair<int64_t, int64_t> AnglesOf(const PositionRule& rule, int64_t t,
                                       int64_t p) const;
  // The logit of a key, not yet capped or biased.
  Scored Product(const PositionRule& rule, const Asked& asked,
                 const std::vector<double>& key, int64_t p) const;
  void Finish(const PositionRule& rule, const Asked& asked, int64_t p,
              bool capped, Scored& scored) const;
  Scored Logit(const PositionRule& rule, std::optional<attention::DType> dtype,
               const Asked& asked, uint64_t seq) const;
  std::vector<Scored> Knn(const AttendQuery& query, const Asked& asked,
                          bool& undecided) const;
  // A unit's score for one head.
  Scored ScoreOf(const Asked& asked, const std::vector<uint64_t>& unit) const;
  Softmax Of(const std::vector<Scored>& all, size_t bank,
             std::optional<attention::DType> dtype) const;
  void Mix(const Asked& asked, bool rest_is_empty, Expected& expected) const;

  const LogView& view_;
  const Profile& profile_;
  const attention::PositionEncoder& encoder_;
  const TierRanges ranges_;
};

}  // namespace mneme::memory

#endif  // MNEME_TESTS_MEMORY_ORACLE_H_
