#include "memory/memory.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <exception>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "memory/forget.h"
#include "memory/forgotten.h"
#include "memory/records.h"

namespace mneme::memory {
namespace {

// Version of the whole directory; a later release may not be read by this one.
// 2: sessions share their logs.
constexpr uint32_t kFormatVersion = 2;

// How often idle and expired sessions are looked for.
constexpr std::chrono::seconds kTick{1};

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

absl::Status CheckEmpty(const Store& store) {
  bool empty = true;
  RETURN_IF_ERROR(
      store.Scan("", "\xFF", [&](std::string_view, std::string_view) {
        empty = false;
        return false;
      }));
  if (empty) return absl::OkStatus();
  return MissingRecord(RecordKind::kFormat, FormatKey());
}

absl::Status WriteFormat(Store& store) {
  base::ByteWriter payload;
  payload.Number(kFormatVersion);
  WriteBatch batch;
  PutRecord(RecordKind::kFormat, FormatKey(), payload.Take(), batch);
  return store.Write(batch, /*sync=*/true);
}

// Writes the format's version into a new directory, or one of an earlier
// release, or checks it.
absl::Status CheckFormat(Store& store) {
  const std::string key = FormatKey();
  const absl::StatusOr<std::string> record = store.Read(key);
  if (absl::IsNotFound(record.status())) {
    RETURN_IF_ERROR(CheckEmpty(store));
    return WriteFormat(store);
  }
  RETURN_IF_ERROR(record.status());
  ASSIGN_OR_RETURN(const std::string_view payload,
                   OpenRecord(RecordKind::kFormat, key, *record));
  base::ByteReader in(payload);
  const auto version = in.Number<uint32_t>();
  if (!in.done()) return MalformedRecord(RecordKind::kFormat, key);
  if (version == kFormatVersion) return absl::OkStatus();
  if (version < kFormatVersion) return WriteFormat(store);
  return base::Error(
      absl::StatusCode::kFailedPrecondition,
      absl::StrCat("the data directory has format ", version,
                   "; this release reads up to ", kFormatVersion),
      {.reason = "FORMAT_TOO_NEW"});
}

void DeleteAllOf(uint64_t uid, WriteBatch& batch) {
  const KeyRange records = AllOf(uid);
  batch.DeleteRange(records.first, records.second);
}

}  // namespace

Memory::Memory(std::unique_ptr<Store> store, const base::Clock* clock,
               MemoryOptions options)
    : store_(std::move(store)),
      clock_(clock),
      options_(options),
      operations_(store_.get(), clock),
      cleaner_(
          store_.get(), &operations_, clock,
          {.clean =
               [this](const SessionName& name) { return CleanSession(name); },
           .remembered_of = [this](uint64_t uid) { return RememberedOf(uid); }},
          [this] { return stopping_.load(); }),
      last_tick_(clock->Ticks()) {}

absl::StatusOr<std::unique_ptr<Memory>> Memory::Open(
    std::unique_ptr<Store> store, const base::Clock* clock,
    MemoryOptions options) {
  RETURN_IF_ERROR(CheckFormat(*store));
  std::unique_ptr<Memory> memory(new Memory(std::move(store), clock, options));
  RETURN_IF_ERROR(memory->LoadSessions());
  RETURN_IF_ERROR(memory->operations_.Load());
  memory->SkipUidsOfOperations();
  memory->DropImports();
  memory->background_ = std::make_unique<Background>(
      [raw = memory.get()] { return raw->Work(); }, kTick);
  return memory;
}

absl::Status Memory::LoadSessions() {
  base::MutexLock structure(&structure_);
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
  uint64_t uid_last = 0;
  std::map<std::string, int64_t> last_create_us;
  Trunks trunks;
  const KeyRange range = AllHeaders();
  RETURN_IF_ERROR(store_->Scan(
      range.first, range.second,
      [&](std::string_view key, std::string_view bytes) {
        const auto name = NameOfHeaderKey(key);
        if (!name) return true;
        auto slot = std::make_shared<Slot>();
        slot->name = *name;
        absl::StatusOr<SessionRecord> session = DecodeSession(key, bytes);
        if (session.ok()) {
          int64_t& last = last_create_us[name->space];
          last = std::max(last, session->header.create_time_us);
          trunks.AddReader(*session);
          for (const uint64_t uid : session->branch.Uids()) {
            uid_last = std::max(uid_last, uid);
          }
          base::MutexLock opening(&slot->opening);
          slot->record = *std::move(session);
        } else {
          // The others are not affected.
          slot->damage = base::WithFacts(
              base::Annotate(session.status(), name->ToString()),
              {{"session", name->ToString()}});
        }
        slots.emplace(Key{name->space, name->session}, std::move(slot));
        return true;
      }));
  // Also should the record of the next uid be lost, none is used twice.
  uid_next_ = std::max(uid_next_, uid_last + 1);
  last_create_us_ = std::move(last_create_us);
  trunks_ = std::move(trunks);
  base::MutexLock lock(&mutex_);
  slots_ = std::move(slots);
  return absl::OkStatus();
}

// What they are to erase must not become a session's.
void Memory::SkipUidsOfOperations() {
  base::MutexLock structure(&structure_);
  for (const Operation& operation : operations_.Pending()) {
    for (const uint64_t uid : operation.uids) {
      uid_next_ = std::max(uid_next_, uid + 1);
    }
  }
}

Memory::~Memory() {
  stopping_ = true;
  store_->Interrupt();
  background_.reset();
}

std::vector<std::shared_ptr<Memory::Slot>> Memory::Slots() const {
  base::MutexLock lock(&mutex_);
  std::vector<std::shared_ptr<Slot>> slots;
  slots.reserve(slots_.size());
  for (const auto& entry : slots_) slots.push_back(entry.second);
  return slots;
}

absl::Status Memory::Reserve(const std::shared_ptr<Slot>& slot) {
  base::MutexLock lock(&mutex_);
  const SessionName& name = slot->name;
  if (slots_.emplace(Key{name.space, name.session}, slot).second) {
    return absl::OkStatus();
  }
  return Exists(name);
}

void Memory::Release(const SessionName& name) {
  base::MutexLock lock(&mutex_);
  slots_.erase(Key{name.space, name.session});
}

int64_t Memory::CreateTime(const std::string& space) {
  int64_t& last = last_create_us_[space];
  last = std::max(last + 1, base::MicrosNow(*clock_));
  return last;
}

void Memory::DropImports() {
  const KeyRange markers = AllImports();
  Operation operation =
      operations_.New(/*space=*/"", Operation::Kind::kDeleteSession);
  WriteBatch batch;
  absl::Status dropped =
      store_->Scan(markers.first, markers.second,
                   [&](std::string_view key, std::string_view) {
                     if (const auto uid = UidOfImportKey(key)) {
                       operation.uids.push_back(*uid);
                       DeleteAllOf(*uid, batch);
                     }
                     batch.Delete(std::string(key));
                     return true;
                   });
  if (dropped.ok() && !batch.operations.empty()) {
    Operations::Put(operation, batch);
    dropped = store_->Write(batch, /*sync=*/true);
    if (dropped.ok()) operations_.Add(std::move(operation));
  }
  if (dropped.ok()) return;
  // The next opening tries again.
  base::Log(base::LogLevel::kWarning, "imports_left",
            {{"error", std::string(dropped.message())}});
}

uint64_t Memory::TakeUid(WriteBatch& batch) {
  const uint64_t uid = uid_next_++;
  base::ByteWriter out;
  out.Number(uid_next_);
  PutRecord(RecordKind::kUidNext, UidNextKey(), out.Take(), batch);
  return uid;
}

absl::StatusOr<std::shared_ptr<Session>> Memory::Create(const SessionName& name,
                                                        Profile profile,
                                                        int64_t ttl_us) {
  ASSIGN_OR_RETURN(profile, Complete(std::move(profile)));
  {
    base::MutexLock structure(&structure_);
    WriteBatch batch;
    const uint64_t uid = TakeUid(batch);
    RETURN_IF_ERROR(Add({.header = {.name = name,
                                    .profile = std::move(profile),
                                    .create_time_us = CreateTime(name.space)},
                         .ttl_us = ttl_us,
                         .branch = {.uid = uid, .trunks = {}}},
                        std::move(batch)));
  }
  return Find(name);
}

absl::Status Memory::Add(SessionRecord record, WriteBatch batch) {
  auto slot = std::make_shared<Slot>();
  slot->name = record.header.name;
  base::MutexLock opening(&slot->opening);  // Who finds it waits for the disk.
  RETURN_IF_ERROR(Reserve(slot));
  PutSession(record, batch);
  absl::Status written = store_->Write(batch, /*sync=*/true);
  if (written.ok()) {
    slot->record = std::move(record);
  } else {
    slot->deleted = true;
    Release(slot->name);
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
  SessionRecord record{.header = {.name = name, .profile = manifest.profile},
                       .ttl_us = manifest.ttl_us};
  {
    base::MutexLock structure(&structure_);
    WriteBatch batch;
    record.branch.uid = TakeUid(batch);
    PutRecord(RecordKind::kImport, ImportKey(record.branch.uid), {}, batch);
    RETURN_IF_ERROR(store_->Write(batch, /*sync=*/true));
  }
  return SessionImport::Start(store_.get(), std::move(record), manifest);
}

absl::StatusOr<std::shared_ptr<Session>> Memory::FinishImport(
    SessionImport& import) {
  {
    base::MutexLock structure(&structure_);
    // Two sessions of one name and creation would be one to clients that keep
    // their states; and a ttl counts from here.
    SessionRecord record = import.record();
    record.header.create_time_us = CreateTime(record.header.name.space);
    WriteBatch last = import.TakeLast(record.header.create_time_us);
    RETURN_IF_ERROR(Add(std::move(record), std::move(last)));
  }
  import.Finished();
  return Find(import.record().header.name);
}

absl::Status Memory::Fork(const SessionName& name, const SessionName& fork,
                          std::optional<uint64_t> at_seq,
                          std::optional<int64_t> ttl_us) {
  // Nobody else waits while it is opened.
  RETURN_IF_ERROR(Find(name).status());
  base::MutexLock structure(&structure_);
  ASSIGN_OR_RETURN(const std::shared_ptr<Slot> parent, FindSlot(name));
  auto slot = std::make_shared<Slot>();
  slot->name = fork;
  base::MutexLock opening(&slot->opening);
  RETURN_IF_ERROR(Reserve(slot));
  slot->deleted = true;  // Until it exists.
  absl::Cleanup release = [&] { Release(fork); };
  base::MutexLock parent_opening(&parent->opening);
  ASSIGN_OR_RETURN(const std::shared_ptr<Session> session, OpenIn(*parent));
  SessionRecord self = parent->record;
  WriteBatch batch;
  const uint64_t own_uid = TakeUid(batch);
  slot->record = {.header = {.name = fork,
                             .profile = self.header.profile,
                             .create_time_us = CreateTime(name.space)},
                  .ttl_us = ttl_us.value_or(self.ttl_us),
                  .branch = {.uid = TakeUid(batch), .trunks = {}}};
  RETURN_IF_ERROR(
      session->Fork(at_seq, own_uid, self, slot->record, std::move(batch)));
  trunks_.AddReader(self);
  trunks_.AddReader(slot->record);
  if (self.branch.uid != parent->record.branch.uid) {
    trunks_.RemoveReader(parent->record.branch);
  }
  parent->record = std::move(self);
  slot->deleted = false;
  std::move(release).Cancel();
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<Memory::Slot>> Memory::FindSlot(
    const SessionName& name) const {
  base::MutexLock lock(&mutex_);
  const auto it = slots_.find(Key{name.space, name.session});
  if (it == slots_.end()) return NotFound(name);
  if (!it->second->damage.ok()) return it->second->damage;
  return it->second;
}

absl::StatusOr<SessionInfo> Memory::InfoIn(const Slot& slot) const {
  SessionInfo info;
  if (slot.session) {
    info = slot.session->Info();
  } else {
    auto read = Session::ReadInfo(*store_, slot.record);
    if (!read.ok()) return base::Annotate(read.status(), slot.name.ToString());
    info = *read;
  }
  info.ttl_us = slot.record.ttl_us;
  return info;
}

absl::StatusOr<bool> Memory::ExpiredIn(Slot& slot) const {
  if (slot.record.ttl_us == 0) return false;
  if (slot.session || !slot.update_time_us) {
    ASSIGN_OR_RETURN(const SessionInfo info, InfoIn(slot));
    slot.update_time_us = info.update_time_us;
  }
  return base::MicrosNow(*clock_) - *slot.update_time_us >= slot.record.ttl_us;
}

absl::StatusOr<std::shared_ptr<Session>> Memory::OpenIn(Slot& slot) {
  if (slot.deleted) return NotFound(slot.name);
  ASSIGN_OR_RETURN(const bool expired, ExpiredIn(slot));
  if (expired) return NotFound(slot.name);
  slot.last_use = clock_->Ticks();
  if (!slot.session) {
    ASSIGN_OR_RETURN(slot.session, Session::Open(store_.get(), clock_, &shared_,
                                                 slot.record));
    ++open_count_;
    Changed(slot.session);  // It may have runs that were never sealed.
  }
  return slot.session;
}

void Memory::CloseIn(Slot& slot) {
  if (!slot.session) return;
  slot.update_time_us.reset();
  slot.session.reset();
  --open_count_;
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
  ASSIGN_OR_RETURN(const bool expired, ExpiredIn(*slot));
  if (expired) return NotFound(name);
  Description description{.profile = slot->record.header.profile, .info = {}};
  ASSIGN_OR_RETURN(description.info, InfoIn(*slot));
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
    names.push_back(it->second->name);
  }
  return names;
}

absl::Status Memory::SetTtl(const SessionName& name, int64_t ttl_us) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Slot> slot, FindSlot(name));
  base::MutexLock structure(&structure_);
  base::MutexLock lock(&slot->opening);
  if (slot->deleted) return NotFound(name);
  ASSIGN_OR_RETURN(const bool expired, ExpiredIn(*slot));
  if (expired) return NotFound(name);
  SessionRecord record = slot->record;
  record.ttl_us = ttl_us;
  WriteBatch batch;
  PutSession(record, batch);
  RETURN_IF_ERROR(store_->Write(batch, /*sync=*/true));
  slot->record = std::move(record);
  return absl::OkStatus();
}

absl::StatusOr<Memory::Forgotten> Memory::Forget(const SessionName& name,
                                                 const ForgetTarget& target,
                                                 bool dry_run) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Session> session, Find(name));
  Operation operation = operations_.New(name.space, Operation::Kind::kForget);
  operation.session = name.session;
  operation.uids = session->branch().Uids();
  WriteBatch batch;
  Operations::Put(operation, batch);
  Forgotten forgotten;
  ASSIGN_OR_RETURN(forgotten.result,
                   session->Forget(target, dry_run, std::move(batch)));
  if (dry_run) return forgotten;
  forgotten.operation = operation.ToString();
  operations_.Add(std::move(operation));
  background_->Wake();
  return forgotten;
}

absl::StatusOr<std::string> Memory::Delete(const SessionName& name) {
  return DeleteSlot(name, /*only_expired=*/false);
}

absl::StatusOr<std::string> Memory::DeleteSlot(const SessionName& name,
                                               bool only_expired) {
  base::MutexLock structure(&structure_);
  std::shared_ptr<Slot> slot;
  {
    base::MutexLock lock(&mutex_);
    const auto it = slots_.find(Key{name.space, name.session});
    if (it == slots_.end()) return NotFound(name);
    slot = it->second;
  }
  Operation operation =
      operations_.New(name.space, Operation::Kind::kDeleteSession);
  {
    base::MutexLock lock(&slot->opening);
    if (slot->deleted) return NotFound(name);
    // From here on no append is acknowledged.
    if (slot->session) slot->session->Close();
    if (only_expired) {
      const absl::StatusOr<bool> expired = ExpiredIn(*slot);
      if (!expired.ok() || !*expired) {
        CloseIn(*slot);
        return NotFound(name);
      }
    }
    const Branch& branch = slot->record.branch;
    WriteBatch batch;
    batch.Delete(HeaderKey(name));
    // A record that cannot be read does not say what belongs to it.
    if (slot->damage.ok()) {
      operation.uids = branch.Uids();
      const ForgottenRun all = RunOfAll(*store_, slot->record);
      if (!all.probes.empty()) {
        PutDeleted(operation.space, operation.id, all, batch);
      }
      DeleteAllOf(branch.uid, batch);
      for (const uint64_t uid : trunks_.ReadOnlyBy(branch)) {
        DeleteAllOf(uid, batch);
      }
    }
    Operations::Put(operation, batch);
    absl::Status written = store_->Write(batch, /*sync=*/true);
    CloseIn(*slot);
    if (!written.ok()) return written;  // Nothing was deleted: open it again.
    slot->deleted = true;
    trunks_.RemoveReader(branch);
  }
  Release(name);
  std::string id = operation.ToString();
  operations_.Add(std::move(operation));
  background_->Wake();
  return id;
}

absl::StatusOr<Memory::DeletedNamespace> Memory::DeleteNamespace(
    const std::string& space) {
  DeletedNamespace deleted;
  for (const auto& slot : Slots()) {
    if (slot->name.space != space) continue;
    const auto done = Delete(slot->name);
    if (absl::IsNotFound(done.status())) continue;  // Somebody was faster.
    RETURN_IF_ERROR(done.status());
    ++deleted.sessions;
  }
  // Done when those of its sessions are.
  Operation operation =
      operations_.New(space, Operation::Kind::kDeleteNamespace);
  WriteBatch batch;
  Operations::Put(operation, batch);
  RETURN_IF_ERROR(store_->Write(batch, /*sync=*/true));
  deleted.operation = operation.ToString();
  operations_.Add(std::move(operation));
  background_->Wake();
  return deleted;
}

absl::StatusOr<Operation> Memory::FindOperation(std::string_view name) const {
  return operations_.Find(name);
}

void Memory::Changed(const std::shared_ptr<Session>& session) {
  {
    base::MutexLock lock(&queue_mutex_);
    for (const std::weak_ptr<Session>& queued : changed_) {
      if (queued.lock() == session) return;
    }
    changed_.push_back(session);
  }
  if (background_) background_->Wake();
}

bool Memory::Work() {
  // A failure here leaves a session slower or larger, never wrong.
  try {
    const auto now = clock_->Ticks();
    if (now - last_tick_ >= kTick) {
      last_tick_ = now;
      CloseIdle();
      DeleteExpired();
    }
    if (operations_.pending_count() > 0) cleaner_.Run(/*only_due=*/true);
    return SealSome();
  } catch (const std::exception& failure) {
    base::Log(base::LogLevel::kWarning, "maintenance_failed",
              {{"error", std::string(failure.what())}});
    return false;
  }
}

bool Memory::SealSome() {
  std::shared_ptr<Session> session;
  {
    base::MutexLock lock(&queue_mutex_);
    if (changed_.empty()) return false;
    session = changed_.front().lock();
    changed_.erase(changed_.begin());
  }
  if (!session) return true;
  const absl::StatusOr<bool> sealed =
      session->SealOne([this] { return stopping_.load(); });
  if (sealed.ok()) {
    if (*sealed) Changed(session);
  } else if (!absl::IsCancelled(sealed.status())) {
    base::Log(base::LogLevel::kWarning, "sealing_failed",
              {{"session", session->header().name.ToString()},
               {"error", std::string(sealed.status().message())}});
  }
  return true;
}

void Memory::CleanUp() { cleaner_.Run(/*only_due=*/false); }

absl::StatusOr<std::vector<uint64_t>> Memory::CleanSession(
    const SessionName& name) {
  const auto session = Find(name);
  if (absl::IsNotFound(session.status())) return std::vector<uint64_t>();
  RETURN_IF_ERROR(session.status());
  RETURN_IF_ERROR((*session)->Clean([this] { return stopping_.load(); }));
  return (*session)->branch().Uids();
}

absl::StatusOr<std::optional<Remembered>> Memory::RememberedOf(uint64_t uid) {
  // A fork made meanwhile would remember what its parent then forgets.
  base::MutexLock structure(&structure_);
  return trunks_.RememberedOf(uid, *store_);
}

void Memory::CloseIdle() {
  bool closed = false;
  for (const auto& slot : Slots()) {
    base::MutexLock lock(&slot->opening);
    // Nobody gets another reference while the slot is locked.
    if (!slot->session || slot->session.use_count() > 1 ||
        clock_->Ticks() - slot->last_use < options_.idle) {
      continue;
    }
    CloseIn(*slot);
    closed = true;
  }
#ifdef __GLIBC__
  if (closed) malloc_trim(0);  // Else freed rows stay with the process.
#endif
}

void Memory::DeleteExpired() {
  for (const auto& slot : Slots()) {
    bool expired = false;
    {
      base::MutexLock lock(&slot->opening);
      if (slot->deleted || !slot->damage.ok()) continue;
      expired = ExpiredIn(*slot).value_or(false);
    }
    if (!expired) continue;
    const auto deleted = DeleteSlot(slot->name, /*only_expired=*/true);
    if (deleted.ok() || absl::IsNotFound(deleted.status())) continue;
    base::Log(base::LogLevel::kWarning, "expired_session_stays",
              {{"session", slot->name.ToString()},
               {"error", std::string(deleted.status().message())}});
  }
}

std::map<uint64_t, SessionName> Memory::NamesByUid() const {
  std::map<uint64_t, SessionName> names;
  for (const std::shared_ptr<Slot>& slot : Slots()) {
    if (!slot->damage.ok()) continue;
    base::MutexLock lock(&slot->opening);
    for (const uint64_t uid : slot->record.branch.Uids()) {
      names.emplace(uid, slot->name);
    }
  }
  return names;
}

std::vector<absl::Status> Memory::Damages() const {
  base::MutexLock lock(&mutex_);
  std::vector<absl::Status> damages;
  for (const auto& [key, slot] : slots_) {
    if (!slot->damage.ok()) damages.push_back(slot->damage);
  }
  return damages;
}

Memory::Counts Memory::Count() const {
  Counts counts;
  {
    base::MutexLock lock(&mutex_);
    counts.sessions = slots_.size();
  }
  counts.open_sessions = open_count_;
  counts.disk_bytes = store_->ApproximateBytes();
  counts.pending_operations = operations_.pending_count();
  return counts;
}

SessionCounts Memory::CountOpen() const {
  SessionCounts all;
  for (const std::shared_ptr<Slot>& slot : Slots()) {
    if (!slot->opening.TryLock()) continue;
    const std::shared_ptr<const Session> session = slot->session;
    slot->opening.Unlock();
    if (session) all += session->Counts();
  }
  return all;
}

}  // namespace mneme::memory
