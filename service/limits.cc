#include "service/limits.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"

namespace mneme::service {
namespace {

// Longer ones are no names, and refused as such later; they are not remembered.
constexpr size_t kNameBytesMax = 63;

bool IsName(std::string_view space) {
  return !space.empty() && space.size() <= kNameBytesMax;
}

// A place is free as soon as another request ends.
constexpr std::chrono::milliseconds kRetryInFlight{100};
// A fork writes what it copies, an import waits for its client.
constexpr std::chrono::milliseconds kRetryCreation{1000};

// Namespaces that are remembered, before the idle ones are dropped: names cost
// a caller nothing.
constexpr size_t kStatesMax = 10'000;

// What is stored is counted again this often at most, and takes no more than
// this share of the time; a namespace that is full learns sooner that it is
// not any more.
constexpr std::chrono::seconds kCountInterval{10};
constexpr std::chrono::seconds kCountIntervalWhenFull{1};
constexpr int kCountShare = 50;

absl::Status Exhausted(std::string_view space, const std::string& reason,
                       std::string_view what, const std::string& limit,
                       const std::string& used,
                       std::optional<std::chrono::milliseconds> retry) {
  const std::string subject = absl::StrCat("namespaces/", std::string(space));
  return base::Error(
      absl::StatusCode::kResourceExhausted,
      absl::StrCat(subject, " may have ", limit, " ", std::string(what), ", ",
                   used, retry ? "; try again later" : "; free some first"),
      {.reason = reason,
       .metadata = {{"limit", limit}, {"namespace", std::string(space)}},
       .retry_after = retry,
       .quota = subject});
}

std::string Used(uint64_t used) {
  return absl::StrCat("and ", used, " are used");
}

}  // namespace

void Limits::Ticket::Answered(uint64_t answer_bytes) {
  base::MutexLock lock(&limits_->mutex_);
  State& state = limits_->StateOf(space_);
  state.in_flight -= std::exchange(places_, 0);
  state.in_flight_bytes += answer_bytes;
  bytes_ += answer_bytes;
}

void Limits::Import::Wrote(uint64_t bytes) {
  base::MutexLock lock(&limits_->mutex_);
  State& state = limits_->StateOf(space_);
  state.importing_bytes += bytes;
  state.importing_bytes -= std::exchange(bytes_, bytes);
}

void Limits::Import::Ended() {
  limits_->Appended(space_, bytes_);
  Wrote(0);
}

void Limits::Set(LimitTable table) {
  base::MutexLock lock(&mutex_);
  limited_ = table.defaults != NamespaceLimits() || !table.namespaces.empty();
  table_ = std::move(table);
  // Buckets are of the old rates.
  for (auto& [space, state] : states_) state.appends.reset();
}

absl::Status Limits::Follow(const std::string& path) {
  file_ = std::make_unique<WatchedFile>(
      path, clock_, [this](std::string_view content) -> absl::Status {
        ASSIGN_OR_RETURN(LimitTable table, ParseLimitTable(content));
        Set(std::move(table));
        return absl::OkStatus();
      });
  return file_->Load();
}

NamespaceLimits Limits::Of(std::string_view space) const {
  base::MutexLock lock(&mutex_);
  return table_.Of(space);
}

absl::StatusOr<std::shared_ptr<Limits::Ticket>> Limits::Admit(
    std::string_view space, Charge charge, uint64_t bytes) {
  if (file_) file_->Poll();
  base::MutexLock lock(&mutex_);
  if (!limited_ || !IsName(space)) return nullptr;
  const NamespaceLimits& limits = table_.Of(space);
  State& state = StateOf(space);
  if (limits.in_flight && state.in_flight >= *limits.in_flight) {
    return Exhausted(space, "QUOTA_IN_FLIGHT", "requests in flight",
                     absl::StrCat(*limits.in_flight), Used(state.in_flight),
                     kRetryInFlight);
  }
  if (limits.in_flight_bytes && state.in_flight_bytes > 0 &&
      state.in_flight_bytes + bytes > *limits.in_flight_bytes) {
    return Exhausted(space, "QUOTA_IN_FLIGHT",
                     "bytes of requests and answers in flight",
                     absl::StrCat(*limits.in_flight_bytes),
                     absl::StrCat(Used(state.in_flight_bytes),
                                  ", and the request has ", bytes),
                     kRetryInFlight);
  }
  if (charge == Charge::kAppend) {
    absl::Status taken = TakeAppend(limits, space, state);
    if (!taken.ok()) return taken;
  }
  state.in_flight += 1;
  state.in_flight_bytes += bytes;
  return std::make_shared<Ticket>(this, std::string(space), bytes);
}

absl::Status Limits::TakeAppend(const NamespaceLimits& limits,
                                std::string_view space, State& state) {
  if (!limits.appends_per_second) return absl::OkStatus();
  const double rate = *limits.appends_per_second;
  if (!state.appends) {
    const double burst = limits.appends_burst
                             ? static_cast<double>(*limits.appends_burst)
                             : std::max(1.0, rate);
    state.appends.emplace(rate, burst, clock_->Ticks());
  }
  const auto wait = state.appends->Take(clock_->Ticks());
  if (!wait) return absl::OkStatus();
  return Exhausted(space, "QUOTA_APPENDS", "appends a second",
                   absl::StrCat(rate), "and all are used", *wait);
}

absl::StatusOr<std::shared_ptr<Limits::Creation>> Limits::CheckRoom(
    std::string_view space, Charge charge) {
  if (charge == Charge::kNothing || !IsName(space)) return nullptr;
  const NamespaceLimits limits = Of(space);
  const std::string name(space);
  // A session without room for a token is of no use.
  if (limits.bytes) {
    const uint64_t used = BytesNow(name, *limits.bytes);
    if (used >= *limits.bytes) {
      return Exhausted(space, "QUOTA_BYTES", "bytes of keys and values",
                       absl::StrCat(*limits.bytes), Used(used), std::nullopt);
    }
  }
  if (charge != Charge::kSession || !limits.sessions) return nullptr;
  return BeginCreation(name, *limits.sessions);
}

absl::StatusOr<std::shared_ptr<Limits::Creation>> Limits::BeginCreation(
    const std::string& space, uint64_t limit) {
  base::MutexLock lock(&creating_mutex_);
  const auto it = creating_.find(space);
  const uint64_t creating = it == creating_.end() ? 0 : it->second;
  const uint64_t used = stored_.sessions(space);
  if (used + creating < limit) {
    ++creating_[space];
    return std::make_shared<Creation>(this, space);
  }
  if (used >= limit) {
    return Exhausted(space, "QUOTA_SESSIONS", "sessions", absl::StrCat(limit),
                     Used(used), std::nullopt);
  }
  return Exhausted(
      space, "QUOTA_SESSIONS", "sessions", absl::StrCat(limit),
      absl::StrCat(Used(used), ", and ", creating, " are being created"),
      kRetryCreation);
}

void Limits::EndCreation(const std::string& space) {
  base::MutexLock lock(&creating_mutex_);
  const auto it = creating_.find(space);
  if (--it->second == 0) creating_.erase(it);
}

void Limits::Appended(std::string_view space, uint64_t bytes) {
  base::MutexLock lock(&mutex_);
  const auto it = states_.find(space);
  if (it != states_.end() && it->second.bytes) *it->second.bytes += bytes;
}

uint64_t Limits::BytesNow(const std::string& space, uint64_t limit) {
  {
    base::MutexLock lock(&mutex_);
    State& state = StateOf(space);
    if (!IsStale(state, limit)) return state.bytes_now();
    state.counted = clock_->Ticks();  // Others need not count meanwhile.
    if (!state.bytes) state.bytes = 0;
  }
  const auto begin = clock_->Ticks();
  const uint64_t bytes = stored_.bytes(space);
  base::MutexLock lock(&mutex_);
  State& state = StateOf(space);
  state.bytes = bytes;
  state.counted = clock_->Ticks();
  state.counting_took = state.counted - begin;
  return state.bytes_now();
}

bool Limits::IsStale(const State& state, uint64_t limit) const {
  if (!state.bytes) return true;
  const auto interval =
      state.bytes_now() < limit ? kCountInterval : kCountIntervalWhenFull;
  return clock_->Ticks() - state.counted >=
         std::max<std::chrono::steady_clock::duration>(
             interval, kCountShare * state.counting_took);
}

void Limits::Release(const std::string& space, uint64_t places,
                     uint64_t bytes) {
  base::MutexLock lock(&mutex_);
  State& state = StateOf(space);
  state.in_flight -= places;
  state.in_flight_bytes -= bytes;
}

Limits::State& Limits::StateOf(std::string_view space) {
  const auto it = states_.find(space);
  if (it != states_.end()) return it->second;
  if (states_.size() >= kStatesMax) {
    std::erase_if(states_,
                  [](const auto& named) { return named.second.idle(); });
  }
  return states_[std::string(space)];
}

}  // namespace mneme::service
