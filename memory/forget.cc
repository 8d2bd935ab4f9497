#include "memory/forget.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string_view>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "memory/head.h"
#include "memory/intake.h"
#include "memory/keys.h"
#include "memory/recall.h"
#include "memory/records.h"
#include "memory/row_records.h"

namespace mneme::memory {
namespace {

// Of an entry's text, and of its keys or those of a block.
constexpr size_t kTextProbesMax = 4;
constexpr size_t kRowProbesMax = 2;
// Of a deleted session: how many of its entries and blocks are sampled, and how
// many probes are kept.
constexpr uint64_t kEntriesSampled = 128;
constexpr uint64_t kBlocksSampled = 32;
constexpr size_t kDeletedProbesMax = 1024;

SeqRange RangeOf(const Entry& entry) {
  return {entry.seq_first, entry.seq_first + entry.seq_count};
}

// Each kind of target: what is wrong with it, its words, what it picks.
absl::Status Check(EntryNumber) { return absl::OkStatus(); }
absl::Status Check(SeqRange range) {
  if (!range.empty()) return absl::OkStatus();
  return base::InvalidField(
      "seq_range", absl::StrCat("[", range.begin, ", ", range.end, ")"),
      "a begin below its end");
}
absl::Status Check(const TimeRange& range) {
  if (range.begin_us < range.end_us) return absl::OkStatus();
  return base::InvalidField("time_range", "a begin that is not before its end",
                            "a begin before the end");
}
absl::Status Check(const RecallFilter& filter) {
  if (filter.source.empty() && filter.role.empty() && filter.metadata.empty()) {
    return base::InvalidField("filter", "nothing",
                              "a source, a role or metadata");
  }
  return CheckSource(filter.source);
}

std::string WordsOf(EntryNumber entry) {
  return absl::StrCat("entry ", entry.number);
}
std::string WordsOf(SeqRange range) {
  return absl::StrCat("token in seqs ", range.begin, " to ", range.end);
}
std::string WordsOf(const TimeRange&) { return "entry of that time"; }
std::string WordsOf(const RecallFilter& filter) {
  if (filter.source.empty()) return "entry that matches the filter";
  return absl::StrCat("entry of source ", base::Quoted(filter.source));
}

// Text that is too short for a probe has them with what lies beside it.
std::vector<Probe> ProbesOfEntry(const Entry& entry) {
  return ProbesOf(
      entry.text.size() >= kProbeBytes ? entry.text : EncodeEntry(entry),
      kTextProbesMax);
}

// Calls `visit` with up to `most` numbers spread over [begin, end).
template <typename Visit>
void ForSomeOf(uint64_t begin, uint64_t end, uint64_t most, Visit visit) {
  const uint64_t size = end > begin ? end - begin : 0;
  const uint64_t count = std::min(size, most);
  for (uint64_t i = 0; i < count; ++i) visit(begin + i * size / count);
}

// Nothing for a record that is missing or not sound. A scan, since that leaves
// the store's cache to those who go on.
std::string PayloadAt(const StoreView& store, RecordKind kind,
                      const std::string& key) {
  std::string payload;
  (void)store.Scan(key, key + '\0',
                   [&](std::string_view at, std::string_view record) {
                     payload = OpenRecord(kind, at, record).value_or("");
                     return false;
                   });
  return payload;
}

bool Picks(EntryNumber target, const Entry& entry) {
  return entry.number == target.number;
}
bool Picks(SeqRange range, const Entry& entry) {
  return !Intersect(range, RangeOf(entry)).empty();
}
bool Picks(const TimeRange& range, const Entry& entry) {
  return entry.time_us >= range.begin_us && entry.time_us < range.end_us;
}
bool Picks(const RecallFilter& filter, const Entry& entry) {
  return Matches(filter, entry);
}

}  // namespace

absl::StatusOr<Gone> ChooseGone(const LogView& view, const ForgetTarget& target,
                                const std::string& session) {
  RETURN_IF_ERROR(
      std::visit([](const auto& kind) { return Check(kind); }, target));
  Gone gone;
  if (view.text) {
    for (size_t i = 0; i < view.text->entry_count; ++i) {
      const auto& entry = (*view.text->entries)[i];
      if (std::visit([&](const auto& kind) { return Picks(kind, *entry); },
                     target)) {
        gone.entries.push_back(entry);
        gone.seqs.Add(RangeOf(*entry));
      }
    }
  } else if (const auto* range = std::get_if<SeqRange>(&target)) {
    view.forgotten->ForEachGap(Intersect(*range, {0, view.seq_next}),
                               [&](SeqRange live) { gone.seqs.Add(live); });
  }
  gone.tokens = gone.seqs.CountIn({0, view.seq_next});
  if (gone.tokens > 0) return gone;
  return base::Error(
      absl::StatusCode::kNotFound,
      absl::StrCat(
          session, " has no ",
          std::visit([](const auto& kind) { return WordsOf(kind); }, target)),
      {.reason = "ENTRY_NOT_FOUND"});
}

std::vector<ForgottenRun> RunsOf(const LogView& view, const Gone& gone) {
  std::vector<ForgottenRun> runs;
  const auto take = [&](const std::vector<Probe>& probes) {
    runs.back().probes.insert(runs.back().probes.end(), probes.begin(),
                              probes.end());
  };
  const size_t key_bytes = view.profile->key_bytes();
  auto entry = gone.entries.begin();
  gone.seqs.ForEachRun({0, view.seq_next}, [&](SeqRange run) {
    runs.push_back({.seqs = run, .probes = {}});
    for (; entry != gone.entries.end() && (*entry)->seq_first < run.end;
         ++entry) {
      take(ProbesOfEntry(**entry));
    }
    ForEachSlice(*view.rows, run, [&](const BlockSlice& slice) {
      take(ProbesOf({reinterpret_cast<const char*>(slice.block->keys(0) +
                                                   slice.first * key_bytes),
                     slice.count * key_bytes},
                    kRowProbesMax));
      return true;
    });
  });
  return runs;
}

ForgottenRun RunOfAll(const StoreView& store, const SessionRecord& session) {
  const Branch& branch = session.branch;
  ForgottenRun all;
  const auto head = ReadHead(store, branch.uid, /*create_time_us=*/0);
  if (!head.ok()) return all;
  all.seqs = {0, head->seq_next};
  const auto take = [&](const std::vector<Probe>& probes) {
    all.probes.insert(all.probes.end(), probes.begin(), probes.end());
  };
  ForSomeOf(1, head->entry_next, kEntriesSampled, [&](uint64_t number) {
    Entry entry;
    const std::string payload = PayloadAt(
        store, RecordKind::kEntry, EntryKey(branch.UidOfEntry(number), number));
    if (DecodeEntry(payload, entry)) take(ProbesOfEntry(entry));
  });
  const Profile& profile = session.header.profile;
  for (const Branch::Part& part : branch.Parts(head->seq_next)) {
    ForSomeOf(part.seqs.begin / kBlockTokens, part.seqs.end / kBlockTokens,
              kBlocksSampled, [&](uint64_t block) {
                take(ProbesOf(PayloadAt(store, RecordKind::kRows,
                                        RowsKey(part.uid, block, 0)),
                              kRowProbesMax));
              });
  }
  // The log's last tokens, if they do not fill a block.
  const KeyRange tails = AllOf(branch.uid, RecordKind::kTail);
  (void)ScanRecords(
      store, tails, RecordKind::kTail,
      [&](std::string_view, std::string_view payload) {
        take(ProbesOf(KeysOfTail(profile, payload), kRowProbesMax));
        return true;
      });
  (void)ScanForgotten(store, branch.uid,
                      [&](const ForgottenRun& run) { take(run.probes); });
  all.probes.resize(std::min(all.probes.size(), kDeletedProbesMax));
  return all;
}

}  // namespace mneme::memory
