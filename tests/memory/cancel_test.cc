// Whoever waits no more is not worked for: every long read asks again and again
// whether it may stop, however large the session. What is measured is the
// longest time between two answers, which bounds that from a deadline to the
// return; it is recorded as properties of the tests, in time of the processor,
// so that a busy machine does not matter.

#include <time.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "memory/memory.h"
#include "memory/presets.h"
#include "tests/testing/map_store.h"
#include "tests/testing/random.h"

namespace mneme::memory {
namespace {

constexpr uint64_t kTokens = 300'000;
constexpr uint64_t kAppendTokens = 10'000;
constexpr uint32_t kDim = 32;
// Far more than is needed, for sanitizers' sake.
constexpr double kLongestSeconds = 2;

// Of this thread.
double CpuSeconds() {
  timespec now = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) +
         static_cast<double>(now.tv_nsec) * 1e-9;
}

class CancelTest : public ::testing::Test {
 protected:
  CancelTest()
      : memory_(Memory::Open(std::make_unique<testing::MapStore>(), &clock_)
                    .value()) {}

  std::shared_ptr<Session> Tokens(Profile profile) {
    auto session =
        memory_->Create(*SessionName::Parse("namespaces/n/sessions/tokens"),
                        std::move(profile));
    EXPECT_TRUE(session.ok()) << session.status();
    std::vector<float> rows(kAppendTokens * kDim);
    const std::string_view bytes(reinterpret_cast<const char*>(rows.data()),
                                 rows.size() * sizeof(float));
    for (uint64_t at = 0; at < kTokens; at += kAppendTokens) {
      for (size_t i = 0; i < rows.size(); ++i) {
        rows[i] = static_cast<float>((i * 2654435761U + at) % 1000) / 1000.0F;
      }
      EXPECT_TRUE((*session)
                      ->AppendTokens({.count = kAppendTokens,
                                      .keys = bytes,
                                      .values = bytes,
                                      .positions = {}},
                                     {})
                      .ok());
    }
    return *session;
  }

  static Profile Geometry() {
    Profile profile;
    profile.layers = 1;
    profile.query_heads = 4;
    profile.kv_heads = 1;
    profile.key_dim = kDim;
    profile.value_dim = kDim;
    profile.dtype = attention::DType::kF32;
    return profile;
  }

  static AttendQuery QueryOf(size_t rows) {
    LayerRead read;
    read.rows = rows;
    read.queries.assign(size_t{4} * rows * kDim, 0.01F);
    AttendQuery query;
    query.reads.push_back(std::move(read));
    return query;
  }

  // Runs `read` to its end, then again and again, cancelled at one of its
  // questions, which must be the last.
  void Check(const std::string& name,
             const std::function<absl::Status(const Cancelled&)>& read) {
    double longest = 0;
    const double begin = CpuSeconds();
    double last = begin;
    const auto look = [&] {
      const double now = CpuSeconds();
      longest = std::max(longest, now - last);
      last = now;
    };
    int asked = 0;
    const absl::Status whole = read([&] {
      look();
      ++asked;
      return false;
    });
    look();
    ASSERT_TRUE(whole.ok()) << whole;
    RecordProperty(name + "_asked", asked);
    RecordProperty(name + "_ms", std::to_string((last - begin) * 1000));
    RecordProperty(name + "_longest_ms", std::to_string(longest * 1000));
    EXPECT_LT(longest, kLongestSeconds);
    ASSERT_GT(asked, 10);
    for (const int stop : {1, 2, asked / 3, asked / 2, asked - 1, asked}) {
      int questions = 0;
      const absl::Status status = read([&] { return ++questions >= stop; });
      EXPECT_TRUE(absl::IsCancelled(status)) << stop << ": " << status;
      // Whoever was told to stop does not ask much more.
      EXPECT_LE(questions, stop + 3);
    }
  }

  base::RealClock clock_;
  std::unique_ptr<Memory> memory_;
};

TEST_F(CancelTest, AReadOfAWholeWindow) {
  Profile profile = Geometry();
  profile.window.emplace();
  profile.window->tokens = 1 << 20;
  const auto session = Tokens(profile);
  Check("attend", [&](const Cancelled& cancelled) {
    return session->Attend(QueryOf(16), cancelled).status();
  });
}

TEST_F(CancelTest, ASearchOfManyRows) {
  Profile profile = Geometry();
  profile.window.emplace();
  profile.window->tokens = 1024;
  profile.knn.emplace();
  profile.knn->top_k = 64;
  const auto session = Tokens(profile);
  Check("attend", [&](const Cancelled& cancelled) {
    return session->Attend(QueryOf(64), cancelled).status();
  });
}

TEST_F(CancelTest, ASearchOfChunks) {
  Profile profile = Geometry();
  profile.window.emplace();
  profile.window->tokens = 1024;
  profile.knn.emplace();
  profile.knn->top_k = 512;
  profile.knn->chunk_tokens = 4;
  const auto session = Tokens(profile);
  Check("attend", [&](const Cancelled& cancelled) {
    return session->Attend(QueryOf(8), cancelled).status();
  });
}

TEST_F(CancelTest, AVerificationAndRecallsOfTheLongestQuery) {
  const auto session =
      memory_
          ->Create(*SessionName::Parse("namespaces/n/sessions/text"),
                   *ProfileByName("text"))
          .value();
  uint64_t state = testing::Seed();
  const auto word = [&state] {
    state = state * 6364136223846793005U + 1442695040888963407U;
    return "w" + std::to_string((state >> 33) % 3000);
  };
  uint64_t tokens = 0;
  while (tokens < 15'000) {
    std::string text;
    for (int sentence = 0; sentence < 2000; ++sentence) {
      for (int w = 0; w < 12; ++w) text += word() + " ";
      text += word() + ". ";
    }
    const auto appended = session->AppendText({.text = text}, {});
    ASSERT_TRUE(appended.ok()) << appended.status();
    tokens = appended->seq_next;
  }
  std::string question;
  while (question.size() + 8 < kQueryBytesMax) question += word() + " ";
  Check("recall", [&](const Cancelled& cancelled) {
    return session
        ->Recall({.query = question, .limit = 10, .filter = {}}, cancelled)
        .status();
  });
  Check("context", [&](const Cancelled& cancelled) {
    return session
        ->AssembleContext({.query = question,
                           .budget_tokens = 10'000,
                           .recent_entries = 0,
                           .filter = {}},
                          cancelled)
        .status();
  });
  Check("verify", [&](const Cancelled& cancelled) {
    return session->Verify(cancelled).status();
  });
}

}  // namespace
}  // namespace mneme::memory
