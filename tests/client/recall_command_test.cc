#include "client/recall_command.h"

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

class RecallCommand : public ::testing::Test {
 protected:
  RecallCommand() { fake_.AddSession("namespaces/default/sessions/s1"); }
  FakeMemory fake_;
};

TEST_F(RecallCommand, JoinsTheWordsAndPassesTheFilterOn) {
  v1::Passage& passage = *fake_.recall_response.add_passages();
  passage.set_text("The door opened.");
  passage.set_source("book.txt");
  const Ran ran = RunOn(
      fake_, {"recall", "s1", "who", "opened", "show", "-k", "3", "--source",
              "book.txt", "--role", "r", "--meta", "a=1", "the", "door"});
  EXPECT_EQ(ran.code, kExitOk) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("The door opened."));
  const v1::RecallRequest& request = fake_.recall_request;
  EXPECT_EQ(request.query(), "who opened show the door");
  EXPECT_EQ(request.limit(), 3);
  EXPECT_EQ(request.filter().source(), "book.txt");
  EXPECT_EQ(request.filter().role(), "r");
  EXPECT_EQ(request.filter().metadata().at("a"), "1");
}

TEST_F(RecallCommand, LeavesTheLimitToTheServer) {
  const Ran ran = RunOn(fake_, {"recall", "s1", "x"});
  EXPECT_FALSE(fake_.recall_request.has_limit());
  EXPECT_EQ(ran.code, kExitOk);
  EXPECT_THAT(ran.out, IsEmpty());
  EXPECT_THAT(ran.err, HasSubstr("nothing in s1"));
}

TEST_F(RecallCommand, IsProtobufJsonForPrograms) {
  fake_.recall_response.add_passages()->set_seq_first(5);
  const Ran ran = RunOn(fake_, {"recall", "s1", "x", "-o", "json"});
  const auto json = nlohmann::json::parse(ran.out);
  EXPECT_EQ(json["passages"][0]["seq_first"], "5");
  EXPECT_EQ(json["passages"][0]["source"], "");
}

TEST_F(RecallCommand, ContextKeepsBlockAndCitationsApart) {
  fake_.context_response.set_context("[1] The door.");
  fake_.context_response.set_tokens_used(5);
  fake_.context_response.add_citations()->set_mark(1);
  const Ran ran = RunOn(fake_, {"context", "s1", "the", "door", "--budget",
                                "800", "--recent", "2"});
  EXPECT_EQ(ran.code, kExitOk) << ran.err;
  EXPECT_EQ(ran.out, "[1] The door.\n");
  EXPECT_THAT(ran.err, HasSubstr("5 of 800 tokens"));
  EXPECT_EQ(fake_.context_request.query(), "the door");
  EXPECT_EQ(fake_.context_request.budget_tokens(), 800);
  EXPECT_EQ(fake_.context_request.recent_entries(), 2);
  const Ran json =
      RunOn(fake_, {"context", "s1", "x", "--budget", "8", "-o", "json"});
  EXPECT_THAT(json.err, IsEmpty());
  EXPECT_EQ(nlohmann::json::parse(json.out)["context"], "[1] The door.");
}

TEST_F(RecallCommand, ContextNeedsABudget) {
  const Ran ran = RunOn(fake_, {"context", "s1", "x"});
  EXPECT_EQ(ran.code, kExitUsage);
  EXPECT_THAT(ran.err, HasSubstr("--budget"));
}

}  // namespace
}  // namespace mneme::client
