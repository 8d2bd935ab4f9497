#include "memory/header.h"

#include <xxhash.h>

#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/status_macros.h"
#include "memory/profile_record.h"
#include "memory/records.h"

namespace mneme::memory {
namespace {

void PutBranch(const Branch& branch, base::ByteWriter& out) {
  out.Number(branch.uid);
  out.Number(static_cast<uint32_t>(branch.trunks.size()));
  for (const Trunk& trunk : branch.trunks) {
    out.Number(trunk.uid);
    out.Number(trunk.seq_end);
    out.Number(trunk.entry_end);
  }
}

// False when the trunks are not in order.
bool ReadBranch(base::ByteReader& in, Branch& branch) {
  branch.uid = in.Number<uint64_t>();
  const auto trunks = in.Number<uint32_t>();
  for (uint32_t i = 0; i < trunks && in.ok(); ++i) {
    const uint64_t seq_begin = branch.seq_begin();
    Trunk& trunk = branch.trunks.emplace_back();
    trunk.uid = in.Number<uint64_t>();
    trunk.seq_end = in.Number<uint64_t>();
    trunk.entry_end = in.Number<uint64_t>();
    if (trunk.seq_end <= seq_begin) return false;
  }
  return in.ok();
}

}  // namespace

uint64_t SessionHeader::Identity() const {
  base::ByteWriter out;
  out.Text(name.ToString());
  out.Number(create_time_us);
  const std::string bytes = out.Take();
  return XXH3_64bits(bytes.data(), bytes.size());
}

void PutSession(const SessionRecord& session, WriteBatch& batch) {
  base::ByteWriter out;
  out.Number(session.header.create_time_us);
  out.Number(session.ttl_us);
  out.Text(session.header.name.ToString());
  out.Text(EncodeProfile(session.header.profile));
  PutBranch(session.branch, out);
  PutRecord(RecordKind::kHeader, HeaderKey(session.header.name), out.Take(),
            batch);
}

absl::StatusOr<SessionRecord> DecodeSession(std::string_view key,
                                            std::string_view record) {
  ASSIGN_OR_RETURN(const std::string_view payload,
                   OpenRecord(RecordKind::kHeader, key, record));
  base::ByteReader in(payload);
  SessionRecord session;
  session.header.create_time_us = in.Number<int64_t>();
  session.ttl_us = in.Number<int64_t>();
  const auto name = SessionName::Parse(in.Text());
  const std::string_view profile = in.Text();
  bool sound = true;
  if (in.done()) {  // Of format 1: uid and time of creation, no branch.
    session.branch.uid = static_cast<uint64_t>(session.header.create_time_us);
    session.header.create_time_us = std::exchange(session.ttl_us, 0);
  } else {
    sound = ReadBranch(in, session.branch);
  }
  if (!sound || !in.done() || !name.ok() || key != HeaderKey(*name) ||
      session.ttl_us < 0) {
    return MalformedRecord(RecordKind::kHeader, key);
  }
  session.header.name = *name;
  ASSIGN_OR_RETURN(session.header.profile, DecodeProfile(profile));
  return session;
}

}  // namespace mneme::memory
