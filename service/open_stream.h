// service/open_stream.h: streams that are open, how many, and for how long.
// A stream waits for its client most of the time; what is here says who may
// make it wait, how long, and who may end it.

#ifndef MNEME_SERVICE_OPEN_STREAM_H_
#define MNEME_SERVICE_OPEN_STREAM_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "service/door.h"

namespace mneme::service {

class OpenStream;

// The streams that are open, so that there are not too many, none takes a place
// for nothing, and a server that stops need not wait for idle ones.
// Threads:  any.
class OpenStreams {
 public:
  // A decode loop asks many times a second, and a person's pauses are shorter.
  static constexpr std::chrono::seconds kIdle{600};

  // Who opens a stream has something to send; a slow network is done by then.
  static constexpr std::chrono::seconds kFirstMessage{10};

  // As many may be open for namespaces, and as many have sent nothing yet: of
  // either, one namespace or caller has half at most, so that no one shuts the
  // others out. Lifetime: `clock` outlives the streams.
  OpenStreams(const base::Clock* clock, size_t streams_max)
      : clock_(clock),
        streams_max_(streams_max),
        share_max_((streams_max + 1) / 2) {}

  // Ends, with DEADLINE_EXCEEDED STREAM_IDLE, those that have waited so long
  // for their client; for its first message, kFirstMessage at most. 0: only
  // those. A client that does not read what is written sees CANCELLED.
  void EndIdle(std::chrono::steady_clock::duration idle);

  // Ends streams that wait for a message with UNAVAILABLE DRAINING, the others
  // before they do so again; refuses new ones.
  void Drain();

  size_t size() const;

 private:
  friend class OpenStream;

  // Of the streams of one kind, how many each name has.
  struct Count {
    size_t total = 0;
    std::map<std::string, size_t> of = {};

    bool Take(const std::string& name, size_t total_max, size_t share_max);
    void Give(const std::string& name);
  };
  struct Place {
    std::weak_ptr<OpenStream> stream;
    Count* count = nullptr;
    std::string name = {};  // In `count`.
  };

  // Errors:   UNAVAILABLE DRAINING; RESOURCE_EXHAUSTED TOO_MANY_STREAMS.
  absl::Status Add(const std::shared_ptr<OpenStream>& stream,
                   const std::string& caller);
  // The stream is of a namespace from now on.
  // Errors:   RESOURCE_EXHAUSTED TOO_MANY_STREAMS.
  absl::Status Join(OpenStream* stream, const std::string& space);
  void Remove(OpenStream* stream);

  std::vector<std::shared_ptr<OpenStream>> Open() const;
  absl::Status TooMany(const std::string& whose) const;

  const base::Clock* const clock_;
  const size_t streams_max_;
  const size_t share_max_;
  mutable base::Mutex mutex_;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  Count silent_ ABSL_GUARDED_BY(mutex_);  // By caller.
  Count joined_ ABSL_GUARDED_BY(mutex_);  // By namespace.
  std::map<OpenStream*, Place> open_ ABSL_GUARDED_BY(mutex_);
};

// What a stream is whatever its messages are. A reactor has this too, calls
// Open once, then Read or Write for each message, Waited when it has come or
// gone, and Close from OnDone.
// Threads:  Drain and EndIfIdle any; the others follow each other.
class OpenStream : public std::enable_shared_from_this<OpenStream> {
 public:
  virtual ~OpenStream() = default;

  // See OpenStreams.
  void Drain();
  void EndIfIdle(std::chrono::steady_clock::duration idle);

 protected:
  // Lifetime: all outlive the stream; `method` is a literal.
  OpenStream(std::string_view method, grpc::CallbackServerContext* context,
             Door* door, OpenStreams* streams);

  // Asks who calls, and adds the stream to those that are open: it owns itself
  // from now on. False: it has been finished with the reason against it.
  // REQUIRES: owned by a shared_ptr.
  bool Open();
  // The first message says which namespace the stream is for; a later one
  // changes nothing. Errors:   OpenStreams::Join's.
  absl::Status Join(std::string_view space);
  // Starts to wait for the client: `start` is gRPC's StartRead or StartWrite.
  // A stream that drains is finished instead of waiting for a message.
  void Read(const std::function<void()>& start);
  void Write(const std::function<void()>& start);
  // What was waited for has come or, not `ok`, never will. False: the stream
  // was ended meanwhile, and there is nothing to do any more.
  bool Waited(bool ok);
  // Finishes the stream, unless that has been done.
  void FinishOnce(const absl::Status& status);
  // Logs the stream and gives it up; who called may be the last to hold it.
  std::shared_ptr<OpenStream> Close();

  const TraceSpan& trace() const { return trace_; }

 private:
  // Who may finish the stream: the one that moves the state to kFinished. gRPC
  // may run reactions inside Finish and TryCancel, so neither is called under
  // the mutex. Nor is a stream ended from outside before what it waits for has
  // been started, or gRPC could be done with it by then.
  enum class State {
    kWorking,
    kStarting,
    kReading,
    kWriting,
    kEnding,
    kFinished
  };

  // gRPC's Finish of the reactor.
  virtual void FinishNow(const grpc::Status& status) = 0;
  void Wait(State state, const std::function<void()>& start);
  bool IsIdle(std::chrono::steady_clock::duration idle) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CancelWrite();

  const std::string_view method_;
  grpc::CallbackServerContext* const context_;
  Door* const door_;
  OpenStreams* const streams_;
  TraceSpan trace_;
  std::shared_ptr<OpenStream> self_;  // Until Close.

  base::Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_) = State::kWorking;
  bool joined_ ABSL_GUARDED_BY(mutex_) = false;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t waits_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t messages_ ABSL_GUARDED_BY(mutex_) = 0;  // In and out.
  std::chrono::steady_clock::time_point waiting_since_ ABSL_GUARDED_BY(mutex_);
  // Of kEnding: both must be, before gRPC may be done with the context.
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  bool written_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status end_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace mneme::service

#endif  // MNEME_SERVICE_OPEN_STREAM_H_
