#include "memory/head.h"

#include <string>

#include "base/bytes.h"
#include "base/status_macros.h"
#include "memory/keys.h"
#include "memory/records.h"

namespace mneme::memory {
namespace {

bool DecodeHead(std::string_view payload, Head& head) {
  base::ByteReader in(payload);
  head.seq_next = in.Number<uint64_t>();
  head.position_next = in.Number<int64_t>();
  head.committed_seq = in.Number<uint64_t>();
  head.entry_next = in.Number<uint64_t>();
  head.update_time_us = in.Number<int64_t>();
  head.tokens = in.Number<uint64_t>();
  head.entries = in.Number<uint64_t>();
  if (in.ok() && in.left() > 0) head.entry_bytes = in.Number<uint64_t>();
  return in.done() && head.committed_seq <= head.seq_next;
}

}  // namespace

void PutHead(uint64_t uid, const Head& head, WriteBatch& batch) {
  base::ByteWriter out;
  out.Number(head.seq_next);
  out.Number(head.position_next);
  out.Number(head.committed_seq);
  out.Number(head.entry_next);
  out.Number(head.update_time_us);
  out.Number(head.tokens);
  out.Number(head.entries);
  out.Number(head.entry_bytes);
  PutRecord(RecordKind::kHead, HeadKey(uid), out.Take(), batch);
}

absl::StatusOr<Head> ReadHead(const StoreView& store, uint64_t uid,
                              int64_t create_time_us) {
  Head head;
  const std::string key = HeadKey(uid);
  const absl::StatusOr<std::string> record = store.Read(key);
  if (absl::IsNotFound(record.status())) {
    head.update_time_us = create_time_us;
    return head;
  }
  RETURN_IF_ERROR(record.status());
  ASSIGN_OR_RETURN(const std::string_view payload,
                   OpenRecord(RecordKind::kHead, key, *record));
  if (!DecodeHead(payload, head)) {
    return MalformedRecord(RecordKind::kHead, key);
  }
  return head;
}

}  // namespace mneme::memory
