#include <xxhash.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "memory/keys.h"
#include "memory/record.h"
#include "memory/segments.h"
#include "tests/memory/fixture.h"
#include "tests/memory/scenario.h"
#include "tests/testing/faulty_store.h"

namespace mneme::memory {
namespace {

using testing::MapDisk;
using Records = std::map<std::string, std::string>;

// What damage of a record may lead to.
enum class Outcome {
  kDirectoryRefused,  // DATA_LOSS: nothing opens.
  kReported,          // DATA_LOSS that names the session, and its rows if any.
  kRequestRefused,    // Likewise, for whoever repeats the request.
  kTooNew,            // FORMAT_TOO_NEW.
  kRebuilt,           // Derived: every answer is as before.
  kUnseen,            // Nothing else says that it was there.
  kDropped,           // With a line in the log; every answer is as before.
  kWrong,             // Must not be.
};

const char* NameOf(Outcome outcome) {
  constexpr const char* kNames[] = {
      "directory refused", "reported", "reported to a repeated request",
      "too new",           "rebuilt",  "unseen",
      "dropped",           "WRONG"};
  return kNames[static_cast<int>(outcome)];
}

// Flips that go through a whole session; the rest goes through OpenRecord.
constexpr size_t kFlipsThroughSessions = 200;
constexpr size_t kEnvelopeBits = 16 * 8;

char KindOf(const std::string& key) { return key[key[0] == 'd' ? 9 : 0]; }

std::string WithBitFlipped(std::string record, size_t bit) {
  record[bit / 8] = static_cast<char>(record[bit / 8] ^ 1 << bit % 8);
  return record;
}

// Sound in every way, but written by a later release.
std::string OfLaterVersion(const std::string& key, std::string record) {
  constexpr uint8_t kVersion = 200;
  record[1] = static_cast<char>(kVersion);
  const uint64_t seed =
      XXH3_64bits(key.data(), key.size()) ^
      (static_cast<uint64_t>(static_cast<uint8_t>(record[2])) << 8 | kVersion);
  const uint64_t checksum =
      XXH3_64bits_withSeed(record.data() + 16, record.size() - 16, seed);
  std::memcpy(record.data() + 8, &checksum, sizeof checksum);
  return record;
}

// A directory with a record of every kind, and what it answers.
class DamageTest : public ::testing::Test {
 protected:
  static constexpr char kRequest[] = "asked once";

  DamageTest() {
    auto text = house_.Create("text", SmallText());
    for (int i = 0; i < 3; ++i) Said(*text, i);
    EXPECT_TRUE(
        text->AppendText(Text("Also stands here."), WithId(kRequest)).ok());
    EXPECT_TRUE(
        house_.memory()
            .Forget({.space = "test", .session = "text"}, ByEntry(2), false)
            .ok());
    testing::Random random(testing::Seed());
    auto rows = house_.Create("rows", TinyProfile());
    Append(*rows, 130, random);
    auto sealed = house_.Create("sealed", TinyProfile());
    Append(*sealed, kSealTokens, random);
    Append(*sealed, kSealTokens + 200, random);
    while (sealed->SealOne().value()) {
    }
    EXPECT_GT(sealed->Counts().checkpoint_seq, 0u);
    for (const char* name : {"text", "rows", "sealed"}) {
      const auto session = house_.Find(name).value();
      uids_[name] = session->branch().uid;
      expected_[name] = Show(*session).value();
      queries_[name] = RandomQuery(session->header().profile, 2, random);
      answers_[name] = session->Attend(queries_[name], Never).value();
    }
    text.reset();
    rows.reset();
    sealed.reset();
    house_.Reopen();  // What the background was to write is written.
    base::MutexLock lock(&house_.disk().mutex);
    sound_ = house_.disk().records;
  }

  static void Said(Session& session, int i) {
    EXPECT_TRUE(Say(session, absl::StrCat("Item ", i, " stands here.")).ok());
  }
  static void Append(Session& session, uint64_t count,
                     testing::Random& random) {
    const Tokens tokens = RandomTokens(session.header().profile, count, random);
    EXPECT_TRUE(session.AppendTokens(tokens.Rows(), {}).ok());
  }
  static Profile SmallText() {
    Profile profile = ProfileByName("text").value();
    profile.compressive->segment_tokens = 8;
    return Complete(profile).value();
  }
  static Profile TinyProfile() {
    Profile profile = SmallProfile();
    profile.layers = 1;
    profile.query_heads = 2;
    profile.kv_heads = 1;
    profile.key_dim = 2;
    profile.value_dim = 2;
    profile.position = {};
    profile.knn->positions = {.policy = PositionPolicy::kNone};
    return Complete(profile).value();
  }

  // The session that `key` belongs to; none: the directory.
  std::string OwnerOf(const std::string& key) const {
    if (const auto name = NameOfHeaderKey(key)) return name->session;
    for (const auto& [name, uid] : uids_) {
      const KeyRange range = AllOf(uid);
      if (key >= range.first && key < range.second) return name;
    }
    return "";
  }

  // What comes of a disk on which `record` lies at `key`; empty: nothing does.
  Outcome OutcomeOf(const std::string& key, const std::string& record) {
    const auto disk = std::make_shared<MapDisk>();
    {
      base::MutexLock lock(&disk->mutex);
      disk->records = sound_;
      disk->records.erase(key);
      if (!record.empty()) disk->records[key] = record;
    }
    FakeClock clock;
    auto memory =
        Memory::Open(std::make_unique<testing::MapStore>(disk), &clock);
    if (!memory.ok()) {
      if (ReasonOf(memory.status()) == "FORMAT_TOO_NEW")
        return Outcome::kTooNew;
      return absl::IsDataLoss(memory.status()) ? Outcome::kDirectoryRefused
                                               : Outcome::kWrong;
    }
    const std::string owner = OwnerOf(key);
    Outcome outcome = Outcome::kUnseen;
    for (const auto& [name, shown] : expected_) {
      if (name == owner) {
        outcome = OutcomeFor(**memory, key, name);
      } else if (!Unharmed(**memory, name)) {
        ADD_FAILURE() << name << " suffers from damage of " << owner;
      }
    }
    // The next session must not take a uid that is in use.
    const SessionName fresh{.space = "test", .session = "fresh"};
    const auto created = (*memory)->Create(fresh, TinyProfile());
    if (!created.ok() || (*created)->Info().tokens != 0) return Outcome::kWrong;
    if (owner.empty() && outcome == Outcome::kUnseen) {
      return KindOf(key) == 'O' ? Outcome::kDropped : Outcome::kRebuilt;
    }
    return outcome;
  }

  bool Unharmed(Memory& memory, const std::string& name) {
    const auto session = memory.Find({.space = "test", .session = name});
    if (!session.ok()) return false;
    const auto shown = Show(**session);
    if (!shown.ok() || !(*shown == expected_[name])) return false;
    const auto answer = (*session)->Attend(queries_[name], Never);
    return answer.ok() &&
           answer->outputs[0].output == answers_[name].outputs[0].output &&
           answer->outputs[0].lse == answers_[name].outputs[0].lse;
  }

  Outcome OutcomeFor(Memory& memory, const std::string& key,
                     const std::string& name) {
    const auto session = memory.Find({.space = "test", .session = name});
    if (!session.ok()) return OfError(key, name, session.status());
    if (!Unharmed(memory, name)) return Outcome::kWrong;
    const char kind = KindOf(key);
    if (kind == 'c' || kind == 'g') return Outcome::kRebuilt;
    if (kind != 'r') return Outcome::kUnseen;
    const auto repeated =
        (*session)->AppendText(Text("Also stands here."), WithId(kRequest));
    if (repeated.ok()) {
      return repeated->replayed ? Outcome::kWrong : Outcome::kUnseen;
    }
    const Outcome outcome = OfError(key, name, repeated.status());
    return outcome == Outcome::kReported ? Outcome::kRequestRefused : outcome;
  }

  static Outcome OfError(const std::string& key, const std::string& name,
                         const absl::Status& status) {
    const base::ErrorDetail detail = base::DetailOf(status);
    if (detail.reason == "FORMAT_TOO_NEW") return Outcome::kTooNew;
    // Without its header there is no session.
    if (absl::IsNotFound(status) && KindOf(key) == 'S') return Outcome::kUnseen;
    const auto named = detail.metadata.find("session");
    if (!absl::IsDataLoss(status) || named == detail.metadata.end() ||
        named->second != "namespaces/test/sessions/" + name) {
      ADD_FAILURE() << status;
      return Outcome::kWrong;
    }
    if (RowsAt(key) && (detail.metadata.count("seq_begin") == 0 ||
                        detail.metadata.count("seq_end") == 0)) {
      ADD_FAILURE() << "without its range: " << status;
      return Outcome::kWrong;
    }
    return Outcome::kReported;
  }

  House house_;
  std::map<std::string, uint64_t> uids_;
  ShownByName expected_;
  std::map<std::string, AttendQuery> queries_;
  std::map<std::string, AttendResult> answers_;
  Records sound_;
};

struct Wanted {
  Outcome damaged;
  Outcome missing;
  Outcome later = Outcome::kTooNew;
};

// Every kind that a directory has: doc/format.md..
const std::map<char, Wanted>& WantedByKind() {
  using enum Outcome;
  static const std::map<char, Wanted> wanted = {
      {'F', {kDirectoryRefused, kDirectoryRefused}},
      {'U', {kDirectoryRefused, kRebuilt}},
      {'O', {kDropped, kDropped}},
      {'S', {kReported, kUnseen}},
      {'h', {kReported, kReported}},
      {'b', {kReported, kReported}},
      {'p', {kReported, kReported}},
      {'t', {kReported, kReported}},
      {'e', {kReported, kReported}},
      {'x', {kReported, kReported}},
      {'r', {kRequestRefused, kUnseen}},
      {'f', {kReported, kReported}},
      {'c', {kRebuilt, kRebuilt, kRebuilt}},
      {'g', {kRebuilt, kRebuilt, kRebuilt}},
  };
  return wanted;
}

TEST_F(DamageTest, OfAnyRecordIsReportedOrRebuiltAndNeverAWrongAnswer) {
  std::map<char, std::pair<std::string, std::string>> samples;
  for (const auto& [key, record] : sound_) {
    ASSERT_TRUE(WantedByKind().contains(KindOf(key))) << KindOf(key);
    auto [it, first] = samples.try_emplace(KindOf(key), key, record);
    // The smallest, so that more of its bits go through a session.
    if (record.size() < it->second.second.size()) it->second = {key, record};
  }
  ASSERT_EQ(samples.size(), WantedByKind().size());
  std::printf("kind  bytes    flips  thereof whole  cuts  swaps  outcome\n");
  for (const auto& [kind, sample] : samples) {
    SCOPED_TRACE(kind);
    const auto& [key, record] = sample;
    const Wanted& wanted = WantedByKind().at(kind);
    const size_t bits = record.size() * 8;
    size_t whole = 0;
    const size_t stride = std::max<size_t>(1, bits / kFlipsThroughSessions);
    for (size_t bit = 0; bit < bits; ++bit) {
      const std::string damaged = WithBitFlipped(record, bit);
      const auto opened =
          OpenRecord(static_cast<RecordKind>(kind), key, damaged);
      ASSERT_TRUE(absl::IsDataLoss(opened.status())) << "bit " << bit;
      if (bit >= kEnvelopeBits && bit % stride != 0) continue;
      ASSERT_EQ(NameOf(OutcomeOf(key, damaged)), NameOf(wanted.damaged))
          << "bit " << bit;
      ++whole;
    }
    for (size_t size = 1; size < record.size(); ++size) {
      const std::string cut = record.substr(0, size);
      const auto opened = OpenRecord(static_cast<RecordKind>(kind), key, cut);
      ASSERT_TRUE(absl::IsDataLoss(opened.status())) << "cut to " << size;
      if (size >= 32 && size % stride != 0) continue;
      ASSERT_EQ(NameOf(OutcomeOf(key, cut)), NameOf(wanted.damaged))
          << "cut to " << size;
    }
    size_t swaps = 0;
    for (const auto& [other_key, other] : sound_) {
      if (other_key == key || swaps == 60) continue;
      ASSERT_EQ(NameOf(OutcomeOf(key, other)), NameOf(wanted.damaged));
      ++swaps;
    }
    ASSERT_EQ(NameOf(OutcomeOf(key, "")), NameOf(wanted.missing)) << "missing";
    ASSERT_EQ(NameOf(OutcomeOf(key, OfLaterVersion(key, record))),
              NameOf(wanted.later))
        << "of a later version";
    std::printf("%4c %6zu %8zu %14zu %5zu %6zu  %s; missing: %s; later: %s\n",
                kind, record.size(), bits, whole, record.size() - 1, swaps,
                NameOf(wanted.damaged), NameOf(wanted.missing),
                NameOf(wanted.later));
  }
}

}  // namespace
}  // namespace mneme::memory
