#include "memory/remnants.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "memory/files.h"
#include "memory/forgotten.h"
#include "memory/header.h"
#include "memory/keys.h"
#include "memory/row_records.h"
#include "memory/seq_set.h"
#include "memory/text_index.h"
#include "memory/trunks.h"

namespace mneme::memory {
namespace {

namespace fs = std::filesystem;

// A store that is written all the time has always new files; those of writes
// after the search began cannot hold what was forgotten before.
constexpr int kPassesMax = 4;

// Closing any descriptor of it gives up the store's lock on the directory (man
// 2 fcntl), and two processes that write destroy it. It is empty.
constexpr const char* kLockFile = "LOCK";

// Records of what is remembered. Forgotten bytes in any other, as an index, are
// remnants.
bool IsMemory(RecordKind kind) {
  return kind == RecordKind::kRows || kind == RecordKind::kTail ||
         kind == RecordKind::kEntry;
}

absl::Status CancelledStatus() {
  return absl::CancelledError("the caller is gone");
}

// What all sessions together remember, by the uid of the records, trunks and
// own ones. Sessions whose record is damaged remember nothing.
absl::StatusOr<std::map<uint64_t, Remembered>> ReadRemembered(
    const StoreView& store) {
  std::map<uint64_t, Remembered> all;
  absl::Status status;
  const KeyRange headers = AllHeaders();
  const auto add = [&](std::string_view key, std::string_view record) {
    const auto session = DecodeSession(key, record);
    if (!session.ok()) return true;
    SeqSet forgotten;
    status = LoadForgotten(store, session->branch.uid, forgotten);
    const auto remember = [&](uint64_t uid, uint64_t seq_end) {
      Remembered& under = all[uid];
      under.profile = session->header.profile;
      under.seq_end = std::max(under.seq_end, seq_end);
      forgotten.ForEachGap({0, seq_end},
                           [&](SeqRange live) { under.seqs.Add(live); });
    };
    remember(session->branch.uid, std::numeric_limits<uint64_t>::max());
    for (const Trunk& trunk : session->branch.trunks) {
      remember(trunk.uid, trunk.seq_end);
    }
    return status.ok();
  };
  RETURN_IF_ERROR(store.Scan(headers.first, headers.second, add));
  RETURN_IF_ERROR(status);
  return all;
}

// The bytes of the record that are remembered.
std::string RememberedIn(const RecordPlace& place, std::string_view key,
                         std::string_view record, const Remembered& under) {
  const auto opened = OpenRecord(place.kind, key, record);
  if (!opened.ok()) return "";
  std::string payload(*opened);
  if (place.kind == RecordKind::kEntry) {
    Entry entry;
    const bool known =
        DecodeEntry(payload, entry) && under.seqs.Contains(entry.seq_first);
    return known ? payload : "";
  }
  ClearForgotten(place.kind, place.number, under.profile, under.seqs, payload);
  return payload;
}

class Search {
 public:
  Search(const std::string& directory,
         const std::vector<ForgottenSamples>& samples,
         const std::vector<Probe>& still_remembered, const Cancelled& cancelled)
      : directory_(directory),
        cancelled_(cancelled),
        probes_(ProbesOfAll(samples, still_remembered, owners_)) {}

  absl::StatusOr<RemnantSearch> Run() {
    for (int pass = 0; pass < kPassesMax; ++pass) {
      ASSIGN_OR_RETURN(const std::vector<fs::path> files, NewFiles());
      if (files.empty()) break;
      for (const fs::path& file : files) RETURN_IF_ERROR(Read(file));
    }
    return std::move(result_);
  }

 private:
  using Owners = std::map<Probe, const ForgottenSamples*>;

  static ProbeSet ProbesOfAll(const std::vector<ForgottenSamples>& samples,
                              const std::vector<Probe>& still_remembered,
                              Owners& owners) {
    const std::set<Probe> remembered(still_remembered.begin(),
                                     still_remembered.end());
    std::vector<Probe> probes;
    for (const ForgottenSamples& sample : samples) {
      for (const Probe probe : sample.probes) {
        if (remembered.contains(probe)) continue;
        probes.push_back(probe);
        owners.emplace(probe, &sample);
      }
    }
    return ProbeSet(std::move(probes));
  }

  // Regular files that were not read yet.
  absl::StatusOr<std::vector<fs::path>> NewFiles() {
    std::vector<fs::path> files;
    std::error_code error;
    if (!fs::exists(directory_, error) && !error) return files;
    for (fs::recursive_directory_iterator it(directory_, error), end;
         !error && it != end; it.increment(error)) {
      std::error_code gone;
      if (it->path().filename() == kLockFile) continue;
      if (it->is_regular_file(gone) && seen_.insert(it->path()).second) {
        files.push_back(it->path());
      }
    }
    if (!error || error == std::errc::no_such_file_or_directory) return files;
    return base::Error(
        absl::StatusCode::kPermissionDenied,
        absl::StrCat("cannot search ", directory_, ": ", error.message()),
        {.reason = "FILE_DENIED"});
  }

  absl::Status Read(const fs::path& file) {
    uint64_t end = 0;
    const absl::Status status =
        StreamFile(file.string(), kProbeBytes - 1,
                   [&](std::string_view piece, uint64_t offset) {
                     probes_.Find(piece, [&](Probe probe, size_t at) {
                       Report(file, probe, offset + at);
                     });
                     end = offset + piece.size();
                     return !cancelled_();
                   });
    if (cancelled_()) return CancelledStatus();
    if (absl::IsNotFound(status)) return absl::OkStatus();
    RETURN_IF_ERROR(status);
    ++result_.files;
    result_.bytes += end;
    return absl::OkStatus();
  }

  void Report(const fs::path& file, Probe probe, uint64_t offset) {
    ++result_.found;
    if (result_.remnants.size() == kRemnantsMax) return;
    const ForgottenSamples& owner = *owners_.at(probe);
    result_.remnants.push_back(
        {.uid = owner.uid,
         .seq_begin = owner.seq_begin,
         .file = file.lexically_relative(directory_).string(),
         .offset = offset});
  }

  const std::string directory_;
  const Cancelled& cancelled_;
  Owners owners_;  // Filled while probes_ is made.
  const ProbeSet probes_;
  std::set<fs::path> seen_;
  RemnantSearch result_;
};

}  // namespace

absl::StatusOr<std::vector<ForgottenSamples>> ReadForgotten(
    const StoreView& store) {
  std::vector<ForgottenSamples> all;
  absl::Status malformed;
  const auto read = [&](uint64_t uid, RecordKind kind, std::string_view key,
                        std::string_view record) {
    const auto payload = OpenRecord(kind, key, record);
    if (!payload.ok()) {
      malformed = payload.status();
      return false;
    }
    ForgottenRun run;
    if (!DecodeForgotten(*payload, run)) malformed = MalformedRecord(kind, key);
    all.push_back({.uid = uid,
                   .seq_begin = run.seqs.begin,
                   .probes = std::move(run.probes)});
    return malformed.ok();
  };
  const KeyRange range = Everything();
  RETURN_IF_ERROR(
      store.Scan(range.first, range.second,
                 [&](std::string_view key, std::string_view record) {
                   const auto place = PlaceOfKey(key);
                   if (!place || place->kind != RecordKind::kForgotten)
                     return true;
                   return read(place->uid, place->kind, key, record);
                 }));
  const KeyRange deleted = AllDeleted();
  RETURN_IF_ERROR(store.Scan(
      deleted.first, deleted.second,
      [&](std::string_view key, std::string_view record) {
        return malformed.ok() && read(0, RecordKind::kDeleted, key, record);
      }));
  RETURN_IF_ERROR(malformed);
  return all;
}

absl::StatusOr<std::vector<Probe>> StillRemembered(
    const StoreView& store, const std::vector<Probe>& probes,
    const Cancelled& cancelled) {
  ASSIGN_OR_RETURN(const auto remembered_under, ReadRemembered(store));
  const ProbeSet set(probes);
  std::set<Probe> remembered;
  const KeyRange range = Everything();
  RETURN_IF_ERROR(store.Scan(
      range.first, range.second,
      [&](std::string_view key, std::string_view record) {
        if (cancelled()) return false;
        const auto place = PlaceOfKey(key);
        if (!place || !IsMemory(place->kind)) return true;
        const auto under = remembered_under.find(place->uid);
        if (under == remembered_under.end()) return true;
        set.Find(RememberedIn(*place, key, record, under->second),
                 [&](Probe probe, size_t) { remembered.insert(probe); });
        return true;
      }));
  if (cancelled()) return CancelledStatus();
  return std::vector<Probe>(remembered.begin(), remembered.end());
}

absl::StatusOr<RemnantSearch> SearchRemnants(
    const std::string& directory, const std::vector<ForgottenSamples>& samples,
    const std::vector<Probe>& still_remembered, const Cancelled& cancelled) {
  return Search(directory, samples, still_remembered, cancelled).Run();
}

}  // namespace mneme::memory
