// service/limits.h: what one namespace may use, so that the others get theirs.

#ifndef MNEME_SERVICE_LIMITS_H_
#define MNEME_SERVICE_LIMITS_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "service/limit_table.h"
#include "service/token_bucket.h"
#include "service/watched_file.h"

namespace mneme::service {

// Threads:  any.
class Limits {
 public:
  // What a request takes beside its place among those in flight: kAppend a
  // token and room for bytes, kBytes only the room, kSession that and a place
  // for a session.
  enum class Charge { kNothing, kAppend, kBytes, kSession };

  // What is stored, asked only for namespaces whose limits need it.
  struct Stored {
    std::function<uint64_t(const std::string& space)> bytes;
    std::function<uint64_t(const std::string& space)> sessions;
  };

  // What a request in flight holds; given back when it is destroyed.
  // Lifetime: the limits outlive it.
  class Ticket {
   public:
    Ticket(Limits* limits, std::string space, uint64_t bytes)
        : limits_(limits), space_(std::move(space)), bytes_(bytes) {}
    ~Ticket() { limits_->Release(space_, places_, bytes_); }
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;

    // The request is answered: its place is free, so that a caller may ask the
    // next thing at once, but its bytes and the answer's are held. Never
    // refused: the answer is computed. Threads:  one at a time.
    void Answered(uint64_t answer_bytes);

   private:
    Limits* const limits_;
    const std::string space_;
    uint64_t places_ = 1;
    uint64_t bytes_;
  };

  // The place of a session that is being created, which nobody else may take;
  // given back when it is destroyed. Lifetime: the limits outlive it.
  class Creation {
   public:
    Creation(Limits* limits, std::string space)
        : limits_(limits), space_(std::move(space)) {}
    ~Creation() { limits_->EndCreation(space_); }
    Creation(const Creation&) = delete;
    Creation& operator=(const Creation&) = delete;

   private:
    Limits* const limits_;
    const std::string space_;
  };

  // What an import under way has written, which is no session's that could be
  // counted; given back when it is destroyed. Threads:  one at a time.
  // Lifetime: the limits outlive it.
  class Import {
   public:
    Import(Limits* limits, std::string space)
        : limits_(limits), space_(std::move(space)) {}
    ~Import() { Wrote(0); }
    Import(const Import&) = delete;
    Import& operator=(const Import&) = delete;

    // It has written so many bytes in all.
    void Wrote(uint64_t bytes);
    // It is a session now, and was appended.
    void Ended();

   private:
    Limits* const limits_;
    const std::string space_;
    uint64_t bytes_ = 0;
  };

  // Nothing is limited before Set. Lifetime: `clock` and what `stored` refers
  // to outlive it.
  Limits(const base::Clock* clock, Stored stored)
      : clock_(clock), stored_(std::move(stored)) {}

  // From now on; what is in flight stays.
  void Set(LimitTable table);

  // Sets what the file says, now and whenever it changed; a change that cannot
  // be read is logged and changes nothing. Errors: WatchedFile::Load's.
  // REQUIRES: once, before any other call.
  absl::Status Follow(const std::string& path);

  NamespaceLimits Of(std::string_view space) const;

  // Before the queue: takes a place in flight, and for an append a token. A
  // lone request is taken whatever its size. Null when nothing is limited.
  // Errors: RESOURCE_EXHAUSTED QUOTA_IN_FLIGHT, QUOTA_APPENDS, with the quota
  // and a retry delay.
  absl::StatusOr<std::shared_ptr<Ticket>> Admit(std::string_view space,
                                                Charge charge, uint64_t bytes);

  // Before the work, where waiting for the disk is allowed: is there room for
  // what the request adds? The bytes of appends that are under way at once are
  // not counted, so a namespace may end up above its limit by those. The
  // creation, null unless it is limited, is held until the session exists; one
  // that exists counts twice until then.
  // Errors: RESOURCE_EXHAUSTED QUOTA_BYTES, QUOTA_SESSIONS, with the quota and
  // no retry delay, since waiting alone frees nothing; but one for a place that
  // only a creation under way has taken.
  absl::StatusOr<std::shared_ptr<Creation>> CheckRoom(std::string_view space,
                                                      Charge charge);

  // `bytes` of rows and entries were appended.
  void Appended(std::string_view space, uint64_t bytes);

  // What is stored, for people: counted afresh.
  uint64_t BytesIn(const std::string& space) const {
    return stored_.bytes(space);
  }
  uint64_t SessionsIn(const std::string& space) const {
    return stored_.sessions(space);
  }

 private:
  struct State {
    uint64_t in_flight = 0;
    uint64_t in_flight_bytes = 0;
    uint64_t importing_bytes = 0;
    std::optional<TokenBucket> appends = {};
    // Stored bytes as of `counted`, and what was appended since.
    std::optional<uint64_t> bytes = {};
    std::chrono::steady_clock::time_point counted = {};
    std::chrono::steady_clock::duration counting_took = {};

    uint64_t bytes_now() const { return bytes.value_or(0) + importing_bytes; }
    bool idle() const {
      return in_flight == 0 && in_flight_bytes == 0 && importing_bytes == 0;
    }
  };

  void Release(const std::string& space, uint64_t places, uint64_t bytes);
  void EndCreation(const std::string& space);
  State& StateOf(std::string_view space) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status TakeAppend(const NamespaceLimits& limits, std::string_view space,
                          State& state) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  uint64_t BytesNow(const std::string& space, uint64_t limit);
  bool IsStale(const State& state, uint64_t limit) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::shared_ptr<Creation>> BeginCreation(
      const std::string& space, uint64_t limit);

  const base::Clock* const clock_;
  const Stored stored_;
  std::unique_ptr<WatchedFile> file_;  // Null: none is followed.
  // Sessions that are being created. Held while those that exist are counted,
  // so that none that comes to exist meanwhile is missed.
  base::Mutex creating_mutex_;
  std::map<std::string, uint64_t> creating_ ABSL_GUARDED_BY(creating_mutex_);
  mutable base::Mutex mutex_;
  bool limited_ ABSL_GUARDED_BY(mutex_) = false;
  LimitTable table_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, State, std::less<>> states_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace mneme::service

#endif  // MNEME_SERVICE_LIMITS_H_
