// tests/memory/fixture.h: small sessions, and the rows that go into them.

#ifndef MNEME_TESTS_MEMORY_FIXTURE_H_
#define MNEME_TESTS_MEMORY_FIXTURE_H_

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "attention/dtype.h"
#include "base/clock.h"
#include "base/error.h"
#include "gtest/gtest.h"
#include "memory/memory.h"
#include "memory/presets.h"
#include "memory/profile.h"
#include "memory/session.h"
#include "memory/types.h"
#include "tests/testing/map_store.h"
#include "tests/testing/random.h"

namespace mneme::memory {

// Stands still until it is moved.
class FakeClock final : public base::Clock {
 public:
  std::chrono::system_clock::time_point Now() const override { return now_; }
  std::chrono::steady_clock::time_point Ticks() const override { return {}; }
  void Advance(std::chrono::seconds by) { now_ += by; }

 private:
  std::chrono::system_clock::time_point now_{std::chrono::hours(480000)};
};

inline bool Never() { return false; }

inline ForgetTarget ByEntry(uint64_t number) { return EntryNumber{number}; }
inline ForgetTarget BySource(std::string source) {
  return RecallFilter{.source = std::move(source), .role = {}, .metadata = {}};
}

inline std::string ReasonOf(const absl::Status& status) {
  return base::DetailOf(status).reason;
}
inline std::string FieldOf(const absl::Status& status) {
  return base::DetailOf(status).field;
}

// Every tier, small enough that a few hundred tokens pass through all of them.
inline Profile SmallProfile() {
  Profile profile;
  profile.name = "small";
  profile.layers = 2;
  profile.query_heads = 4;
  profile.kv_heads = 2;
  profile.key_dim = 8;
  profile.value_dim = 6;
  profile.dtype = attention::DType::kF32;
  profile.sink = SinkTier{.tokens = 3};
  profile.window = WindowTier{.tokens = 40};
  profile.knn =
      KnnTier{.top_k = 8, .positions = {.policy = PositionPolicy::kNone}};
  profile.compressive =
      CompressiveTier{.segment_tokens = 16, .gate_logits = {-1.0F}};
  return Complete(profile).value();
}

// Tokens in memory; TokenRows borrows from it.
struct Tokens {
  uint64_t count = 0;
  std::string keys;    // [banks, count, key_dim] in the profile's dtype.
  std::string values;  // [banks, count, value_dim].
  std::vector<int64_t> positions;

  TokenRows Rows() const {
    return {
        .count = count, .keys = keys, .values = values, .positions = positions};
  }
};

inline std::string Narrow(attention::DType dtype,
                          const std::vector<float>& numbers) {
  std::string bytes(numbers.size() * attention::SizeOf(dtype), '\0');
  attention::FromFloat(dtype, numbers.data(), numbers.size(),
                       reinterpret_cast<std::byte*>(bytes.data()));
  return bytes;
}

inline std::vector<float> Widen(attention::DType dtype,
                                std::string_view bytes) {
  std::vector<float> numbers(bytes.size() / attention::SizeOf(dtype));
  attention::ToFloat(dtype, reinterpret_cast<const std::byte*>(bytes.data()),
                     numbers.size(), numbers.data());
  return numbers;
}

inline Tokens RandomTokens(const Profile& profile, uint64_t count,
                           testing::Random& random) {
  const size_t rows = profile.bank_count() * count;
  return {
      .count = count,
      .keys = Narrow(profile.dtype, random.Normals(rows * profile.key_dim)),
      .values = Narrow(profile.dtype, random.Normals(rows * profile.value_dim)),
      .positions = {}};
}

// Tokens [begin, end) of `tokens`.
inline Tokens Cut(const Profile& profile, const Tokens& tokens, uint64_t begin,
                  uint64_t end) {
  Tokens cut{.count = end - begin, .keys = {}, .values = {}, .positions = {}};
  for (size_t bank = 0; bank < profile.bank_count(); ++bank) {
    const size_t first = bank * tokens.count + begin;
    cut.keys += tokens.keys.substr(first * profile.key_bytes(),
                                   cut.count * profile.key_bytes());
    cut.values += tokens.values.substr(first * profile.value_bytes(),
                                       cut.count * profile.value_bytes());
  }
  if (!tokens.positions.empty()) {
    cut.positions.assign(tokens.positions.begin() + begin,
                         tokens.positions.begin() + end);
  }
  return cut;
}

inline AttendQuery RandomQuery(const Profile& profile, size_t rows,
                               testing::Random& random) {
  AttendQuery query;
  for (uint32_t layer = 0; layer < profile.layers; ++layer) {
    query.reads.push_back(
        {.layer = layer,
         .rows = rows,
         .queries = random.Normals(profile.query_heads * rows *
                                   size_t{profile.key_dim})});
  }
  return query;
}

// Two results with the same bits.
inline void ExpectSameAnswer(const AttendResult& a, const AttendResult& b) {
  ASSERT_EQ(a.outputs.size(), b.outputs.size());
  EXPECT_EQ(a.seq_next, b.seq_next);
  for (size_t i = 0; i < a.outputs.size(); ++i) {
    EXPECT_EQ(a.outputs[i].output, b.outputs[i].output);
    EXPECT_EQ(a.outputs[i].lse, b.outputs[i].lse);
    EXPECT_EQ(a.outputs[i].shares, b.outputs[i].shares);
    ASSERT_EQ(a.outputs[i].items.size(), b.outputs[i].items.size());
    for (size_t j = 0; j < a.outputs[i].items.size(); ++j) {
      EXPECT_EQ(a.outputs[i].items[j].seq, b.outputs[i].items[j].seq);
      EXPECT_EQ(a.outputs[i].items[j].logit, b.outputs[i].items[j].logit);
    }
  }
}

inline void ExpectSameAnswer(const RecallResult& a, const RecallResult& b) {
  EXPECT_EQ(a.seq_next, b.seq_next);
  EXPECT_EQ(a.shares, b.shares);
  ASSERT_EQ(a.passages.size(), b.passages.size());
  for (size_t i = 0; i < a.passages.size(); ++i) {
    EXPECT_EQ(a.passages[i].entry, b.passages[i].entry);
    EXPECT_EQ(a.passages[i].text, b.passages[i].text);
    EXPECT_EQ(a.passages[i].seq_first, b.passages[i].seq_first);
    EXPECT_EQ(a.passages[i].score, b.passages[i].score);
  }
}

inline void ExpectSound(const Session& session) {
  const auto checks = session.Verify(Never);
  ASSERT_TRUE(checks.ok()) << checks.status();
  EXPECT_FALSE(checks->empty());
  for (const VerifyCheck& check : *checks) {
    EXPECT_TRUE(check.ok) << check.name << ": " << check.detail;
  }
}

// A memory over a disk that outlives it.
class House {
 public:
  House() { Reopen(); }

  // Closes everything and reads it again from the disk.
  void Reopen() {
    memory_.reset();
    auto opened =
        Memory::Open(std::make_unique<testing::MapStore>(disk_), &clock_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    memory_ = *std::move(opened);
  }

  std::shared_ptr<Session> Create(const std::string& name, Profile profile) {
    return memory_
        ->Create({.space = "test", .session = name}, std::move(profile))
        .value();
  }
  std::shared_ptr<Session> CreateText(const std::string& name = "text") {
    return Create(name, ProfileByName("text").value());
  }
  absl::StatusOr<std::shared_ptr<Session>> Find(const std::string& name) {
    return memory_->Find({.space = "test", .session = name});
  }
  std::shared_ptr<Session> Reopened(const std::string& name) {
    Reopen();
    return Find(name).value();
  }

  Memory& memory() { return *memory_; }
  FakeClock& clock() { return clock_; }
  testing::MapDisk& disk() { return *disk_; }

 private:
  FakeClock clock_;
  const std::shared_ptr<testing::MapDisk> disk_ =
      std::make_shared<testing::MapDisk>();
  std::unique_ptr<Memory> memory_;
};

inline TextEntry Text(std::string_view text) {
  TextEntry entry;
  entry.text = text;
  return entry;
}

inline absl::StatusOr<AppendResult> Say(Session& session, std::string_view text,
                                        const std::string& source = "",
                                        const std::string& role = "") {
  TextEntry entry = Text(text);
  entry.time_us = 1;
  entry.source = source;
  entry.role = role;
  return session.AppendText(entry, {});
}

inline AppendOptions WithId(const std::string& request_id) {
  AppendOptions options;
  options.request_id = request_id;
  return options;
}

inline AppendOptions AtSeq(uint64_t seq) {
  AppendOptions options;
  options.expected_seq = seq;
  return options;
}

inline RecallQuery Ask(std::string_view words) {
  RecallQuery query;
  query.query = words;
  return query;
}

// Whether some passage has the word.
inline bool Knows(const Session& session, std::string_view word) {
  const RecallResult result = session.Recall(Ask(word), Never).value();
  return std::any_of(result.passages.begin(), result.passages.end(),
                     [&](const RecalledPassage& passage) {
                       return passage.text.find(word) != std::string::npos;
                     });
}

inline ContextQuery AskContext(std::string_view words, uint32_t budget_tokens,
                               uint32_t recent_entries = 0) {
  ContextQuery query;
  query.query = words;
  query.budget_tokens = budget_tokens;
  query.recent_entries = recent_entries;
  return query;
}

}  // namespace mneme::memory

#endif  // MNEME_TESTS_MEMORY_FIXTURE_H_
