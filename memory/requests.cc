#include "memory/requests.h"

#include <limits>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "memory/records.h"

namespace mneme::memory {

std::optional<SeqRange> AppendedBy(std::string_view payload) {
  base::ByteReader in(payload);
  in.Number<uint64_t>();  // Fingerprint.
  in.Number<int64_t>();   // Time.
  const auto begin = in.Number<uint64_t>();
  const auto end = in.Number<uint64_t>();
  if (!in.ok()) return std::nullopt;
  return SeqRange{begin, end};
}

std::string Requests::Encode(const Remembered& remembered) {
  base::ByteWriter out;
  out.Number(remembered.fingerprint);
  out.Number(remembered.time_us);
  out.Number(remembered.result.seq_first);
  out.Number(remembered.result.seq_next);
  out.Number(remembered.result.position_next);
  out.Number(remembered.result.entry.value_or(0));  // Entries start at 1.
  out.Number(remembered.result.passages);
  return out.Take();
}

bool Requests::Decode(std::string_view payload, Remembered& remembered) {
  base::ByteReader in(payload);
  remembered.fingerprint = in.Number<uint64_t>();
  remembered.time_us = in.Number<int64_t>();
  remembered.result.seq_first = in.Number<uint64_t>();
  remembered.result.seq_next = in.Number<uint64_t>();
  remembered.result.position_next = in.Number<int64_t>();
  const auto entry = in.Number<uint64_t>();
  if (entry != 0) remembered.result.entry = entry;
  remembered.result.passages = in.Number<uint32_t>();
  return in.done();
}

absl::StatusOr<std::optional<Requests::Remembered>> Requests::Read(
    uint64_t uid, const std::string& request_id) const {
  const std::string key = RequestKey(uid, request_id);
  const absl::StatusOr<std::string> record = store_->Read(key);
  if (absl::IsNotFound(record.status())) return std::nullopt;
  RETURN_IF_ERROR(record.status());
  ASSIGN_OR_RETURN(const std::string_view payload,
                   OpenRecord(RecordKind::kRequest, key, *record));
  Remembered remembered;
  if (!Decode(payload, remembered)) {
    return MalformedRecord(RecordKind::kRequest, key);
  }
  return remembered;
}

absl::StatusOr<std::optional<AppendResult>> Requests::Find(
    const std::string& request_id, uint64_t fingerprint,
    const SeqSet& forgotten) const {
  if (request_id.empty()) return std::nullopt;
  if (request_id.size() > kRequestIdBytesMax) {
    return base::InvalidField("request_id",
                              absl::StrCat(request_id.size(), " bytes"),
                              absl::StrCat("at most ", kRequestIdBytesMax));
  }
  for (const Branch::Part& part :
       branch_.Parts(std::numeric_limits<uint64_t>::max())) {
    ASSIGN_OR_RETURN(auto remembered, Read(part.uid, request_id));
    // A trunk may have gone on behind what is read of it.
    if (!remembered || remembered->result.seq_next > part.seqs.end ||
        Covers(forgotten, *remembered)) {
      continue;
    }
    if (remembered->fingerprint != fingerprint) {
      return base::Error(
          absl::StatusCode::kFailedPrecondition,
          absl::StrCat("request_id ", base::Quoted(request_id),
                       " came before with another payload; expected the same "
                       "one, or a new id"),
          {.reason = "REQUEST_ID_REUSED", .field = "request_id"});
    }
    remembered->result.replayed = true;
    return remembered->result;
  }
  return std::nullopt;
}

bool Requests::Covers(const SeqSet& forgotten, const Remembered& remembered) {
  const SeqRange appended{remembered.result.seq_first,
                          remembered.result.seq_next};
  return forgotten.CountIn(appended) == appended.size();
}

void Requests::Put(const std::string& request_id, uint64_t fingerprint,
                   int64_t time_us, const AppendResult& result,
                   WriteBatch& batch) const {
  if (request_id.empty()) return;
  PutRecord(
      RecordKind::kRequest, RequestKey(branch_.uid, request_id),
      Encode(
          {.fingerprint = fingerprint, .time_us = time_us, .result = result}),
      batch);
}

absl::Status Requests::DropIf(
    const std::function<bool(const Remembered&)>& chosen,
    WriteBatch& batch) const {
  return ScanRecords(*store_, AllOf(branch_.uid, RecordKind::kRequest),
                     RecordKind::kRequest,
                     [&](std::string_view key, std::string_view payload) {
                       Remembered remembered;
                       if (!Decode(payload, remembered)) return false;
                       if (chosen(remembered)) batch.Delete(std::string(key));
                       return true;
                     });
}

absl::Status Requests::DropForgotten(const SeqSet& forgotten,
                                     WriteBatch& batch) const {
  return DropIf(
      [&](const Remembered& remembered) {
        return Covers(forgotten, remembered);
      },
      batch);
}

absl::Status Requests::DropOlder(int64_t time_us, WriteBatch& batch) const {
  return DropIf(
      [&](const Remembered& remembered) {
        return !remembered.result.entry && remembered.time_us < time_us;
      },
      batch);
}

}  // namespace mneme::memory
