#include "memory/memory.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "memory/keys.h"
#include "memory/record.h"

namespace mneme::memory {
namespace {

// Version of the whole directory; a later release may not be read by this one.
constexpr uint32_t kFormatVersion = 1;

std::string EncodeHeader(const Session::Header& header) {
  base::ByteWriter out;
  out.Number(header.uid);
  out.Number(header.create_time_us);
  out.Text(header.name.ToString());
  out.Text(EncodeProfile(header.profile));
  return out.Take();
}

absl::StatusOr<Session::Header> DecodeHeader(std::string_view key,
                                             std::string_view record) {
  ASSIGN_OR_RETURN(const std::string_view payload,
                   OpenRecord(RecordKind::kHeader, key, record));
  base::ByteReader in(payload);
  Session::Header header;
  header.uid = in.Number<uint64_t>();
  header.create_time_us = in.Number<int64_t>();
  const auto name = SessionName::Parse(in.Text());
  const std::string_view profile = in.Text();
  if (!in.done() || !name.ok() || key != HeaderKey(*name)) {
    return MalformedRecord(RecordKind::kHeader, key);
  }
  header.name = *name;
  ASSIGN_OR_RETURN(header.profile, DecodeProfile(profile));
  return header;
}

absl::Status NotFound(const SessionName& name) {
  return base::Error(
      absl::StatusCode::kNotFound,
      absl::StrCat("no session ", name.ToString(), "; create it first"),
      {.reason = "SESSION_NOT_FOUND",
       .field = "session",
       .metadata = {{"session", name.ToString()}}});
}

// Writes the format's version into a new directory, or checks it.
absl::Status CheckFormat(Store& store) {
  const std::string key = FormatKey();
  const absl::StatusOr<std::string> record = store.Read(key);
  if (absl::IsNotFound(record.status())) {
    base::ByteWriter payload;
    payload.Number(kFormatVersion);
    WriteBatch batch;
    batch.Put(key, SealRecord(RecordKind::kFormat, key, payload.Take()));
    return store.Write(batch, /*sync=*/true);
  }
  RETURN_IF_ERROR(record.status());
  ASSIGN_OR_RETURN(const std::string_view payload,
                   OpenRecord(RecordKind::kFormat, key, *record));
  base::ByteReader in(payload);
  const auto version = in.Number<uint32_t>();
  if (!in.done()) return MalformedRecord(RecordKind::kFormat, key);
  if (version <= kFormatVersion) return absl::OkStatus();
  return base::Error(
      absl::StatusCode::kFailedPrecondition,
      absl::StrCat("the data directory has format ", version,
                   "; this release reads up to ", kFormatVersion),
      {.reason = "FORMAT_TOO_NEW"});
}

}  // namespace

Memory::Memory(std::unique_ptr<Store> store, const base::Clock* clock)
    : store_(std::move(store)), clock_(clock) {}

absl::StatusOr<std::unique_ptr<Memory>> Memory::Open(
    std::unique_ptr<Store> store, const base::Clock* clock) {
  RETURN_IF_ERROR(CheckFormat(*store));
  std::unique_ptr<Memory> memory(new Memory(std::move(store), clock));
  absl::Status sound;
  {
    base::MutexLock lock(&memory->mutex_);
    auto& slots = memory->slots_;
    auto& uid_next = memory->uid_next_;
    const KeyRange range = AllHeaders();
    RETURN_IF_ERROR(memory->store_->Scan(
        range.first, range.second,
        [&](std::string_view key, std::string_view record) {
          absl::StatusOr<Session::Header> header = DecodeHeader(key, record);
          if (!header.ok()) {
            sound = header.status();
            return false;
          }
          uid_next = std::max(uid_next, header->uid + 1);
          auto slot = std::make_shared<Slot>();
          slot->header = *std::move(header);
          const SessionName& name = slot->header.name;
          slots.emplace(Key{name.space, name.session}, std::move(slot));
          return true;
        }));
  }
  RETURN_IF_ERROR(sound);
  memory->seal_thread_ = std::thread([raw = memory.get()] { raw->SealLoop(); });
  return memory;
}

Memory::~Memory() {
  {
    base::MutexLock lock(&seal_mutex_);
    stopping_ = true;
  }
  seal_wake_.NotifyAll();
  if (seal_thread_.joinable()) seal_thread_.join();
}

absl::StatusOr<std::shared_ptr<Session>> Memory::Create(const SessionName& name,
                                                        Profile profile) {
  ASSIGN_OR_RETURN(profile, Complete(std::move(profile)));
  auto slot = std::make_shared<Slot>();
  {
    // Held over the write: two creations of one name must not both succeed.
    base::MutexLock lock(&mutex_);
    if (slots_.contains(Key{name.space, name.session})) {
      return base::Error(absl::StatusCode::kAlreadyExists,
                         absl::StrCat(name.ToString(), " exists already"),
                         {.reason = "SESSION_EXISTS",
                          .field = "session",
                          .metadata = {{"session", name.ToString()}}});
    }
    slot->header = {
        .uid = uid_next_,
        .name = name,
        .profile = std::move(profile),
        .create_time_us = std::chrono::duration_cast<std::chrono::microseconds>(
                              clock_->Now().time_since_epoch())
                              .count()};
    const std::string key = HeaderKey(name);
    WriteBatch batch;
    // A session of this uid may have been deleted after the last opening.
    const KeyRange stale = AllOf(uid_next_);
    batch.DeleteRange(stale.first, stale.second);
    batch.Put(key,
              SealRecord(RecordKind::kHeader, key, EncodeHeader(slot->header)));
    RETURN_IF_ERROR(store_->Write(batch, /*sync=*/true));
    ++uid_next_;
    slots_.emplace(Key{name.space, name.session}, slot);
  }
  return Find(name);
}

absl::StatusOr<std::shared_ptr<Session>> Memory::Find(const SessionName& name) {
  std::shared_ptr<Slot> slot;
  {
    base::MutexLock lock(&mutex_);
    const auto it = slots_.find(Key{name.space, name.session});
    if (it == slots_.end()) return NotFound(name);
    slot = it->second;
  }
  base::MutexLock lock(&slot->opening);
  if (!slot->session) {
    ASSIGN_OR_RETURN(slot->session,
                     Session::Open(store_.get(), clock_, slot->header));
    Grew(slot->session);  // It may have runs that were never sealed.
  }
  return slot->session;
}

std::vector<SessionName> Memory::List(const std::string& space,
                                      const std::string& after,
                                      size_t limit) const {
  base::MutexLock lock(&mutex_);
  std::vector<SessionName> names;
  for (auto it = slots_.upper_bound(Key{space, after});
       it != slots_.end() && it->first.first == space && names.size() < limit;
       ++it) {
    names.push_back(it->second->header.name);
  }
  return names;
}

absl::Status Memory::Delete(const SessionName& name) {
  const Key key{name.space, name.session};
  std::shared_ptr<Slot> slot;
  {
    base::MutexLock lock(&mutex_);
    const auto it = slots_.find(key);
    if (it == slots_.end()) return NotFound(name);
    slot = it->second;
  }
  {
    base::MutexLock lock(&slot->opening);
    // From here on no append is acknowledged.
    if (slot->session) slot->session->Close();
    const KeyRange records = AllOf(slot->header.uid);
    WriteBatch batch;
    batch.Delete(HeaderKey(name));
    batch.DeleteRange(records.first, records.second);
    const absl::Status written = store_->Write(batch, /*sync=*/true);
    if (!written.ok()) {
      slot->session.reset();  // Nothing was deleted: open it again.
      return written;
    }
  }
  base::MutexLock lock(&mutex_);
  const auto it = slots_.find(key);
  if (it != slots_.end() && it->second == slot) slots_.erase(it);
  return absl::OkStatus();
}

void Memory::Grew(const std::shared_ptr<Session>& session) {
  {
    base::MutexLock lock(&seal_mutex_);
    for (const std::weak_ptr<Session>& queued : seal_queue_) {
      if (queued.lock() == session) return;
    }
    seal_queue_.push_back(session);
  }
  seal_wake_.NotifyOne();
}

void Memory::SealLoop() {
  for (;;) {
    std::shared_ptr<Session> session;
    {
      base::MutexLock lock(&seal_mutex_);
      while (!stopping_ && seal_queue_.empty()) seal_wake_.Wait(&seal_mutex_);
      if (stopping_) return;
      session = seal_queue_.front().lock();
      seal_queue_.erase(seal_queue_.begin());
    }
    if (!session) continue;
    const absl::StatusOr<bool> more = session->SealOne();
    if (!more.ok()) {
      // The run stays hot: slower, not wrong.
      base::Log(base::LogLevel::kWarning, "seal_failed",
                {{"session", session->header().name.ToString()},
                 {"error", std::string(more.status().message())}});
    } else if (*more) {
      Grew(session);
    }
  }
}

Memory::Counts Memory::Count() const {
  Counts counts;
  std::vector<std::shared_ptr<Slot>> slots;
  {
    base::MutexLock lock(&mutex_);
    for (const auto& [key, slot] : slots_) slots.push_back(slot);
  }
  counts.sessions = slots.size();
  for (const auto& slot : slots) {
    base::MutexLock lock(&slot->opening);
    if (slot->session) ++counts.open_sessions;
  }
  counts.disk_bytes = store_->ApproximateBytes();
  return counts;
}

}  // namespace mneme::memory
