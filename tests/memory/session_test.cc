#include "memory/session.h"

#include <chrono>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "memory/keys.h"
#include "memory/rows.h"
#include "memory/segments.h"
#include "tests/memory/fixture.h"
#include "tests/testing/faulty_store.h"

namespace mneme::memory {
namespace {

using testing::Random;
using testing::RecordsIn;
using testing::Seed;

// Appends `tokens` in pieces of at most `piece`.
void AppendInPieces(Session& session, const Tokens& tokens, uint64_t piece) {
  const Profile& profile = session.header().profile;
  for (uint64_t at = 0; at < tokens.count; at += piece) {
    const uint64_t end = std::min(tokens.count, at + piece);
    const Tokens part = Cut(profile, tokens, at, end);
    const auto appended = session.AppendTokens(part.Rows(), {});
    ASSERT_TRUE(appended.ok()) << appended.status();
    ASSERT_EQ(appended->seq_first, at);
    ASSERT_EQ(appended->seq_next, end);
  }
}

TEST(Session, TheCutIntoAppendsAndReopeningChangeNoBitOfAnAnswer) {
  Random random(Seed());
  const Profile profile = SmallProfile();
  const Tokens tokens = RandomTokens(profile, 2 * kBlockTokens + 9, random);
  AttendQuery query = RandomQuery(profile, 3, random);
  query.top_items = 7;
  House house;
  auto whole = house.Create("whole", profile);
  AppendInPieces(*whole, tokens, tokens.count);
  const AttendResult expected = whole->Attend(query, Never).value();
  for (const uint64_t piece : {1, 2, 7, 127, 128, 129}) {
    SCOPED_TRACE(piece);
    const std::string name = "by-" + std::to_string(piece);
    AppendInPieces(*house.Create(name, profile), tokens, piece);
    const auto session = house.Find(name).value();
    ExpectSameAnswer(session->Attend(query, Never).value(), expected);
    ExpectSound(*session);
    const auto reopened = house.Reopened(name);
    ExpectSameAnswer(reopened->Attend(query, Never).value(), expected);
    ExpectSound(*reopened);
    EXPECT_EQ(reopened->Info().position_next, 265);
  }
}

TEST(Session, EveryLengthAroundABlockBorderReopens) {
  Random random(Seed());
  const Profile profile = SmallProfile();
  const Tokens tokens = RandomTokens(profile, kBlockTokens + 3, random);
  const AttendQuery query = RandomQuery(profile, 1, random);
  House house;
  auto session = house.Create("s", profile);
  for (uint64_t count = 1; count <= tokens.count; ++count) {
    const Tokens one = Cut(profile, tokens, count - 1, count);
    ASSERT_TRUE(session->AppendTokens(one.Rows(), {}).ok());
    if (count > 2 && count < kBlockTokens - 2) continue;
    const AttendResult before = session->Attend(query, Never).value();
    session = house.Reopened("s");
    SCOPED_TRACE(count);
    ExpectSameAnswer(session->Attend(query, Never).value(), before);
  }
}

TEST(Session, AFullBlockReplacesItsTails) {
  Random random(Seed());
  House house;
  const Profile profile = SmallProfile();
  auto session = house.Create("s", profile);
  const uint64_t uid = session->branch().uid;
  AppendInPieces(*session, RandomTokens(profile, kBlockTokens - 1, random), 1);
  EXPECT_EQ(RecordsIn(house.disk(), AllOf(uid, RecordKind::kTail)).size(),
            kBlockTokens - 1);
  ASSERT_TRUE(
      session->AppendTokens(RandomTokens(profile, 1, random).Rows(), {}).ok());
  EXPECT_TRUE(RecordsIn(house.disk(), AllOf(uid, RecordKind::kTail)).empty());
  EXPECT_EQ(RecordsIn(house.disk(), AllOf(uid, RecordKind::kRows)).size(),
            profile.bank_count());
}

TEST(Session, PositionsContinueOrAreGivenAndMustAscend) {
  Random random(Seed());
  House house;
  const Profile profile = SmallProfile();
  auto session = house.Create("s", profile);
  Tokens tokens = RandomTokens(profile, 3, random);
  tokens.positions = {5, 7, 1000};
  const auto given = session->AppendTokens(tokens.Rows(), {});
  ASSERT_TRUE(given.ok()) << given.status();
  EXPECT_EQ(given->position_next, 1001);
  tokens.positions.clear();
  EXPECT_EQ(session->AppendTokens(tokens.Rows(), {})->position_next, 1004);
  using Positions = std::vector<int64_t>;
  for (const Positions& bad :
       {Positions{1003, 1004, 1005}, Positions{2000, 2000, 2001},
        Positions{2001, 2000, 2002}, Positions{-1, 5000, 6000},
        Positions{2000, 2001, kPositionMax + 1}, Positions{2000},
        Positions{2000, 2001, 2002, 2003}}) {
    tokens.positions = bad;
    const auto refused = session->AppendTokens(tokens.Rows(), {});
    EXPECT_EQ(FieldOf(refused.status()), "tokens.positions");
  }
  EXPECT_EQ(session->Info().seq_next, 6u);
  tokens.positions = {1004, 1005, kPositionMax};
  EXPECT_TRUE(session->AppendTokens(tokens.Rows(), {}).ok());
  tokens.positions.clear();
  EXPECT_EQ(FieldOf(session->AppendTokens(tokens.Rows(), {}).status()),
            "tokens.positions");
}

TEST(Session, RowsThatDoNotFitTheProfileAreRefused) {
  Random random(Seed());
  House house;
  const Profile profile = SmallProfile();
  auto session = house.Create("s", profile);
  const Tokens tokens = RandomTokens(profile, 2, random);
  const auto refused = [&](const TokenRows& rows) {
    const auto appended = session->AppendTokens(rows, {});
    EXPECT_EQ(appended.status().code(), absl::StatusCode::kInvalidArgument);
    return FieldOf(appended.status());
  };
  EXPECT_EQ(refused({}), "tokens.keys");
  TokenRows rows = tokens.Rows();
  rows.keys.remove_suffix(1);
  EXPECT_EQ(refused(rows), "tokens.keys");
  rows = tokens.Rows();
  rows.values.remove_suffix(4);
  EXPECT_EQ(refused(rows), "tokens.values");
  rows = tokens.Rows();
  rows.count = 3;
  EXPECT_EQ(refused(rows), "tokens.keys");
  EXPECT_EQ(session->Info().seq_next, 0u);
}

// A count whose product with the banks is a multiple of 2^64.
TEST(Session, ACountThatOverflowsIsRefused) {
  House house;
  auto session = house.Create("s", SmallProfile());
  TokenRows rows;
  rows.count = uint64_t{1} << 62;
  EXPECT_EQ(FieldOf(session->AppendTokens(rows, {}).status()), "tokens.keys");
}

TEST(Session, AnAppendThatWouldFoldForMinutesIsRefused) {
  Profile profile = SmallProfile();
  profile.key_dim = profile.value_dim = 1;
  profile.compressive->performer = PerformerTier{.count = 4096};
  profile = Complete(profile).value();
  House house;
  auto session = house.Create("s", profile);
  // 4 banks of 4096 features, each with one value and one key component.
  const uint64_t most = kAbsorbStepsMax / (4 * 4096 * 2);
  const auto status = [&](uint64_t count) {
    const std::string zeros(4 * count * sizeof(float), '\0');
    return session
        ->AppendTokens(
            {.count = count, .keys = zeros, .values = zeros, .positions = {}},
            {})
        .status();
  };
  EXPECT_EQ(FieldOf(status(most + 1)), "tokens.keys");
  EXPECT_TRUE(status(100).ok());
}

TEST(Session, ACommitThatWouldFoldForMinutesIsRefused) {
  Random random(Seed());
  Profile profile = SmallProfile();
  profile.layers = 1;
  profile.kv_heads = 1;
  profile.query_heads = 1;
  profile.key_dim = 128;
  profile.value_dim = 1024;
  profile.dtype = attention::DType::kBF16;
  profile.window = WindowTier{.tokens = 1 << 20, .commit = CommitPolicy::kStep};
  profile.compressive =
      CompressiveTier{.segment_tokens = 16,
                      .gate_logits = {0.0F},
                      .performer = PerformerTier{.count = 4096}};
  profile = Complete(profile).value();
  const uint64_t most = kAbsorbStepsMax / AbsorbSteps(profile);
  House house;
  auto session = house.Create("s", profile);
  const uint64_t piece = 1600;
  const Tokens tokens = RandomTokens(profile, piece, random);
  for (uint64_t count = 0; count < most + 100; count += piece) {
    ASSERT_TRUE(session->AppendTokens(tokens.Rows(), {}).ok());
  }
  const auto refused = session->CommitWindow(0);
  EXPECT_EQ(ReasonOf(refused.status()), "COMMIT_TOO_LARGE");
  // A part of it that its caller does not wait for changes nothing either.
  EXPECT_TRUE(absl::IsCancelled(
      session->CommitWindow(piece, {}, [] { return true; }).status()));
  EXPECT_EQ(session->Counts().compressive_tokens, 0u);
}

TEST(Session, AnAppendWhoseCallerIsGoneFoldsNothing) {
  Random random(Seed());
  const Profile profile = SmallProfile();
  House house;
  auto session = house.Create("s", profile);
  auto twin = house.Create("twin", profile);
  const Tokens tokens = RandomTokens(profile, 300, random);
  const AttendQuery query = RandomQuery(profile, 1, random);
  int asked = 0;
  EXPECT_TRUE(absl::IsCancelled(
      session->AppendTokens(tokens.Rows(), {}, [&] { return ++asked == 3; })
          .status()));
  EXPECT_EQ(session->Info().seq_next, 0u);
  ASSERT_TRUE(session->AppendTokens(tokens.Rows(), {}).ok());
  ASSERT_TRUE(twin->AppendTokens(tokens.Rows(), {}).ok());
  ExpectSameAnswer(session->Attend(query, Never).value(),
                   twin->Attend(query, Never).value());
}

TEST(Session, NaNAndInfinityAreRefusedInEveryDtype) {
  Random random(Seed());
  House house;
  for (const auto dtype : {attention::DType::kF32, attention::DType::kF16,
                           attention::DType::kBF16}) {
    Profile profile = SmallProfile();
    profile.dtype = dtype;
    auto session = house.Create(std::string(attention::NameOf(dtype)), profile);
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(),
                            std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity()}) {
      Tokens tokens = RandomTokens(profile, 2, random);
      const std::string number = Narrow(dtype, {bad});
      tokens.keys.replace(tokens.keys.size() - number.size(), number.size(),
                          number);
      EXPECT_EQ(FieldOf(session->AppendTokens(tokens.Rows(), {}).status()),
                "tokens.keys");
      tokens = RandomTokens(profile, 2, random);
      tokens.values.replace(0, number.size(), number);
      EXPECT_EQ(FieldOf(session->AppendTokens(tokens.Rows(), {}).status()),
                "tokens.values");
    }
    EXPECT_EQ(session->Info().seq_next, 0u);
  }
}

TEST(Session, TextAndTokensGoWhereTheyBelong) {
  Random random(Seed());
  House house;
  auto text = house.CreateText();
  auto tokens = house.Create("tokens", SmallProfile());
  const auto refused = [](const absl::Status& status) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    return ReasonOf(status);
  };
  const Tokens rows = RandomTokens(text->header().profile, 1, random);
  EXPECT_EQ(refused(text->AppendTokens(rows.Rows(), {}).status()),
            "WRONG_PAYLOAD");
  EXPECT_EQ(refused(Say(*tokens, "words").status()), "WRONG_PAYLOAD");
  EXPECT_EQ(refused(tokens->Recall(Ask("words"), Never).status()), "NO_TEXT");
  EXPECT_EQ(
      refused(tokens->AssembleContext(AskContext("words", 10), Never).status()),
      "NO_TEXT");
  Profile plain = SmallProfile();
  plain.compressive.reset();
  EXPECT_EQ(refused(house.Create("plain", plain)->CompressiveState(0).status()),
            "NO_COMPRESSIVE_TIER");
  EXPECT_EQ(FieldOf(tokens->CompressiveState(2).status()), "layer");
}

TEST(Session, TextThatCannotBeKeptIsRefusedByField) {
  House house;
  auto session = house.CreateText();
  const auto refused = [&](const TextEntry& entry) {
    const auto appended = session->AppendText(entry, {});
    EXPECT_EQ(appended.status().code(), absl::StatusCode::kInvalidArgument)
        << appended.status();
    return FieldOf(appended.status());
  };
  TextEntry entry;
  EXPECT_EQ(refused(entry), "text.text");
  entry.text = " \n\t \r\n";
  EXPECT_EQ(refused(entry), "text.text");
  entry.text = "caf\xE9";
  EXPECT_EQ(refused(entry), "text.text");
  const std::string longer(kTextBytesMax + 1, 'x');
  entry.text = longer;
  EXPECT_EQ(refused(entry), "text.text");
  entry.text = "words";
  entry.role = std::string(kRoleBytesMax + 1, 'r');
  EXPECT_EQ(refused(entry), "text.role");
  entry.role.clear();
  entry.source = std::string(kSourceBytesMax + 1, 's');
  EXPECT_EQ(refused(entry), "text.source");
  entry.source.clear();
  for (size_t i = 0; i <= kMetadataPairsMax; ++i) {
    entry.metadata[std::to_string(i)] = "";
  }
  EXPECT_EQ(refused(entry), "text.metadata");
  entry.metadata = {{"k", std::string(kMetadataBytesMax, 'v')}};
  EXPECT_EQ(refused(entry), "text.metadata");
  EXPECT_EQ(session->Info().entries, 0u);
  entry.metadata.clear();
  EXPECT_TRUE(session->AppendText(entry, {}).ok());
}

TEST(Session, TextOfTheLargestSizeIsKeptWhole) {
  House house;
  auto session = house.CreateText();
  std::string text;
  while (text.size() + 8 < kTextBytesMax) text += "a b. c\n\n";
  text.resize(kTextBytesMax, '.');
  const auto appended = Say(*session, text);
  ASSERT_TRUE(appended.ok()) << appended.status();
  EXPECT_GT(appended->passages, 1000u);
  EXPECT_EQ(house.Reopened("text")->Counts().text_bytes, kTextBytesMax);
}

TEST(Session, ExpectedSeqAllowsExactlyTheNext) {
  House house;
  auto session = house.CreateText();
  const auto first = session->AppendText(Text("one"), AtSeq(0));
  ASSERT_TRUE(first.ok()) << first.status();
  const auto again = session->AppendText(Text("two"), AtSeq(0));
  EXPECT_EQ(again.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(again.status()), "SEQ_MISMATCH");
  EXPECT_EQ(base::DetailOf(again.status()).metadata.at("expected"), "1");
  EXPECT_TRUE(session->AppendText(Text("two"), AtSeq(1)).ok());
}

TEST(Session, ARepeatedRequestReturnsItsFirstResultAlsoAfterReopening) {
  House house;
  auto session = house.CreateText();
  ASSERT_TRUE(Say(*session, "before").ok());
  TextEntry entry = Text("once");
  entry.role = "Ann";
  AppendOptions options = WithId("r1");
  options.expected_seq = 1;
  const auto first = session->AppendText(entry, options);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_FALSE(first->replayed);
  ASSERT_TRUE(Say(*session, "after").ok());
  for (int opening = 0; opening < 2; ++opening) {
    // Its expected_seq is of the past by now, and that is right.
    const auto again = session->AppendText(entry, options);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_TRUE(again->replayed);
    EXPECT_EQ(again->seq_first, first->seq_first);
    EXPECT_EQ(again->seq_next, first->seq_next);
    EXPECT_EQ(again->position_next, first->position_next);
    EXPECT_EQ(again->entry, first->entry);
    EXPECT_EQ(again->passages, first->passages);
    EXPECT_EQ(session->Info().entries, 3u);
    session = house.Reopened("text");
  }
}

TEST(Session, ARequestIdWithAnotherPayloadIsRefused) {
  Random random(Seed());
  House house;
  auto session = house.CreateText();
  const AppendOptions options = WithId("r");
  TextEntry entry = Text("words");
  entry.metadata = {{"a", "bc"}};
  ASSERT_TRUE(session->AppendText(entry, options).ok());
  entry.metadata = {{"ab", "c"}};
  EXPECT_EQ(ReasonOf(session->AppendText(entry, options).status()),
            "REQUEST_ID_REUSED");
  entry.metadata = {{"a", "bc"}};
  entry.role = "Ann";
  EXPECT_EQ(ReasonOf(session->AppendText(entry, options).status()),
            "REQUEST_ID_REUSED");

  const Profile profile = SmallProfile();
  auto tokens = house.Create("tokens", profile);
  Tokens rows = RandomTokens(profile, 2, random);
  ASSERT_TRUE(tokens->AppendTokens(rows.Rows(), options).ok());
  EXPECT_TRUE(tokens->AppendTokens(rows.Rows(), options)->replayed);
  rows.positions = {7, 8};
  EXPECT_EQ(ReasonOf(tokens->AppendTokens(rows.Rows(), options).status()),
            "REQUEST_ID_REUSED");
  EXPECT_EQ(tokens->Info().seq_next, 2u);
  const AppendOptions longer = WithId(std::string(kRequestIdBytesMax + 1, 'r'));
  EXPECT_EQ(FieldOf(tokens->AppendTokens(rows.Rows(), longer).status()),
            "request_id");
}

TEST(Session, ARequestOfTextIsRememberedAsLongAsItsEntry) {
  House house;
  auto session = house.CreateText();
  const TextEntry entry = Text("words");
  const AppendOptions options = WithId("r");
  ASSERT_TRUE(session->AppendText(entry, options).ok());
  house.clock().Advance(std::chrono::seconds(10 * kRequestMemorySeconds));
  session = house.Reopened("text");
  EXPECT_TRUE(session->AppendText(entry, options)->replayed);
  ASSERT_TRUE(session->Forget(ByEntry(1)).ok());
  EXPECT_FALSE(session->AppendText(entry, options)->replayed);
}

TEST(Session, ARequestOfTokensIsRememberedForItsTimeAndNotForEver) {
  Random random(Seed());
  House house;
  const Profile profile = SmallProfile();
  auto session = house.Create("tokens", profile);
  const Tokens tokens = RandomTokens(session->header().profile, 3, random);
  const AppendOptions options = WithId("r");
  ASSERT_TRUE(session->AppendTokens(tokens.Rows(), options).ok());
  house.clock().Advance(std::chrono::seconds(kRequestMemorySeconds));
  session = house.Reopened("tokens");
  EXPECT_TRUE(session->AppendTokens(tokens.Rows(), options)->replayed);
  house.clock().Advance(std::chrono::seconds(1));
  session = house.Reopened("tokens");
  EXPECT_FALSE(session->AppendTokens(tokens.Rows(), options)->replayed);
  EXPECT_EQ(session->Info().tokens, 6u);
}

TEST(Session, AnAppendWithoutATimeHappensNow) {
  House house;
  auto session = house.CreateText();
  ASSERT_TRUE(session->AppendText(Text("now"), {}).ok());
  const int64_t now = std::chrono::duration_cast<std::chrono::microseconds>(
                          house.clock().Now().time_since_epoch())
                          .count();
  const auto recalled = session->Recall(Ask("now"), Never).value();
  ASSERT_EQ(recalled.passages.size(), 1u);
  EXPECT_EQ(recalled.passages[0].time_us, now);
  EXPECT_EQ(session->Info().update_time_us, now);
  EXPECT_EQ(house.Reopened("text")->Info().update_time_us, now);
}

TEST(Session, AnEmptySessionAnswersWithNothing) {
  Random random(Seed());
  House house;
  auto text = house.CreateText();
  EXPECT_TRUE(text->Recall(Ask("anything"), Never)->passages.empty());
  EXPECT_TRUE(text->AssembleContext(AskContext("anything", 100, 3), Never)
                  ->context.empty());
  ExpectSound(*text);
  const Profile profile = SmallProfile();
  auto tokens = house.Create("tokens", profile);
  const AttendResult result =
      tokens->Attend(RandomQuery(profile, 2, random), Never).value();
  for (const LayerOutput& output : result.outputs) {
    for (const float x : output.output) EXPECT_EQ(x, 0);
    for (const float lse : output.lse) {
      EXPECT_EQ(lse, -std::numeric_limits<float>::infinity());
    }
    EXPECT_EQ(output.shares, TierShares{});
    EXPECT_FALSE(output.gated);
  }
  ExpectSound(*tokens);
  ExpectSound(*house.Reopened("tokens"));
}

TEST(Session, SealingAndReopeningChangeNoBitOfAnAnswer) {
  Random random(Seed());
  House house;
  Profile profile = SmallProfile();
  profile.layers = 1;
  profile.position.family = attention::PositionFamily::kRope;
  profile.knn->positions.policy = PositionPolicy::kAbsolute;
  profile.compressive->gate_logits = {-1.0F};
  auto session = house.Create("s", Complete(profile).value());
  const Tokens tokens =
      RandomTokens(session->header().profile, 2 * kSealTokens + 100, random);
  AppendInPieces(*session, tokens, 1000);
  std::vector<AttendQuery> queries;
  std::vector<AttendResult> before;
  for (int i = 0; i < 20; ++i) {
    queries.push_back(RandomQuery(profile, 1 + i % 3, random));
    queries.back().top_items = 12;
    before.push_back(session->Attend(queries.back(), Never).value());
  }
  EXPECT_EQ(session->Counts().segments, 0u);
  const auto expect_same = [&] {
    for (size_t i = 0; i < queries.size(); ++i) {
      ExpectSameAnswer(session->Attend(queries[i], Never).value(), before[i]);
    }
  };
  // The run that the sink reaches into is never sealed.
  EXPECT_TRUE(session->SealOne().value());
  EXPECT_FALSE(session->SealOne().value());
  EXPECT_EQ(session->Counts().segments, 1u);
  EXPECT_EQ(session->Counts().sealed_tokens, kSealTokens);
  expect_same();
  ExpectSound(*session);
  session = house.Reopened("s");
  EXPECT_EQ(session->Counts().segments, 1u);
  EXPECT_FALSE(session->SealOne().value());
  expect_same();
}

// A sealed run that two threads built at once counts once.
TEST(Session, ARunIsSealedOnceWhoeverAsks) {
  Random random(Seed());
  House house;
  Profile profile = SmallProfile();
  profile.sink = SinkTier{.tokens = 0};
  auto session = house.Create("s", profile);
  AppendInPieces(*session, RandomTokens(profile, kSealTokens + 100, random),
                 kSealTokens + 100);
  AttendQuery query = RandomQuery(profile, 1, random);
  query.top_items = 20;
  const AttendResult before = session->Attend(query, Never).value();
  std::vector<std::thread> sealers;
  for (int i = 0; i < 4; ++i) {
    sealers.emplace_back([&] { EXPECT_TRUE(session->SealOne().ok()); });
  }
  for (std::thread& sealer : sealers) sealer.join();
  EXPECT_EQ(session->Counts().segments, 1u);
  ExpectSameAnswer(session->Attend(query, Never).value(), before);
}

}  // namespace
}  // namespace mneme::memory
