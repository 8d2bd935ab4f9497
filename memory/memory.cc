#include "memory/memory.h"

#include <chrono>
#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "memory/profile_record.h"
#include "memory/records.h"

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

absl::Status Exists(const SessionName& name) {
  return base::Error(absl::StatusCode::kAlreadyExists,
                     absl::StrCat(name.ToString(), " exists already"),
                     {.reason = "SESSION_EXISTS",
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
    PutRecord(RecordKind::kFormat, key, payload.Take(), batch);
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
  RETURN_IF_ERROR(memory->LoadHeaders());
  memory->DropImports();
  memory->maintenance_ =
      std::thread([raw = memory.get()] { raw->MaintainLoop(); });
  return memory;
}

absl::Status Memory::LoadHeaders() {
  base::MutexLock creating(&creating_);
  const std::string uid_key = UidNextKey();
  const absl::StatusOr<std::string> record = store_->Read(uid_key);
  if (record.ok()) {
    ASSIGN_OR_RETURN(const std::string_view payload,
                     OpenRecord(RecordKind::kUidNext, uid_key, *record));
    base::ByteReader in(payload);
    uid_next_ = in.Number<uint64_t>();
    if (!in.done()) return MalformedRecord(RecordKind::kUidNext, uid_key);
  } else if (!absl::IsNotFound(record.status())) {
    return record.status();
  }
  std::map<Key, std::shared_ptr<Slot>> slots;
  const KeyRange range = AllHeaders();
  RETURN_IF_ERROR(store_->Scan(
      range.first, range.second,
      [&](std::string_view key, std::string_view bytes) {
        const auto name = NameOfHeaderKey(key);
        if (!name) return true;
        auto slot = std::make_shared<Slot>();
        absl::StatusOr<Session::Header> header = DecodeHeader(key, bytes);
        if (header.ok()) {
          slot->header = *std::move(header);
        } else {
          // The others are not affected.
          slot->header.name = *name;
          slot->damage = base::Annotate(header.status(), name->ToString());
        }
        slots.emplace(Key{name->space, name->session}, std::move(slot));
        return true;
      }));
  base::MutexLock lock(&mutex_);
  slots_ = std::move(slots);
  return absl::OkStatus();
}

void Memory::DropImports() {
  const KeyRange markers = AllImports();
  WriteBatch batch;
  std::vector<KeyRange> left;
  absl::Status dropped =
      store_->Scan(markers.first, markers.second,
                   [&](std::string_view key, std::string_view) {
                     if (const auto uid = UidOfImportKey(key)) {
                       left.push_back(AllOf(*uid));
                       batch.DeleteRange(left.back().first, left.back().second);
                     }
                     batch.Delete(std::string(key));
                     return true;
                   });
  if (dropped.ok() && !batch.operations.empty()) {
    dropped = store_->Write(batch, /*sync=*/true);
  }
  if (!dropped.ok()) {  // The next opening tries again.
    base::Log(base::LogLevel::kWarning, "imports_left",
              {{"error", std::string(dropped.message())}});
    return;
  }
  base::MutexLock lock(&queue_mutex_);
  deleted_.insert(deleted_.end(), left.begin(), left.end());
}

Memory::~Memory() {
  {
    base::MutexLock lock(&queue_mutex_);
    stopping_ = true;
  }
  queue_wake_.NotifyAll();
  if (maintenance_.joinable()) maintenance_.join();
}

uint64_t Memory::TakeUid(WriteBatch& batch) {
  const uint64_t uid = uid_next_++;
  base::ByteWriter uid_next;
  uid_next.Number(uid_next_);
  PutRecord(RecordKind::kUidNext, UidNextKey(), uid_next.Take(), batch);
  return uid;
}

absl::StatusOr<std::shared_ptr<Session>> Memory::Create(const SessionName& name,
                                                        Profile profile) {
  ASSIGN_OR_RETURN(profile, Complete(std::move(profile)));
  Session::Header header{
      .name = name,
      .profile = std::move(profile),
      .create_time_us = std::chrono::duration_cast<std::chrono::microseconds>(
                            clock_->Now().time_since_epoch())
                            .count()};
  {
    base::MutexLock creating(&creating_);
    WriteBatch batch;
    header.uid = TakeUid(batch);
    RETURN_IF_ERROR(Add(std::move(header), std::move(batch)));
  }
  return Find(name);
}

absl::Status Memory::Add(Session::Header header, WriteBatch batch) {
  const SessionName name = header.name;
  auto slot = std::make_shared<Slot>();
  slot->header = std::move(header);
  base::MutexLock opening(&slot->opening);  // Who finds it waits for the disk.
  {
    base::MutexLock lock(&mutex_);
    if (!slots_.emplace(Key{name.space, name.session}, slot).second) {
      return Exists(name);
    }
  }
  PutRecord(RecordKind::kHeader, HeaderKey(name), EncodeHeader(slot->header),
            batch);
  const absl::Status written = store_->Write(batch, /*sync=*/true);
  if (!written.ok()) {
    slot->deleted = true;
    base::MutexLock lock(&mutex_);
    slots_.erase(Key{name.space, name.session});
  }
  return written;
}

absl::StatusOr<std::unique_ptr<SessionImport>> Memory::StartImport(
    const SessionName& name, Manifest manifest) {
  ASSIGN_OR_RETURN(manifest.profile, Complete(std::move(manifest.profile)));
  RETURN_IF_ERROR(CheckManifest(manifest));
  {
    base::MutexLock lock(&mutex_);
    if (slots_.contains(Key{name.space, name.session})) return Exists(name);
  }
  WriteBatch batch;
  Session::Header header{.name = name,
                         .profile = manifest.profile,
                         .create_time_us = manifest.create_time_us};
  {
    base::MutexLock creating(&creating_);
    header.uid = TakeUid(batch);
    const std::string key = ImportKey(header.uid);
    PutRecord(RecordKind::kImport, key, {}, batch);
    RETURN_IF_ERROR(store_->Write(batch, /*sync=*/true));
  }
  return SessionImport::Start(store_.get(), std::move(header), manifest);
}

absl::StatusOr<std::shared_ptr<Session>> Memory::FinishImport(
    SessionImport& import) {
  {
    base::MutexLock creating(&creating_);
    RETURN_IF_ERROR(Add(import.header(), import.TakeLast()));
  }
  import.Finished();
  return Find(import.header().name);
}

absl::StatusOr<std::shared_ptr<Memory::Slot>> Memory::FindSlot(
    const SessionName& name) const {
  base::MutexLock lock(&mutex_);
  const auto it = slots_.find(Key{name.space, name.session});
  if (it == slots_.end()) return NotFound(name);
  if (!it->second->damage.ok()) return it->second->damage;
  return it->second;
}

absl::StatusOr<std::shared_ptr<Session>> Memory::OpenIn(Slot& slot) {
  if (slot.deleted) return NotFound(slot.header.name);
  if (!slot.session) {
    ASSIGN_OR_RETURN(slot.session,
                     Session::Open(store_.get(), clock_, slot.header));
    ++open_count_;
    Changed(slot.session);  // It may have runs that were never sealed.
  }
  return slot.session;
}

absl::StatusOr<std::shared_ptr<Session>> Memory::Find(const SessionName& name) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Slot> slot, FindSlot(name));
  base::MutexLock lock(&slot->opening);
  return OpenIn(*slot);
}

absl::StatusOr<Memory::Description> Memory::Describe(const SessionName& name) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Slot> slot, FindSlot(name));
  base::MutexLock lock(&slot->opening);
  if (slot->deleted) return NotFound(name);
  Description description{.profile = slot->header.profile, .info = {}};
  if (slot->session) {
    description.info = slot->session->Info();
    return description;
  }
  ASSIGN_OR_RETURN(description.info, Session::ReadInfo(*store_, slot->header));
  return description;
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
  const KeyRange records = AllOf(slot->header.uid);
  {
    base::MutexLock lock(&slot->opening);
    if (slot->deleted) return NotFound(name);
    // From here on no append is acknowledged.
    if (slot->session) slot->session->Close();
    WriteBatch batch;
    batch.Delete(HeaderKey(name));
    // A header that cannot be read does not say which records are its own.
    if (slot->damage.ok()) batch.DeleteRange(records.first, records.second);
    absl::Status written = store_->Write(batch, /*sync=*/true);
    if (slot->session) --open_count_;
    slot->session.reset();
    if (!written.ok()) return written;  // Nothing was deleted: open it again.
    slot->deleted = true;
  }
  {
    base::MutexLock lock(&mutex_);
    slots_.erase(key);
  }
  {
    base::MutexLock lock(&queue_mutex_);
    deleted_.push_back(records);
  }
  queue_wake_.NotifyOne();
  return absl::OkStatus();
}

void Memory::Changed(const std::shared_ptr<Session>& session) {
  {
    base::MutexLock lock(&queue_mutex_);
    for (const std::weak_ptr<Session>& queued : changed_) {
      if (queued.lock() == session) return;
    }
    changed_.push_back(session);
  }
  queue_wake_.NotifyOne();
}

void Memory::MaintainLoop() {
  for (;;) {
    std::shared_ptr<Session> session;
    std::vector<KeyRange> deleted;
    {
      base::MutexLock lock(&queue_mutex_);
      while (!stopping_ && changed_.empty() && deleted_.empty()) {
        queue_wake_.Wait(&queue_mutex_);
      }
      if (stopping_) return;
      deleted.swap(deleted_);
      if (!changed_.empty()) {
        session = changed_.front().lock();
        changed_.erase(changed_.begin());
      }
    }
    for (const KeyRange& records : deleted) {
      const absl::Status compacted =
          store_->Compact(records.first, records.second);
      if (!compacted.ok()) {
        base::Log(base::LogLevel::kWarning, "compaction_failed",
                  {{"error", std::string(compacted.message())}});
      }
    }
    if (session && Maintain(*session)) Changed(session);
  }
}

bool Memory::Maintain(Session& session) {
  // A failure here leaves a session slower or larger, never wrong.
  absl::Status status;
  bool more = false;
  try {
    status = session.CompactForgotten();
    if (status.ok()) {
      const absl::StatusOr<bool> sealed =
          session.SealOne([this] { return stopping_.load(); });
      status = sealed.status();
      more = sealed.ok() && *sealed;
    }
  } catch (const std::exception& failure) {
    status = absl::InternalError(failure.what());
  }
  if (!status.ok() && !absl::IsCancelled(status)) {
    base::Log(base::LogLevel::kWarning, "maintenance_failed",
              {{"session", session.header().name.ToString()},
               {"error", std::string(status.message())}});
  }
  return more;
}

Memory::Counts Memory::Count() const {
  Counts counts;
  {
    base::MutexLock lock(&mutex_);
    counts.sessions = slots_.size();
  }
  counts.open_sessions = open_count_;
  counts.disk_bytes = store_->ApproximateBytes();
  return counts;
}

}  // namespace mneme::memory
