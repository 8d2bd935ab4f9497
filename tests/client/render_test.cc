#include "client/render.h"

#include <sstream>

#include "gmock/gmock.h"

namespace mneme::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

v1::Passage Cat() {
  v1::Passage passage;
  passage.set_text("The cat sat.\nThen it slept.");
  passage.set_entry(12);
  passage.mutable_span()->set_end(27);
  passage.set_source("book.txt");
  passage.mutable_source_span()->set_begin(1000);
  passage.mutable_source_span()->set_end(1027);
  passage.set_tier(v1::TIER_KNN);
  passage.set_share(0.625);
  return passage;
}

void AddMatch(v1::Passage& passage, uint64_t begin, uint64_t end) {
  v1::ByteSpan& span = *passage.add_matches();
  span.set_begin(begin);
  span.set_end(end);
}

TEST(Printable, LetsNoControlSequenceThrough) {
  EXPECT_EQ(Printable("a\033[31mb\r\n\tc\x7F\u009Bd\u00E9"),
            "a\uFFFD[31mb\n\tc\uFFFD\uFFFDd\u00E9");
}

TEST(Highlighted, MarksTheMatchesOnlyInColor) {
  v1::Passage passage = Cat();
  AddMatch(passage, 4, 7);
  EXPECT_EQ(Highlighted(passage, true),
            "The \033[1;33mcat\033[0m sat.\nThen it slept.");
  EXPECT_EQ(Highlighted(passage, false), passage.text());
}

TEST(Highlighted, IgnoresSpansThatDoNotFit) {
  v1::Passage passage = Cat();
  passage.set_text("é cat");
  AddMatch(passage, 1, 2);   // Inside a code point.
  AddMatch(passage, 3, 6);   // "cat".
  AddMatch(passage, 4, 5);   // Overlaps.
  AddMatch(passage, 5, 99);  // Past the end.
  AddMatch(passage, 6, 6);   // Empty.
  AddMatch(passage, ~0ull, 2);
  EXPECT_EQ(Highlighted(passage, true), "é \033[1;33mcat\033[0m");
}

TEST(PlaceOf, IsTheSourceOrTheEntry) {
  v1::Passage passage = Cat();
  EXPECT_EQ(PlaceOf(passage), "book.txt:1000-1027");
  passage.clear_source();
  EXPECT_EQ(PlaceOf(passage), "entry 12:0-27");
}

TEST(ShortName, LeavesOutWhatIsDefault) {
  EXPECT_EQ(ShortName("namespaces/default/sessions/s1"), "s1");
  EXPECT_EQ(ShortName("namespaces/team/sessions/s1"), "team/s1");
  EXPECT_EQ(ShortName("odd"), "odd");
}

TEST(RenderRecall, ShowsPlaceTierAndShare) {
  v1::RecallResponse response;
  *response.add_passages() = Cat();
  std::ostringstream out;
  RenderRecall(response, false, false, out);
  EXPECT_EQ(out.str(),
            " 1. book.txt:1000-1027  knn  62.5%\n"
            "    The cat sat.\n    Then it slept.\n\n");
}

TEST(RenderRecall, ExplainsWhenAsked) {
  v1::RecallResponse response;
  v1::Passage& passage = *response.add_passages() = Cat();
  passage.set_role("user");
  (*passage.mutable_metadata())["b"] = "2";
  (*passage.mutable_metadata())["a"] = "1";
  v1::HeadShare& head = *passage.add_heads();
  head.set_head("lexical");
  head.set_share(0.5);
  v1::TierShare& tier = *response.add_tiers();
  tier.set_tier(v1::TIER_WINDOW);
  tier.set_share(0.25);
  std::ostringstream explained, plain;
  RenderRecall(response, true, false, explained);
  EXPECT_THAT(explained.str(), HasSubstr("user  a=1  b=2"));
  EXPECT_THAT(explained.str(), HasSubstr("heads: lexical 50.0%"));
  EXPECT_THAT(explained.str(), HasSubstr("tiers: window 25.0%"));
  RenderRecall(response, false, false, plain);
  EXPECT_THAT(plain.str(), Not(HasSubstr("lexical")));
}

TEST(RenderCitations, SayWhatDidNotFit) {
  v1::AssembleContextResponse response;
  v1::Citation& citation = *response.add_citations();
  citation.set_mark(1);
  *citation.mutable_passage() = Cat();
  v1::Citation& recent = *response.add_citations() = citation;
  recent.set_mark(2);
  recent.set_recent(true);
  response.set_tokens_used(90);
  response.set_omitted(3);
  std::ostringstream out;
  RenderCitations(response, 100, out);
  EXPECT_EQ(out.str(),
            "[1] book.txt:1000-1027  knn  62.5%\n"
            "[2] book.txt:1000-1027  recent\n"
            "90 of 100 tokens; 3 recalled passages did not fit\n");
}

TEST(RenderSession, ShowsTheProfileSettingBySetting) {
  v1::Session session;
  session.set_name("namespaces/default/sessions/s1");
  session.set_entries(7);
  session.mutable_profile()->set_name("fot\033");
  session.mutable_profile()->mutable_window()->set_tokens(5);
  std::ostringstream out;
  RenderSession(session, out);
  EXPECT_THAT(out.str(), HasSubstr("entries              7\n"));
  EXPECT_THAT(out.str(), HasSubstr("profile              fot\uFFFD\n"));
  EXPECT_THAT(out.str(), HasSubstr("\n  window.tokens     5\n"));
}

TEST(RenderVerify, PointsAtWhatIsWrong) {
  v1::VerifyResponse response;
  v1::VerifyCheck& check = *response.add_checks();
  check.set_name("records");
  check.set_checked(10);
  check.set_detail("checksum");
  std::ostringstream out;
  RenderVerify("namespaces/default/sessions/s1", response, out);
  EXPECT_THAT(out.str(), HasSubstr("s1: NOT CLEAN"));
  EXPECT_THAT(out.str(), HasSubstr("BAD  records"));
}

}  // namespace
}  // namespace mneme::client
