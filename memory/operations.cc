#include "memory/operations.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <random>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "memory/records.h"

namespace mneme::memory {
namespace {

bool Decode(std::string_view payload, Operation& operation) {
  base::ByteReader in(payload);
  operation.space = in.Text();
  operation.id = in.Text();
  operation.kind = in.Number<Operation::Kind>();
  operation.create_time_us = in.Number<int64_t>();
  operation.done_time_us = in.Number<int64_t>();
  operation.session = in.Text();
  const auto uids = in.Number<uint32_t>();
  for (uint32_t i = 0; i < uids && in.ok(); ++i) {
    operation.uids.push_back(in.Number<uint64_t>());
  }
  return in.done() && operation.kind <= Operation::Kind::kDeleteNamespace;
}

}  // namespace

std::string Operation::ToString() const {
  return absl::StrCat("namespaces/", space, "/operations/", id);
}

Operations::Operations(Store* store, const base::Clock* clock)
    : store_(store), clock_(clock) {}

absl::Status Operations::Load() {
  base::MutexLock lock(&mutex_);
  absl::Status later;
  std::map<Key, Operation> loaded;
  const KeyRange range = AllOperations();
  RETURN_IF_ERROR(store_->Scan(
      range.first, range.second,
      [&](std::string_view key, std::string_view record) {
        const auto payload = OpenRecord(RecordKind::kOperation, key, record);
        if (absl::IsFailedPrecondition(payload.status())) {
          later = payload.status();
          return false;
        }
        Operation operation;
        if (!payload.ok() || !Decode(*payload, operation) ||
            key != OperationKey(operation.space, operation.id)) {
          // The sessions do not suffer; what it was to erase stays.
          base::Log(base::LogLevel::kError, "operation_lost",
                    {{"record", absl::CHexEscape(std::string(key))}});
          return true;
        }
        Key place{operation.space, operation.id};
        loaded[std::move(place)] = std::move(operation);
        return true;
      }));
  operations_ = std::move(loaded);
  pending_count_ =
      std::count_if(operations_.begin(), operations_.end(),
                    [](const auto& entry) { return !entry.second.done(); });
  return later;
}

Operation Operations::New(const std::string& space,
                          Operation::Kind kind) const {
  std::random_device device;
  const uint64_t number = uint64_t{device()} << 32 | device();
  return {.space = space,
          .id = absl::StrFormat("%016x", number),
          .kind = kind,
          .create_time_us = base::MicrosNow(*clock_)};
}

void Operations::Put(const Operation& operation, WriteBatch& batch) {
  base::ByteWriter out;
  out.Text(operation.space);
  out.Text(operation.id);
  out.Number(operation.kind);
  out.Number(operation.create_time_us);
  out.Number(operation.done_time_us);
  out.Text(operation.session);
  out.Number(static_cast<uint32_t>(operation.uids.size()));
  for (const uint64_t uid : operation.uids) out.Number(uid);
  PutRecord(RecordKind::kOperation, OperationKey(operation.space, operation.id),
            out.Take(), batch);
}

void Operations::Add(Operation operation) {
  base::MutexLock lock(&mutex_);
  Key key{operation.space, operation.id};
  ++pending_count_;
  operations_[std::move(key)] = std::move(operation);
}

absl::StatusOr<Operation> Operations::Find(std::string_view name) const {
  constexpr std::string_view kSpaces = "namespaces/";
  constexpr std::string_view kMiddle = "/operations/";
  const size_t middle = name.find(kMiddle);
  if (!name.starts_with(kSpaces) || middle == std::string_view::npos) {
    return base::InvalidField("name", base::Quoted(name),
                              "namespaces/{namespace}/operations/{operation}");
  }
  const Key key{
      std::string(name.substr(kSpaces.size(), middle - kSpaces.size())),
      std::string(name.substr(middle + kMiddle.size()))};
  base::MutexLock lock(&mutex_);
  const auto it = operations_.find(key);
  if (it != operations_.end()) return it->second;
  return base::Error(absl::StatusCode::kNotFound,
                     absl::StrCat("no operation ", base::Quoted(name),
                                  "; one that is done is known for 24 hours"),
                     {.reason = "OPERATION_NOT_FOUND", .field = "name"});
}

std::vector<Operation> Operations::Pending() const {
  std::vector<Operation> pending;
  {
    base::MutexLock lock(&mutex_);
    for (const auto& entry : operations_) {
      if (!entry.second.done()) pending.push_back(entry.second);
    }
  }
  std::sort(pending.begin(), pending.end(),
            [](const Operation& a, const Operation& b) {
              return a.create_time_us < b.create_time_us;
            });
  return pending;
}

uint64_t Operations::pending_count() const {
  base::MutexLock lock(&mutex_);
  return pending_count_;
}

absl::Status Operations::Finish(const std::vector<Operation>& operations) {
  const int64_t now = base::MicrosNow(*clock_);
  WriteBatch batch;
  base::MutexLock lock(&mutex_);
  for (Operation operation : operations) {
    operation.done_time_us = now;
    Put(operation, batch);
  }
  const std::vector<Key> old = DoneBefore(now - kKeptSeconds * 1'000'000);
  for (const Key& key : old) {
    batch.Delete(OperationKey(key.first, key.second));
    batch.Delete(DeletedKey(key.first, key.second));
  }
  if (batch.operations.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(store_->Write(batch, /*sync=*/true));
  for (const Operation& operation : operations) {
    Operation& known = operations_[Key{operation.space, operation.id}];
    if (!known.done()) --pending_count_;
    known.done_time_us = now;
    known.error.clear();
  }
  for (const Key& key : old) operations_.erase(key);
  return absl::OkStatus();
}

std::vector<Operations::Key> Operations::DoneBefore(int64_t time_us) const {
  // Newest first, by namespace.
  std::map<std::string, std::map<int64_t, std::vector<Key>, std::greater<>>>
      done;
  for (const auto& [key, operation] : operations_) {
    if (!operation.done()) continue;
    done[key.first][operation.done_time_us].push_back(key);
  }
  std::vector<Key> old;
  for (auto& [space, by_time] : done) {
    size_t kept = 0;
    for (auto& [done_time_us, keys] : by_time) {
      if (done_time_us < time_us || kept >= kKeptMax) {
        old.insert(old.end(), keys.begin(), keys.end());
      }
      kept += keys.size();
    }
  }
  return old;
}

void Operations::Fail(const Operation& operation, absl::StatusCode code) {
  base::MutexLock lock(&mutex_);
  operations_[Key{operation.space, operation.id}].error =
      absl::StrCat(absl::StatusCodeToString(code),
                   "; the server's log says more, and it is tried again");
}

}  // namespace mneme::memory
