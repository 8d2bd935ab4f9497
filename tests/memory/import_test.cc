// Sessions that go out and come back: the same bits in every answer, or no
// session and no trace of one.

#include "memory/import.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/export.h"
#include "memory/keys.h"
#include "tests/memory/fixture.h"
#include "tests/memory/small_presets.h"
#include "tests/testing/faulty_store.h"

namespace mneme::memory {
namespace {

using testing::Faults;
using testing::FaultyStore;
using testing::MapDisk;
using testing::Random;
using testing::Seed;

const SessionName kCopy = {.space = "test", .session = "copy"};

absl::Status AddRows(SessionImport& in, const ExportedRows& rows) {
  return in.AddRows(rows.seq_first,
                    {.count = rows.positions.size(),
                     .keys = rows.keys,
                     .values = rows.values,
                     .positions = rows.positions},
                    rows.forgotten);
}

// Everything but the end.
absl::Status Send(SessionExport& out, size_t part_bytes, SessionImport& in) {
  absl::Status status;
  while (const auto entry = out.NextEntry()) {
    status.Update(in.AddEntry(*entry, Never));
  }
  while (const auto rows = out.NextRows(part_bytes)) {
    status.Update(AddRows(in, *rows));
  }
  return status;
}

absl::StatusOr<std::shared_ptr<Session>> Copy(
    const std::shared_ptr<Session>& session, Memory& memory,
    size_t part_bytes = 2'000) {
  SessionExport out(session);
  auto in = memory.StartImport(kCopy, out.manifest());
  if (!in.ok()) return in.status();
  absl::Status status = Send(out, part_bytes, **in);
  if (status.ok()) status = (*in)->End(out.entries(), out.tokens(), Never);
  if (!status.ok()) return status;
  return memory.FinishImport(**in);
}

void ExpectSameState(const Session& a, const Session& b) {
  EXPECT_EQ(a.Info().seq_next, b.Info().seq_next);
  EXPECT_EQ(a.Info().position_next, b.Info().position_next);
  EXPECT_EQ(a.Info().tokens, b.Info().tokens);
  EXPECT_EQ(a.Info().entries, b.Info().entries);
  EXPECT_NE(a.Info().create_time_us, b.Info().create_time_us);
  EXPECT_EQ(a.Counts().window_tokens, b.Counts().window_tokens);
  EXPECT_EQ(a.Counts().knn_tokens, b.Counts().knn_tokens);
  EXPECT_EQ(a.Counts().compressive_tokens, b.Counts().compressive_tokens);
  for (uint32_t layer = 0; layer < a.header().profile.layers; ++layer) {
    const auto left = a.CompressiveState(layer);
    const auto right = b.CompressiveState(layer);
    ASSERT_EQ(left.ok(), right.ok());
    if (!left.ok()) continue;
    EXPECT_EQ(left->absorbed_seq, right->absorbed_seq);
    EXPECT_EQ(left->matrix, right->matrix);
    EXPECT_EQ(left->normalizer, right->normalizer);
  }
}

// No record but those of sessions that exist.
void ExpectNothingLeft(MapDisk& disk, uint64_t uid) {
  EXPECT_TRUE(testing::RecordsIn(disk, AllOf(uid)).empty());
  EXPECT_TRUE(testing::RecordsIn(disk, AllImports()).empty());
}

std::vector<Profile> Profiles() {
  std::vector<Profile> profiles = SmallPresets();
  Profile xpos = SmallProfile();
  xpos.name = "xpos";
  xpos.position.family = attention::PositionFamily::kXpos;
  xpos.dtype = attention::DType::kBF16;
  profiles.push_back(Complete(xpos).value());
  return profiles;
}

TEST(Import, GivesEveryMethodTheSameBits) {
  Random random(Seed());
  for (const Profile& profile : Profiles()) {
    SCOPED_TRACE(profile.name);
    House house;
    auto session = house.Create("s", profile);
    for (int i = 0; i < 12; ++i) {
      Tokens tokens = RandomTokens(profile, random.Int(1, 60), random);
      int64_t position = session->Info().position_next;
      for (uint64_t j = 0; j < tokens.count; ++j) {
        position += random.Int(0, 3);
        tokens.positions.push_back(position++);
      }
      ASSERT_TRUE(session->AppendTokens(tokens.Rows(), {}).ok());
      if (random.Int(0, 3) == 0 && profile.window &&
          profile.window->commit != CommitPolicy::kSegment) {
        ASSERT_TRUE(session->CommitWindow(random.Int(0, 10)).ok());
      }
    }
    for (int i = 0; i < 3; ++i) {
      const uint64_t begin =
          random.Int(0, static_cast<int64_t>(session->Info().seq_next) - 30);
      // A range may have been forgotten before.
      session->Forget(SeqRange{begin, begin + random.Int(1, 30)}).IgnoreError();
    }
    ASSERT_TRUE(session->Clean(Never).ok());
    ExpectSound(*session);
    const AttendQuery query = RandomQuery(profile, 3, random);
    const AttendResult before = session->Attend(query, Never).value();
    auto copy = Copy(session, house.memory(), random.Int(1, 20'000));
    ASSERT_TRUE(copy.ok()) << copy.status();
    for (const bool reopened : {false, true}) {
      if (reopened) {
        session = house.Reopened("s");
        copy = house.Find("copy");
      }
      ExpectSameState(*session, **copy);
      ExpectSameAnswer((*copy)->Attend(query, Never).value(), before);
      ExpectSound(**copy);
    }
    // They go on alike, also where a policy follows the appends.
    for (int i = 0; i < 4; ++i) {
      const Tokens more = RandomTokens(profile, random.Int(1, 30), random);
      ASSERT_TRUE(session->AppendTokens(more.Rows(), {}).ok());
      ASSERT_TRUE((*copy)->AppendTokens(more.Rows(), {}).ok());
      ExpectSameState(*session, **copy);
      ExpectSameAnswer((*copy)->Attend(query, Never).value(),
                       session->Attend(query, Never).value());
    }
  }
}

// Says, forgets and commits at random.
void Live(Session& session, int steps, Random& random) {
  for (int i = 0; i < steps; ++i) {
    const int64_t dice = random.Int(0, 9);
    if (dice == 0) {
      session.CommitWindow(random.Int(0, 5)).IgnoreError();
    } else if (dice == 1) {
      session.Forget(ByEntry(random.Int(1, i))).IgnoreError();  // May be gone.
    } else {
      TextEntry entry = Text("");
      const std::string words =
          "Word" + std::to_string(random.Int(0, 20)) + " is among others. " +
          std::string(random.Int(0, 2), 'x') + " Then rain.";
      entry.text = words;
      entry.role = random.Int(0, 1) ? "user" : "";
      entry.time_us = random.Int(-1'000'000'007, 1'000'000'007);
      entry.source = "file" + std::to_string(random.Int(0, 2));
      entry.source_offset = random.Int(0, 1'000);
      entry.metadata = {{"k", std::to_string(i)}};
      ASSERT_TRUE(session.AppendText(entry, {}).ok());
    }
  }
}

TEST(Import, GivesTextWithGapsTheSamePassages) {
  Random random(Seed());
  for (int round = 0; round < 8; ++round) {
    SCOPED_TRACE(round);
    House house;
    Profile profile = ProfileByName("text").value();
    profile.window->tokens = random.Int(1, 20);
    if (profile.compressive) profile.compressive->segment_tokens = 7;
    auto session = house.Create("s", Complete(profile).value());
    Live(*session, 120, random);
    auto copy = Copy(session, house.memory());
    ASSERT_TRUE(copy.ok()) << copy.status();
    for (const bool reopened : {false, true}) {
      if (reopened) {
        session = house.Reopened("s");
        copy = house.Find("copy");
      }
      ExpectSameState(*session, **copy);
      ExpectSound(**copy);
      for (int i = 0; i < 20; ++i) {
        const std::string words = "word" + std::to_string(i);
        ExpectSameAnswer((*copy)->Recall(Ask(words), Never).value(),
                         session->Recall(Ask(words), Never).value());
      }
      const auto context = AskContext("who is among others", 200, 3);
      EXPECT_EQ((*copy)->AssembleContext(context, Never)->context,
                session->AssembleContext(context, Never)->context);
    }
    const auto next = Say(**copy, "One more.");
    EXPECT_EQ(next->entry, Say(*session, "One more.")->entry);
  }
}

TEST(Import, OfAnEmptySessionIsAnEmptySession) {
  House house;
  auto copy = Copy(house.Create("s", SmallProfile()), house.memory());
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ((*copy)->Info().seq_next, 0u);
  auto text = house.CreateText();
  ASSERT_TRUE(house.memory().Delete(kCopy).ok());
  EXPECT_TRUE(Copy(text, house.memory()).ok());
}

TEST(Import, LivesAsLongAsItsTtlFromTheImportOn) {
  House house;
  const Manifest manifest{.profile = SmallProfile(),
                          .create_time_us = 5,
                          .update_time_us = 7,
                          .ttl_us = 60'000'000};
  auto in = house.memory().StartImport(kCopy, manifest).value();
  ASSERT_TRUE(in->End(0, 0, Never).ok());
  const auto session = house.memory().FinishImport(*in);
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_GT((*session)->Info().create_time_us, 7);
  EXPECT_EQ(house.memory().Describe(kCopy)->info.ttl_us, 60'000'000);
  house.clock().Advance(std::chrono::seconds(61));
  EXPECT_TRUE(absl::IsNotFound(house.Find("copy").status()));
}

TEST(Import, OfForgottenTokensKeepsTheirPlacesAndNothingElse) {
  Random random(Seed());
  const Profile profile = SmallProfile();
  House house;
  Manifest manifest{.profile = profile, .seq_next = 200, .position_next = 200};
  Tokens tokens = RandomTokens(profile, 200, random);
  for (int64_t i = 0; i < 200; ++i) tokens.positions.push_back(i);
  auto in = house.memory().StartImport(kCopy, manifest).value();
  const std::vector<SeqRange> forgotten = {{0, 7}, {100, 140}, {199, 200}};
  ASSERT_TRUE(in->AddRows(0, tokens.Rows(), forgotten).ok());
  ASSERT_TRUE(in->End(0, 152, Never).ok());
  auto session = house.memory().FinishImport(*in).value();
  EXPECT_EQ(session->Info().tokens, 152u);
  ExpectSound(*session);
  SessionExport out(session);
  const ExportedRows rows = out.NextRows(size_t{1} << 20).value();
  EXPECT_EQ(rows.forgotten, forgotten);
  EXPECT_EQ(rows.positions, tokens.positions);
  EXPECT_EQ(rows.keys.substr(0, 7 * profile.key_bytes()),
            std::string(7 * profile.key_bytes(), '\0'));
  ASSERT_TRUE(house.memory().Delete(kCopy).ok());
}

TEST(Import, DoesNotShowBeforeItsEndAndTakesNoNameThatIsTaken) {
  House house;
  auto session = house.CreateText();
  ASSERT_TRUE(Say(*session, "Ada keeps the key.").ok());
  SessionExport out(session);
  auto in = house.memory().StartImport(kCopy, out.manifest()).value();
  ASSERT_TRUE(in->AddEntry(*out.NextEntry(), Never).ok());
  EXPECT_TRUE(absl::IsNotFound(house.Find("copy").status()));
  EXPECT_EQ(house.memory().List("test", "", 9).size(), 1u);
  EXPECT_TRUE(absl::IsAlreadyExists(
      house.memory()
          .StartImport({.space = "test", .session = "text"}, out.manifest())
          .status()));
  ASSERT_TRUE(in->End(1, 1, Never).ok());
  house.CreateText("copy");  // Somebody is faster.
  EXPECT_TRUE(absl::IsAlreadyExists(house.memory().FinishImport(*in).status()));
  const uint64_t uid = in->record().branch.uid;
  in.reset();
  ExpectNothingLeft(house.disk(), uid);
  EXPECT_EQ(house.Find("copy").value()->Info().entries, 0u);
}

TEST(Import, ThatIsDroppedLeavesNothing) {
  Random random(Seed());
  House house;
  auto session = house.Create("s", SmallProfile());
  ASSERT_TRUE(
      session
          ->AppendTokens(RandomTokens(SmallProfile(), 400, random).Rows(), {})
          .ok());
  SessionExport out(session);
  auto in = house.memory().StartImport(kCopy, out.manifest()).value();
  ASSERT_TRUE(Send(out, 500, *in).ok());
  const uint64_t uid = in->record().branch.uid;
  in.reset();
  ExpectNothingLeft(house.disk(), uid);
  EXPECT_TRUE(Copy(session, house.memory()).ok());
}

// The machine dies, or its disk fails, at any write of an import.
TEST(Import, ThatACrashEndsIsThereWholeOrLeavesNothing) {
  Random random(Seed());
  const Profile profile = SmallProfile();
  // More than a batch, so that there are several writes.
  Tokens tokens = RandomTokens(profile, 60'000, random);
  for (int64_t i = 0; i < 60'000; ++i) tokens.positions.push_back(i);
  const Manifest manifest{
      .profile = profile, .seq_next = 60'000, .position_next = 60'000};
  FakeClock clock;
  for (const auto failed : {Faults::Failed::kLost, Faults::Failed::kOnDisk}) {
    bool succeeded = false;
    uint64_t failures = 0;
    for (uint64_t n = 1; !succeeded; ++n) {  // Write 0 is the format's.
      SCOPED_TRACE(n);
      auto disk = std::make_shared<MapDisk>();
      auto faults = std::make_shared<Faults>();
      {
        base::MutexLock lock(&faults->mutex);
        faults->fail_at = n;
        faults->failed = failed;
      }
      auto memory =
          Memory::Open(std::make_unique<FaultyStore>(disk, faults), &clock)
              .value();
      auto in = memory->StartImport(kCopy, manifest);
      absl::Status status = in.status();
      for (uint64_t at = 0; status.ok() && at < 60'000; at += 10'000) {
        const Tokens part = Cut(profile, tokens, at, at + 10'000);
        status = (*in)->AddRows(at, part.Rows(), {});
      }
      if (status.ok()) status = (*in)->End(0, 60'000, Never);
      if (status.ok()) status = memory->FinishImport(**in).status();
      succeeded = status.ok();
      failures += !succeeded;
      if (in.ok()) in->reset();
      memory.reset();
      {
        base::MutexLock lock(&faults->mutex);
        faults->fail_at = ~uint64_t{0};
      }
      memory = Memory::Open(std::make_unique<FaultyStore>(disk, faults), &clock)
                   .value();
      const auto found = memory->Find(kCopy);
      if (found.ok()) {
        EXPECT_TRUE(succeeded || failed == Faults::Failed::kOnDisk);
        EXPECT_EQ((*found)->Info().tokens, 60'000u);
        ExpectSound(**found);
      } else {
        EXPECT_TRUE(absl::IsNotFound(found.status())) << found.status();
        EXPECT_FALSE(succeeded);
        ExpectNothingLeft(*disk, 1);
      }
      // The uid of what is gone is not given again.
      const auto next =
          memory->Create({.space = "test", .session = "next"}, profile);
      ASSERT_TRUE(next.ok()) << next.status();
      EXPECT_EQ((*next)->Info().seq_next, 0u);
      ExpectSound(**next);
    }
    EXPECT_GE(failures, 3u);
  }
}

// What is sent, changed in one place, and the field that must be blamed.
struct Wrong {
  std::string field;
  std::function<void(Manifest&, Entry&, Entry&)> change;
  std::pair<uint64_t, uint64_t> end = {2, 2};
};

TEST(Import, OfEntriesThatDoNotFitNamesTheField) {
  House house;
  auto session = house.CreateText();
  ASSERT_TRUE(Say(*session, "Ada keeps the key.").ok());
  ASSERT_TRUE(Say(*session, "Rain again.").ok());
  using M = Manifest;
  using E = Entry;
  const std::vector<Wrong> wrongs = {
      {"", [](M&, E&, E&) {}},
      {"entry.entry", [](M&, E&, E& b) { b.number = 1; }},
      {"entry.entry", [](M&, E& a, E&) { a.number = 0; }},
      {"entry.entry", [](M&, E&, E& b) { b.number = ~uint64_t{0}; }},
      {"entry.seq_first", [](M&, E&, E& b) { b.seq_first = 0; }},
      {"entry.seq_first", [](M&, E&, E& b) { b.seq_first = ~uint64_t{0}; }},
      {"entry.seq_first", [](M&, E&, E& b) { b.seq_first = kNumberMax; }},
      {"entry.seq_count", [](M&, E& a, E&) { a.seq_count = 2; }},
      {"entry.seq_count", [](M&, E& a, E&) { a.text = "One. Two. Three."; }},
      {"entry.seq_count", [](M&, E& a, E&) { a.text = " "; }},
      {"text.text", [](M&, E& a, E&) { a.text = "\xff"; }},
      {"text.role", [](M&, E& a, E&) { a.role = "a\nb"; }},
      {"manifest.position_next", [](M& m, E&, E&) { m.seq_next = 9; }},
      {"manifest.position_next",
       [](M& m, E&, E&) { m.seq_next = m.position_next = 1; }},
      {"manifest.entry_next", [](M& m, E&, E&) { m.entry_next = 2; }},
      {"end.entries", [](M&, E&, E&) {}, {1, 2}},
      {"end.tokens", [](M&, E&, E&) {}, {2, 3}}};
  for (size_t i = 0; i < wrongs.size(); ++i) {
    SCOPED_TRACE(i);
    SessionExport out(session);
    Manifest manifest = out.manifest();
    Entry first = *out.NextEntry();
    Entry second = *out.NextEntry();
    wrongs[i].change(manifest, first, second);
    auto in = house.memory().StartImport(kCopy, manifest);
    absl::Status status = in.status();
    if (status.ok()) status = (*in)->AddEntry(first, Never);
    if (status.ok()) status = (*in)->AddEntry(second, Never);
    if (status.ok()) {
      status = (*in)->End(wrongs[i].end.first, wrongs[i].end.second, Never);
    }
    EXPECT_EQ(FieldOf(status), wrongs[i].field) << status;
    if (!in.ok()) continue;
    const uint64_t uid = (*in)->record().branch.uid;
    in->reset();
    ExpectNothingLeft(house.disk(), uid);
  }
}

TEST(Import, OfTokensThatDoNotFitNamesTheField) {
  Random random(Seed());
  const Profile profile = SmallProfile();
  House house;
  Tokens tokens = RandomTokens(profile, 20, random);
  for (int64_t i = 0; i < 20; ++i) tokens.positions.push_back(i);
  const auto field_of = [&](uint64_t seq_first, const TokenRows& rows,
                            std::vector<SeqRange> forgotten = {}) {
    auto in = house.memory()
                  .StartImport(
                      kCopy,
                      {.profile = profile, .seq_next = 20, .position_next = 20})
                  .value();
    absl::Status status = in->AddRows(seq_first, rows, forgotten);
    uint64_t live = rows.count;
    for (const SeqRange& range : forgotten) live -= range.size();
    if (status.ok()) status = in->End(0, live, Never);
    const uint64_t uid = in->record().branch.uid;
    in.reset();
    ExpectNothingLeft(house.disk(), uid);
    return FieldOf(status);
  };
  EXPECT_EQ(field_of(0, tokens.Rows()), "");
  EXPECT_EQ(field_of(0, tokens.Rows(), {{0, 20}}), "");
  EXPECT_EQ(field_of(1, tokens.Rows()), "tokens.seq_first");
  EXPECT_EQ(field_of(0, tokens.Rows(), {{3, 3}}), "tokens.forgotten");
  EXPECT_EQ(field_of(0, tokens.Rows(), {{3, 5}, {4, 6}}), "tokens.forgotten");
  EXPECT_EQ(field_of(0, tokens.Rows(), {{19, 21}}), "tokens.forgotten");
  EXPECT_EQ(field_of(0, tokens.Rows(), {{5, 2}}), "tokens.forgotten");
  const Tokens few = Cut(profile, tokens, 0, 19);
  EXPECT_EQ(field_of(0, few.Rows()), "manifest.seq_next");
  Tokens many = RandomTokens(profile, 21, random);
  for (int64_t i = 0; i < 21; ++i) many.positions.push_back(i);
  EXPECT_EQ(field_of(0, many.Rows()), "tokens.keys");
  Tokens bad = tokens;
  bad.positions[7] = 3;
  EXPECT_EQ(field_of(0, bad.Rows()), "tokens.positions");
  bad.positions.clear();
  EXPECT_EQ(field_of(0, bad.Rows()), "tokens.positions");
  bad = tokens;
  bad.positions[19] = 50;
  EXPECT_EQ(field_of(0, bad.Rows()), "manifest.position_next");
  bad = tokens;
  bad.keys.resize(bad.keys.size() - 4);
  EXPECT_EQ(field_of(0, bad.Rows()), "tokens.keys");
  bad = tokens;
  bad.values.replace(0, 4, "\xff\xff\xff\x7f");
  EXPECT_EQ(field_of(0, bad.Rows()), "tokens.values") << "NaN";
}

TEST(Import, TakesOnlyWhatItsProfileSays) {
  Random random(Seed());
  House house;
  auto text =
      house.memory()
          .StartImport(kCopy, {.profile = ProfileByName("text").value()})
          .value();
  const Tokens tokens = RandomTokens(SmallProfile(), 1, random);
  EXPECT_EQ(ReasonOf(text->AddRows(0, tokens.Rows(), {})), "WRONG_PAYLOAD");
  auto rows =
      house.memory().StartImport(kCopy, {.profile = SmallProfile()}).value();
  EXPECT_EQ(ReasonOf(rows->AddEntry(Entry{}, Never)), "WRONG_PAYLOAD");
}

TEST(Import, RefusesAGapThatWouldFillTheDiskForNothing) {
  House house;
  auto in = house.memory()
                .StartImport(kCopy, {.profile = ProfileByName("text").value(),
                                     .seq_next = kGapTokensMax + 1,
                                     .position_next = kGapTokensMax + 1})
                .value();
  EXPECT_EQ(ReasonOf(in->End(0, 0, Never)), "GAP_TOO_LARGE");
  auto small =
      house.memory()
          .StartImport(kCopy, {.profile = ProfileByName("text").value(),
                               .seq_next = 100'000,
                               .position_next = 100'000})
          .value();
  EXPECT_TRUE(absl::IsCancelled(small->End(0, 0, [] { return true; })));
}

}  // namespace
}  // namespace mneme::memory
