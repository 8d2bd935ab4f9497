#include "client/lifecycle_command.h"

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

class LifecycleCommand : public ::testing::Test {
 protected:
  FakeMemory fake_;
};

std::string Name(const std::string& session) {
  return "namespaces/default/sessions/" + session;
}

TEST_F(LifecycleCommand, ForgetNeedsExactlyOneTarget) {
  fake_.AddSession(Name("s1"));
  EXPECT_EQ(RunOn(fake_, {"forget", "s1"}).code, kExitUsage);
  EXPECT_EQ(
      RunOn(fake_, {"forget", "s1", "--entry", "1", "--source", "a"}).code,
      kExitUsage);
  EXPECT_THAT(fake_.calls, IsEmpty());
  const Ran ran = RunOn(fake_, {"forget", "s1", "--entry", "0"});
  EXPECT_EQ(ran.code, kExitOk) << ran.err;
  EXPECT_EQ(ran.out, "forgot 2 entries, 7 tokens\n");
  EXPECT_EQ(fake_.forget_request.target_case(), v1::ForgetRequest::kEntry);
  RunOn(fake_, {"forget", "s1", "--source", "a"});
  EXPECT_EQ(fake_.forget_request.source(), "a");
}

TEST_F(LifecycleCommand, ForgetOnADryRunForgetsNothing) {
  fake_.AddSession(Name("s1"));
  const Ran ran =
      RunOn(fake_, {"forget", "s1", "--source", "a.txt", "--dry-run"});
  EXPECT_EQ(ran.code, kExitOk) << ran.err;
  EXPECT_EQ(ran.out, "would forget 2 entries, 7 tokens\n");
  EXPECT_TRUE(fake_.forget_request.dry_run());
}

TEST_F(LifecycleCommand, DeleteAsksForYes) {
  fake_.AddSession(Name("s1")).set_entries(3);
  const Ran asked = RunOn(fake_, {"delete", "s1"});
  EXPECT_EQ(asked.code, kExitUsage);
  EXPECT_THAT(asked.err, HasSubstr("3 entries"));
  EXPECT_EQ(fake_.sessions.size(), 1);
  EXPECT_EQ(RunOn(fake_, {"delete", "s1", "--yes"}).code, kExitOk);
  EXPECT_THAT(fake_.sessions, IsEmpty());
}

TEST_F(LifecycleCommand, ForgetTakesSeqsTimesAndFilters) {
  fake_.AddSession(Name("s1"));
  ASSERT_EQ(RunOn(fake_, {"forget", "s1", "--seqs", "5:9"}).code, kExitOk);
  EXPECT_EQ(fake_.forget_request.seq_range().begin(), 5u);
  EXPECT_EQ(fake_.forget_request.seq_range().end(), 9u);
  ASSERT_EQ(RunOn(fake_, {"forget", "s1", "--seqs", "5:"}).code, kExitOk);
  EXPECT_FALSE(fake_.forget_request.seq_range().has_end());
  for (const char* bad :
       {"5", "a:b", ":", "-1:3", "1:2:3", "99999999999999999999:"}) {
    const Ran ran = RunOn(fake_, {"forget", "s1", "--seqs", bad});
    EXPECT_EQ(ran.code, kExitUsage) << bad;
    EXPECT_THAT(ran.err, HasSubstr("--seqs"));
  }
  ASSERT_EQ(RunOn(fake_, {"forget", "s1", "--since", "2026-03-01", "--until",
                          "2026-04-01"})
                .code,
            kExitOk);
  EXPECT_EQ(fake_.forget_request.time_range().begin().seconds(), 1'772'323'200);
  ASSERT_EQ(
      RunOn(fake_, {"forget", "s1", "--role", "user", "--meta", "a=b"}).code,
      kExitOk);
  EXPECT_EQ(fake_.forget_request.filter().role(), "user");
  EXPECT_EQ(fake_.forget_request.filter().metadata().at("a"), "b");
  EXPECT_EQ(
      RunOn(fake_, {"forget", "s1", "--role", "user", "--seqs", "1:2"}).code,
      kExitUsage);
}

TEST_F(LifecycleCommand, ForgetWaitsUntilTheBytesAreGone) {
  fake_.AddSession(Name("s1"));
  fake_.operation = "namespaces/default/operations/1";
  fake_.looks_until_done = 3;
  const Ran told = RunOn(fake_, {"forget", "s1", "--entry", "1"});
  EXPECT_THAT(told.out, HasSubstr("mneme operation " + fake_.operation));
  const Ran waited = RunOn(fake_, {"forget", "s1", "--entry", "1", "--wait"});
  EXPECT_EQ(waited.code, kExitOk) << waited.err;
  EXPECT_THAT(waited.out, HasSubstr("have left the disk"));
  EXPECT_LE(fake_.looks_until_done, 0);
  const Ran shown = RunOn(fake_, {"operation", fake_.operation});
  EXPECT_THAT(shown.out, HasSubstr("done"));
}

TEST_F(LifecycleCommand, ForgetSaysThatMoreWentThanWasNamed) {
  fake_.AddSession(Name("s1"));
  EXPECT_EQ(RunOn(fake_, {"forget", "s1", "--seqs", "0:6"}).out,
            "forgot 2 entries, 7 tokens\n"
            "that is more than the 6 that were named: of text, whole entries "
            "go\n");
  EXPECT_EQ(RunOn(fake_, {"forget", "s1", "--seqs", "0:7"}).out,
            "forgot 2 entries, 7 tokens\n");
  EXPECT_EQ(RunOn(fake_, {"forget", "s1", "--seqs", "0:"}).out,
            "forgot 2 entries, 7 tokens\n");
}

TEST_F(LifecycleCommand, AForkLiesInTheNamespaceOfItsSession) {
  fake_.AddSession("namespaces/team/sessions/a");
  const Ran ran =
      RunOn(fake_, {"fork", "team/a", "b", "--at", "7", "--ttl", "2d"});
  EXPECT_EQ(ran.code, kExitOk) << ran.err;
  EXPECT_EQ(fake_.fork_request.fork(), "namespaces/team/sessions/b");
  EXPECT_EQ(fake_.fork_request.at_seq(), 7u);
  EXPECT_EQ(fake_.fork_request.ttl().seconds(), 2 * 86'400);
  EXPECT_EQ(ran.out,
            "team/b: team/a up to seq 7, 0 entries, 0 tokens; deleted 2d after "
            "its last change\n");
  EXPECT_EQ(RunOn(fake_, {"fork", "team/a", "b", "--ttl", "soon"}).code,
            kExitUsage);
}

TEST_F(LifecycleCommand, TtlIsADurationOrNever) {
  fake_.AddSession(Name("s1"));
  EXPECT_EQ(RunOn(fake_, {"ttl", "s1", "12h"}).out,
            "s1: deleted 12h after its last change\n");
  EXPECT_EQ(fake_.update_request.ttl().seconds(), 43'200);
  EXPECT_EQ(RunOn(fake_, {"ttl", "s1", "never"}).out,
            "s1: kept until it is deleted\n");
  EXPECT_FALSE(fake_.update_request.has_ttl());
  EXPECT_EQ(RunOn(fake_, {"ttl", "s1", "x"}).code, kExitUsage);
}

TEST_F(LifecycleCommand, ANamespaceIsDeletedOnlyWithYes) {
  EXPECT_EQ(RunOn(fake_, {"delete"}).code, kExitUsage);
  EXPECT_EQ(RunOn(fake_, {"delete", "--namespace", "team"}).code, kExitUsage);
  EXPECT_THAT(fake_.calls, IsEmpty());
  const Ran ran = RunOn(fake_, {"delete", "--namespace", "team", "--yes"});
  EXPECT_EQ(ran.code, kExitOk) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("deleted 3 sessions of namespaces/team"));
}

}  // namespace
}  // namespace mneme::client
