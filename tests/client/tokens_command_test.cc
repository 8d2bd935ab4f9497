#include "client/tokens_command.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "gmock/gmock.h"
#include "tests/client/command_line.h"

namespace mneme::client {
namespace {

using testing::FakeMemory;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Ran;
using testing::RunOn;
using ::testing::SizeIs;

constexpr char kName[] = "namespaces/default/sessions/s1";
constexpr uint64_t kTokens = 7;
constexpr uint64_t kPage = 3;

// Tokens 0 to 6 at positions of ten times that, three a page.
v1::ReadTokensResponse Page(const v1::ReadTokensRequest& request) {
  v1::ReadTokensResponse page;
  const uint64_t end = std::min({kTokens, request.seq_begin() + kPage,
                                 request.seq_begin() + request.limit()});
  for (uint64_t seq = request.seq_begin(); seq < end; ++seq) {
    page.add_seqs(seq);
    page.add_positions(static_cast<int64_t>(10 * seq));
    page.add_tiers(seq < 4 ? v1::TIER_KNN : v1::TIER_WINDOW);
  }
  page.mutable_keys()->set_data("keys");
  page.mutable_values()->set_data("values");
  if (end < kTokens) page.set_next_seq(end);
  return page;
}

class TokensCommand : public ::testing::Test {
 protected:
  TokensCommand() {
    fake_.AddSession(kName);
    fake_.tokens = Page;
  }
  FakeMemory fake_;
};

TEST_F(TokensCommand, ListsPositionsAndTiersOfEveryPage) {
  const Ran ran = RunOn(fake_, {"tokens", "s1", "--layer", "2"});
  EXPECT_EQ(ran.code, kExitOk) << ran.err;
  EXPECT_EQ(ran.out,
            "         SEQ           POSITION  TIER\n"
            "           0                  0  knn\n"
            "           1                 10  knn\n"
            "           2                 20  knn\n"
            "           3                 30  knn\n"
            "           4                 40  window\n"
            "           5                 50  window\n"
            "           6                 60  window\n");
  EXPECT_THAT(ran.err, IsEmpty());
  EXPECT_THAT(fake_.token_requests, SizeIs(3));
  for (const v1::ReadTokensRequest& request : fake_.token_requests) {
    EXPECT_EQ(request.layer(), 2);
  }
}

TEST_F(TokensCommand, StopsAtTheLimitAndSaysWhereToGoOn) {
  const Ran ran = RunOn(fake_, {"tokens", "s1", "--from", "1", "--limit", "4"});
  EXPECT_EQ(ran.code, kExitOk) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("\n           4 "));
  EXPECT_EQ(std::count(ran.out.begin(), ran.out.end(), '\n'), 1 + 4);
  EXPECT_EQ(ran.err, "more with --from 5\n");
  EXPECT_THAT(fake_.token_requests, SizeIs(2));
  EXPECT_EQ(fake_.token_requests[1].limit(), 1);
}

TEST_F(TokensCommand, JsonHasTensorsOnlyWhenAsked) {
  const Ran ran = RunOn(fake_, {"tokens", "s1", "-o", "json"});
  EXPECT_EQ(ran.code, kExitOk) << ran.err;
  const auto all = nlohmann::json::parse(ran.out);
  EXPECT_EQ(all["seqs"].size(), kTokens);
  EXPECT_EQ(all["tiers"][0], "TIER_KNN");
  EXPECT_FALSE(all.contains("keys"));
  EXPECT_FALSE(all.contains("next_seq"));
  const Ran with = RunOn(fake_, {"tokens", "s1", "-o", "json", "--tensors"});
  EXPECT_EQ(with.code, kExitOk) << with.err;
  const auto page = nlohmann::json::parse(with.out);
  EXPECT_EQ(page["seqs"].size(), kPage);
  EXPECT_TRUE(page.contains("keys"));
  EXPECT_TRUE(page.contains("values"));
  EXPECT_EQ(page["next_seq"], "3");
  const Ran text = RunOn(fake_, {"tokens", "s1", "--tensors"});
  EXPECT_EQ(text.code, kExitUsage);
  EXPECT_THAT(text.err, HasSubstr("-o json"));
}

TEST_F(TokensCommand, APageOfForgottenTokensIsTurned) {
  fake_.tokens = [](const v1::ReadTokensRequest& request) {
    v1::ReadTokensResponse page;
    if (request.seq_begin() == 0) {
      page.set_next_seq(5);
      return page;
    }
    return Page(request);
  };
  const Ran ran = RunOn(fake_, {"tokens", "s1"});
  EXPECT_EQ(ran.code, kExitOk) << ran.err;
  EXPECT_EQ(std::count(ran.out.begin(), ran.out.end(), '\n'), 1 + 2);
}

TEST_F(TokensCommand, NothingIsSaidToBeNothing) {
  fake_.tokens = nullptr;
  const Ran ran = RunOn(fake_, {"tokens", "s1", "--from", "9"});
  EXPECT_EQ(ran.code, kExitOk);
  EXPECT_THAT(ran.out, IsEmpty());
  EXPECT_EQ(ran.err, "no tokens in s1 from seq 9 on\n");
  EXPECT_EQ(RunOn(fake_, {"tokens", "s2"}).code, kExitNotFound);
}

TEST_F(TokensCommand, AServerThatStandsStillIsNotAskedForEver) {
  fake_.tokens = [](const v1::ReadTokensRequest&) {
    v1::ReadTokensResponse page;
    page.set_next_seq(0);
    return page;
  };
  const Ran ran = RunOn(fake_, {"tokens", "s1"});
  EXPECT_EQ(ran.code, kExitFailed);
  EXPECT_THAT(ran.err, HasSubstr("twice"));
}

TEST_F(TokensCommand, TokensWithoutATierAreRefused) {
  fake_.tokens = [](const v1::ReadTokensRequest&) {
    v1::ReadTokensResponse page;
    page.add_seqs(0);
    page.add_positions(0);
    return page;
  };
  EXPECT_EQ(RunOn(fake_, {"tokens", "s1"}).code, kExitFailed);
}

}  // namespace
}  // namespace mneme::client
