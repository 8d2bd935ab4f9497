#include "service/diagnosis.h"

#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "memory/checkup.h"
#include "memory/remnants.h"

namespace mneme::service {
namespace {

using Severity = v1::Finding::Severity;
constexpr Severity kOk = v1::Finding::SEVERITY_OK;
constexpr Severity kWarning = v1::Finding::SEVERITY_WARNING;
constexpr Severity kError = v1::Finding::SEVERITY_ERROR;

// A compaction may need as much as its largest files once more; below the
// second, appends fail soon.
constexpr uint64_t kDiskBytesLow = uint64_t{2} << 30;
constexpr uint64_t kDiskBytesOut = uint64_t{200} << 20;
// The store keeps 256 files open, each connection is one more.
constexpr uint64_t kFilesLow = 1024;
// Clocks of machines in one room differ by less.
constexpr int64_t kAheadUs = int64_t{60} * 1'000'000;

v1::Finding Found(Severity severity, std::string subject, std::string detail,
                  std::string advice = "") {
  v1::Finding finding;
  finding.set_severity(severity);
  finding.set_subject(std::move(subject));
  finding.set_detail(std::move(detail));
  finding.set_advice(std::move(advice));
  return finding;
}

std::string Megabytes(uint64_t bytes) {
  return absl::StrFormat("%.1f MB", static_cast<double>(bytes) / 1e6);
}

class Doctor {
 public:
  Doctor(const Patient& patient, const memory::Cancelled& cancelled)
      : patient_(patient), cancelled_(cancelled) {}

  absl::StatusOr<v1::DiagnoseResponse> Run() {
    const auto frozen = patient_.memory->store().Freeze();
    ASSIGN_OR_RETURN(const memory::Checkup checkup,
                     memory::CheckRecords(*frozen, cancelled_));
    LookAtStore(checkup);
    LookAtSessions(checkup);
    LookAtOperations();
    LookAtClock();
    LookAtDisk();
    rlimit files{};
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
      findings_.push_back(FindingOfFiles(files.rlim_cur));
    }
    LookAtSnapshots(memory::ReadForgotten(*frozen));
    LookAtAccess();
    std::stable_sort(findings_.begin(), findings_.end(),
                     [](const v1::Finding& a, const v1::Finding& b) {
                       return a.severity() > b.severity();
                     });
    v1::DiagnoseResponse response;
    response.mutable_findings()->Assign(findings_.begin(), findings_.end());
    return response;
  }

 private:
  void Add(Severity severity, std::string subject, std::string detail,
           std::string advice = "") {
    findings_.push_back(Found(severity, std::move(subject), std::move(detail),
                              std::move(advice)));
  }

  void LookAtStore(const memory::Checkup& checkup) {
    const absl::Status health = patient_.memory->store().Health();
    if (!health.ok()) {
      Add(kError, "store", std::string(health.message()),
          "see that the disk has room and is sound, then restart the server: "
          "it goes on with everything that was acknowledged");
    }
    if (!checkup.store.ok()) {
      Add(kError, "store",
          absl::StrCat("after ", checkup.records, " sound records: ",
                       std::string(checkup.store.message())),
          "restore the latest snapshot into a new directory (`mneme restore`); "
          "sessions that `mneme verify` finds clean can still be read here");
    }
    if (health.ok() && checkup.store.ok()) {
      Add(kOk, "store",
          absl::StrCat(checkup.records, " records, every checksum right, ",
                       Megabytes(patient_.memory->store().ApproximateBytes()),
                       " on disk"));
    }
  }

  void LookAtSessions(const memory::Checkup& checkup) {
    const char kAdvice[] =
        "restore a snapshot into another directory and take the session from "
        "there, or delete it; what is sound can be read until then";
    const std::map<uint64_t, memory::SessionName> names =
        patient_.memory->NamesByUid();
    for (const auto& [uid, damage] : checkup.damaged) {
      const auto name = names.find(uid);
      Add(kError, "sessions",
          absl::StrCat(name == names.end()
                           ? absl::StrCat("records of no known session, ", uid)
                           : name->second.ToString(),
                       ": ", damage.first, " cannot be read (", damage.why, ")",
                       damage.records == 1
                           ? ""
                           : absl::StrCat(", and ", damage.records - 1,
                                          " more records")),
          kAdvice);
    }
    const std::vector<absl::Status> damages = patient_.memory->Damages();
    for (const absl::Status& damage : damages) {
      Add(kError, "sessions", std::string(damage.message()), kAdvice);
    }
    if (checkup.damaged.empty() && damages.empty()) {
      const memory::Memory::Counts counts = patient_.memory->Count();
      Add(kOk, "sessions",
          absl::StrCat(counts.sessions, " sessions, ", counts.open_sessions,
                       " open"));
    }
  }

  void LookAtOperations() {
    const uint64_t pending = patient_.memory->Count().pending_operations;
    if (pending == 0) {
      Add(kOk, "operations", "every forget and deletion is done");
      return;
    }
    Add(kWarning, "operations",
        absl::StrCat(pending,
                     " forgets or deletions have yet to leave the disk"),
        "wait; if that stays so, the server's log says why");
  }

  void LookAtClock() {
    const int64_t now_us = base::MicrosOf(patient_.now);
    uint64_t ahead = 0;
    std::string first;
    for (const auto& [uid, name] : patient_.memory->NamesByUid()) {
      const auto described = patient_.memory->Describe(name);
      if (!described.ok() ||
          described->info.update_time_us <= now_us + kAheadUs) {
        continue;
      }
      if (ahead++ == 0) {
        first = absl::StrCat(
            name.ToString(), " was changed at ",
            absl::FormatTime(
                "%Y-%m-%d %H:%M:%S UTC",
                absl::FromUnixMicros(described->info.update_time_us),
                absl::UTCTimeZone()));
      }
    }
    if (ahead == 0) {
      Add(kOk, "clock", "no session was changed in the future");
      return;
    }
    Add(kWarning, "clock",
        absl::StrCat(
            "the clock went back: ", first, ", which is yet to come",
            ahead == 1 ? "" : absl::StrCat(", and ", ahead - 1, " more")),
        "set the machine's clock; filters by time are wrong for what was "
        "appended meanwhile");
  }

  void LookAtDisk() {
    if (patient_.data_dir.empty()) return;
    std::error_code error;
    const auto space = std::filesystem::space(patient_.data_dir, error);
    if (error) {
      Add(kError, "disk",
          absl::StrCat("cannot look at ", patient_.data_dir, ": ",
                       error.message()),
          "see that the directory is still there and mounted");
      return;
    }
    findings_.push_back(FindingOfDisk(space.available, space.capacity));
  }

  void LookAtSnapshots(
      const absl::StatusOr<std::vector<memory::ForgottenSamples>>& forgotten) {
    if (!patient_.snapshots.ok()) {
      Add(kWarning, "snapshots",
          std::string(patient_.snapshots.status().message()),
          "make the directory readable for the server's user");
      return;
    }
    const std::vector<memory::Snapshot>& snapshots = *patient_.snapshots;
    if (snapshots.empty()) {
      Add(kOk, "snapshots", "none");
      return;
    }
    const std::string count = absl::StrCat(
        snapshots.size(), snapshots.size() == 1 ? " snapshot" : " snapshots");
    if (!forgotten.ok() || forgotten->empty()) {
      Add(kOk, "snapshots", count);
      return;
    }
    Add(kWarning, "snapshots",
        absl::StrCat(count,
                     "; something was forgotten, and a snapshot made "
                     "before that still holds it"),
        "`mneme verify --forgotten` says which; `mneme snapshot delete` them");
  }

  void LookAtAccess() {
    if (!patient_.open_to_all) {
      Add(kOk, "access", "not open to other machines without credentials");
      return;
    }
    Add(kWarning, "access",
        "other machines reach this server, and it asks nobody for credentials",
        "listen on 127.0.0.1 or a unix socket, or put something that asks in "
        "front of it");
  }

  const Patient& patient_;
  const memory::Cancelled& cancelled_;
  std::vector<v1::Finding> findings_;
};

}  // namespace

v1::Finding FindingOfDisk(uint64_t free_bytes, uint64_t bytes) {
  const std::string detail = absl::StrCat(Megabytes(free_bytes), " of ",
                                          Megabytes(bytes), " are free");
  // Once a write has failed the store takes no more, not even a compaction.
  const std::string advice =
      "delete snapshots, or move the data to a larger disk";
  if (free_bytes < kDiskBytesOut) return Found(kError, "disk", detail, advice);
  if (free_bytes < kDiskBytesLow) {
    return Found(
        kWarning, "disk", detail,
        absl::StrCat(advice, "; `mneme compact` frees what was deleted"));
  }
  return Found(kOk, "disk", detail);
}

v1::Finding FindingOfFiles(uint64_t files_max) {
  const std::string detail =
      absl::StrCat("this process may open ", files_max, " files");
  if (files_max >= kFilesLow) return Found(kOk, "files", detail);
  return Found(kWarning, "files", detail,
               absl::StrCat("allow ", kFilesLow,
                            " or more: `ulimit -n`, LimitNOFILE in systemd"));
}

absl::StatusOr<v1::DiagnoseResponse> Diagnose(
    const Patient& patient, const memory::Cancelled& cancelled) {
  return Doctor(patient, cancelled).Run();
}

}  // namespace mneme::service
