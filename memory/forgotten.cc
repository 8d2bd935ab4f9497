#include "memory/forgotten.h"

#include <string_view>

#include "base/bytes.h"
#include "memory/records.h"

namespace mneme::memory {

namespace {

std::string Encode(const ForgottenRun& run) {
  base::ByteWriter payload;
  payload.Number(run.seqs.begin);
  payload.Number(run.seqs.end);
  for (const Probe probe : run.probes) payload.Number(probe);
  return payload.Take();
}

}  // namespace

bool DecodeForgotten(std::string_view payload, ForgottenRun& run) {
  base::ByteReader in(payload);
  run.seqs.begin = in.Number<uint64_t>();
  run.seqs.end = in.Number<uint64_t>();
  while (in.ok() && in.left() > 0) run.probes.push_back(in.Number<Probe>());
  return in.done() && !run.seqs.empty();
}

void PutForgotten(uint64_t uid, const ForgottenRun& run, WriteBatch& batch) {
  PutRecord(RecordKind::kForgotten, ForgottenKey(uid, run.seqs.begin),
            Encode(run), batch);
}

void PutDeleted(std::string_view space, std::string_view operation,
                const ForgottenRun& run, WriteBatch& batch) {
  PutRecord(RecordKind::kDeleted, DeletedKey(space, operation), Encode(run),
            batch);
}

absl::Status ScanForgotten(
    const StoreView& store, uint64_t uid,
    const std::function<void(const ForgottenRun&)>& visit) {
  return ScanRecords(store, AllOf(uid, RecordKind::kForgotten),
                     RecordKind::kForgotten,
                     [&](std::string_view key, std::string_view payload) {
                       ForgottenRun run;
                       if (!DecodeForgotten(payload, run) ||
                           key != ForgottenKey(uid, run.seqs.begin)) {
                         return false;
                       }
                       visit(run);
                       return true;
                     });
}

absl::Status LoadForgotten(const StoreView& store, uint64_t uid,
                           SeqSet& forgotten) {
  return ScanForgotten(
      store, uid, [&](const ForgottenRun& run) { forgotten.Add(run.seqs); });
}

}  // namespace mneme::memory
