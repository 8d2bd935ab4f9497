#include "memory/checkup.h"

#include <string_view>

#include "absl/strings/str_cat.h"
#include "memory/keys.h"
#include "memory/record.h"
#include "memory/rows.h"

namespace mneme::memory {
namespace {

// What the record holds, and where in the log.
std::string WordsOf(const RecordPlace& place) {
  const uint64_t number = place.number;
  switch (place.kind) {
    case RecordKind::kRows:
    case RecordKind::kPositions: {
      const uint64_t first = number * kBlockTokens;
      return absl::StrCat(
          place.kind == RecordKind::kRows ? "keys and values" : "positions",
          " of tokens ", first, " to ", first + kBlockTokens - 1);
    }
    case RecordKind::kTail:
      return absl::StrCat("keys and values of tokens from ", number);
    case RecordKind::kEntry:
      return absl::StrCat("entry ", number);
    case RecordKind::kLexical:
      return absl::StrCat("the words of entry ", number);
    case RecordKind::kForgotten:
      return absl::StrCat("what was forgotten from token ", number);
    case RecordKind::kSegment:
      return absl::StrCat("the index of tokens from ", number);
    case RecordKind::kCheckpoint:
      return "compressive state";
    case RecordKind::kRequest:
      return "a request id";
    case RecordKind::kHead:
      return "where its log ends";
    default:
      return "a record of the directory";
  }
}

}  // namespace

absl::StatusOr<Checkup> CheckRecords(const StoreView& store,
                                     const Cancelled& cancelled) {
  Checkup checkup;
  const KeyRange range = Everything();
  checkup.store =
      store.Scan(range.first, range.second,
                 [&](std::string_view key, std::string_view record) {
                   ++checkup.records;
                   const auto place = PlaceOfKey(key);
                   if (!place)
                     return !cancelled();  // Memory reads those as it opens.
                   const auto payload = OpenRecord(place->kind, key, record);
                   if (payload.ok()) return !cancelled();
                   SessionDamage& damage = checkup.damaged[place->uid];
                   if (damage.records++ == 0) {
                     damage.first = WordsOf(*place);
                     damage.why = std::string(payload.status().message());
                   }
                   return !cancelled();
                 });
  if (cancelled()) return absl::CancelledError("the caller is gone");
  return checkup;
}

}  // namespace mneme::memory
