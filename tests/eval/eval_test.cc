#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "tests/eval/characters.h"
#include "tests/eval/run.h"
#include "tests/eval/set.h"

namespace mneme::eval {
namespace {

using testing::HasSubstr;

TEST(Characters, CountsCodePointsBeforeEveryByte) {
  std::string text;
  std::vector<size_t> expected;  // By byte.
  size_t begun = 0;
  // Ten bytes a round, so that the index steps into code points too.
  for (int round = 0; round < 2000; ++round) {
    for (const std::string c :
         {"a", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"}) {
      expected.push_back(begun++);
      expected.insert(expected.end(), c.size() - 1, begun);
      text += c;
    }
  }
  const Characters characters(text);
  for (size_t byte = 0; byte < text.size(); ++byte) {
    ASSERT_EQ(characters.Before(byte), expected[byte]) << byte;
  }
  EXPECT_EQ(characters.Before(text.size()), 8000u);
  EXPECT_EQ(characters.Before(text.size() + 1), 8000u);
  EXPECT_EQ(Characters("").Before(0), 0u);
}

TEST(ServerSession, IsAlwaysAValidNameAndNeverTheSameForTwo) {
  const auto valid = testing::MatchesRegex(
      "namespaces/eval/sessions/[a-z0-9][a-z0-9._-]{0,62}");
  std::set<std::string> names;
  const std::string longest(100, 'x');
  for (const std::string& session :
       {std::string("conv-26"), std::string("Conv-26"), std::string("conv_26"),
        std::string("conv 26"), std::string(), std::string("-x"),
        std::string("\xC3\xA9"), longest, longest + "y"}) {
    for (const char* set : {"locomo", "_a"}) {
      const std::string name = ServerSession(set, session);
      EXPECT_THAT(name, valid);
      EXPECT_TRUE(names.insert(name).second) << name;
    }
  }
}

v1::RecallResponse TwoPassagesOfOneRecord() {
  v1::RecallResponse response;
  for (const uint64_t begin : {6, 0}) {
    v1::Passage& passage = *response.add_passages();
    passage.set_source("r1");
    passage.set_score(-0.5 - response.passages_size());
    passage.mutable_source_span()->set_begin(begin);
    passage.mutable_source_span()->set_end(begin + 6);
  }
  return response;
}

class RunLineTest : public testing::Test {
 protected:
  const std::string text_ = "\xC3\xA9t\xC3\xA9. Winter";
  const std::map<std::string, Characters> places_ = {{"r1", Characters(text_)}};
  const Query query_ = {"q1", "s", "?"};
};

TEST_F(RunLineTest, SpansAreCountedInCharacters) {
  EXPECT_EQ(
      *RunLine(query_, TwoPassagesOfOneRecord(), true, places_),
      R"({"query":"q1","hits":[{"id":"r1","score":-1.5,"start":4,"end":10},)"
      R"({"id":"r1","score":-2.5,"start":0,"end":4}]})");
}

TEST_F(RunLineTest, ARecordStandsOnceAtItsBestRank) {
  EXPECT_EQ(*RunLine(query_, TwoPassagesOfOneRecord(), false, places_),
            R"({"query":"q1","hits":[{"id":"r1","score":-1.5}]})");
}

TEST_F(RunLineTest, APassageOfNoRecordIsAnError) {
  v1::RecallResponse response = TwoPassagesOfOneRecord();
  response.mutable_passages(1)->set_source("r2");
  EXPECT_THAT(RunLine(query_, response, false, places_).status().ToString(),
              HasSubstr("r2"));
}

class LoadSetTest : public testing::Test {
 protected:
  void Write(const std::string& corpus, const std::string& queries) {
    std::filesystem::create_directories(dir_);
    std::ofstream(dir_ + "/corpus.jsonl") << corpus;
    std::ofstream(dir_ + "/queries.jsonl") << queries;
  }
  ~LoadSetTest() override { std::filesystem::remove_all(dir_); }

  const std::string dir_ = testing::TempDir() + "/eval_test/a_set";
  const std::string record_ =
      R"({"id":"r","session":"s","text":"t","speaker":"Ann","meta":{"n":1}})"
      "\n";
  const std::string query_ =
      R"({"id":"q","session":"s","text":"?","relevant":["r"]})"
      "\n";
};

TEST_F(LoadSetTest, ReadsRecordsAndQueries) {
  Write(record_, query_);
  for (const char* slash : {"", "/"}) {
    const auto set = LoadSet(dir_ + slash);
    ASSERT_TRUE(set.ok()) << set.status();
    EXPECT_EQ(set->name, "a_set");
    EXPECT_FALSE(set->spans);
    ASSERT_EQ(set->corpus.size(), 1u);
    EXPECT_EQ(set->corpus[0].speaker, "Ann");
    EXPECT_EQ(set->corpus[0].meta.at("n"), "1");
    ASSERT_EQ(set->queries.size(), 1u);
    EXPECT_EQ(set->queries[0].id, "q");
  }
}

TEST_F(LoadSetTest, ObjectsAsAnswersMakeItASpanSet) {
  Write(record_,
        R"({"id":"q","session":"s","text":"?","relevant":[{"id":"r"}]})");
  EXPECT_TRUE(LoadSet(dir_)->spans);
}

TEST_F(LoadSetTest, WhatIsWrongIsNamedWithItsLine) {
  const std::pair<std::string, std::string> wrong[] = {
      {"{", "not a JSON object"},
      {R"({"session":"s","text":"t"})", "no id"},
      {R"({"id":1,"session":"s","text":"t"})", "id is not a string"},
      {record_, "id again: r"},
  };
  for (const auto& [line, what] : wrong) {
    Write(record_ + line, query_);
    const std::string error = LoadSet(dir_).status().ToString();
    EXPECT_THAT(error, HasSubstr(what));
    EXPECT_THAT(error, HasSubstr("corpus.jsonl:2"));
  }
  Write(record_, R"({"id":"q","session":"x","text":"?","relevant":[]})");
  EXPECT_THAT(LoadSet(dir_).status().ToString(),
              HasSubstr("unknown session x"));
  EXPECT_TRUE(absl::IsNotFound(LoadSet("/nowhere").status()));
}

}  // namespace
}  // namespace mneme::eval
