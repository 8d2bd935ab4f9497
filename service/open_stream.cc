#include "service/open_stream.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/log.h"
#include "proto/status.h"

namespace mneme::service {
namespace {

// Longer ones are no names, and refused as such by who parses them.
constexpr size_t kNameBytesMax = 63;

absl::Status Draining() {
  return base::Error(absl::StatusCode::kUnavailable,
                     "the server is shutting down", {.reason = "DRAINING"});
}

absl::Status Idle() {
  return base::Error(
      absl::StatusCode::kDeadlineExceeded,
      "the client was waited for too long; open the stream again when there "
      "is something to send or to read",
      {.reason = "STREAM_IDLE"});
}

}  // namespace

bool OpenStreams::Count::Take(const std::string& name, size_t total_max,
                              size_t share_max) {
  const auto it = of.find(name);
  if (total >= total_max || (it != of.end() && it->second >= share_max)) {
    return false;
  }
  ++total;
  ++of[name];
  return true;
}

void OpenStreams::Count::Give(const std::string& name) {
  --total;
  const auto it = of.find(name);
  if (--it->second == 0) of.erase(it);
}

void OpenStreams::Drain() {
  {
    base::MutexLock lock(&mutex_);
    draining_ = true;
  }
  for (const auto& stream : Open()) stream->Drain();
}

void OpenStreams::EndIdle(std::chrono::steady_clock::duration idle) {
  for (const auto& stream : Open()) stream->EndIfIdle(idle);
}

std::vector<std::shared_ptr<OpenStream>> OpenStreams::Open() const {
  base::MutexLock lock(&mutex_);
  std::vector<std::shared_ptr<OpenStream>> open;
  for (const auto& [stream, place] : open_) {
    if (auto alive = place.stream.lock()) open.push_back(std::move(alive));
  }
  return open;
}

size_t OpenStreams::size() const {
  base::MutexLock lock(&mutex_);
  return open_.size();
}

// How many the others have is not said: it is nobody's business.
absl::Status OpenStreams::TooMany(const std::string& whose) const {
  return base::Error(
      absl::StatusCode::kResourceExhausted,
      absl::StrCat("at most ", streams_max_, " such streams may be open, ",
                   share_max_, " of them for one ", whose,
                   "; close one, or try again later"),
      {.reason = "TOO_MANY_STREAMS",
       .metadata = {{"share_max", absl::StrCat(share_max_)},
                    {"streams_max", absl::StrCat(streams_max_)}}});
}

absl::Status OpenStreams::Add(const std::shared_ptr<OpenStream>& stream,
                              const std::string& caller) {
  base::MutexLock lock(&mutex_);
  if (draining_) return Draining();
  if (!silent_.Take(caller, streams_max_, share_max_)) {
    return TooMany("caller before their first message");
  }
  open_.emplace(stream.get(),
                Place{.stream = stream, .count = &silent_, .name = caller});
  return absl::OkStatus();
}

absl::Status OpenStreams::Join(OpenStream* stream, const std::string& space) {
  base::MutexLock lock(&mutex_);
  if (!joined_.Take(space, streams_max_, share_max_)) {
    return TooMany("namespace");
  }
  Place& place = open_.at(stream);
  place.count->Give(place.name);
  place.count = &joined_;
  place.name = space;
  return absl::OkStatus();
}

void OpenStreams::Remove(OpenStream* stream) {
  base::MutexLock lock(&mutex_);
  const auto it = open_.find(stream);
  if (it == open_.end()) return;  // It was refused.
  it->second.count->Give(it->second.name);
  open_.erase(it);
}

OpenStream::OpenStream(std::string_view method,
                       grpc::CallbackServerContext* context, Door* door,
                       OpenStreams* streams)
    : method_(method), context_(context), door_(door), streams_(streams) {}

bool OpenStream::Open() {
  self_ = shared_from_this();
  Door::EchoRequestId(context_);
  trace_ = door_->EchoTrace(context_);
  const auto caller = door_->Greet(context_, method_, trace_);
  const absl::Status added =
      caller.ok() ? streams_->Add(self_, *caller) : caller.status();
  if (added.ok()) return true;
  FinishOnce(added);
  return false;
}

absl::Status OpenStream::Join(std::string_view space) {
  {
    base::MutexLock lock(&mutex_);
    if (std::exchange(joined_, true)) return absl::OkStatus();
  }
  return streams_->Join(this, std::string(space.substr(0, kNameBytesMax)));
}

void OpenStream::Read(const std::function<void()>& start) {
  Wait(State::kReading, start);
}

void OpenStream::Write(const std::function<void()>& start) {
  Wait(State::kWriting, start);
}

void OpenStream::Wait(State state, const std::function<void()>& start) {
  // What is started may end before this returns.
  const std::shared_ptr<OpenStream> self = shared_from_this();
  uint64_t wait = 0;
  {
    base::MutexLock lock(&mutex_);
    state_ = State::kStarting;
    wait = ++waits_;
    waiting_since_ = streams_->clock_->Ticks();
  }
  start();
  {
    base::MutexLock lock(&mutex_);
    if (state_ != State::kStarting || waits_ != wait) return;
    state_ = state;
    if (!draining_) return;
  }
  Drain();
}

bool OpenStream::Waited(bool ok) {
  {
    base::MutexLock lock(&mutex_);
    if (state_ == State::kFinished) return false;
    if (state_ != State::kEnding) {
      state_ = State::kWorking;
      if (ok) ++messages_;
      return true;
    }
    written_ = true;
    if (!cancelled_) return false;
    state_ = State::kFinished;
  }
  FinishNow(proto::ToGrpc(Idle()));
  return false;
}

void OpenStream::Drain() {
  {
    base::MutexLock lock(&mutex_);
    draining_ = true;
    if (state_ != State::kReading) return;
    state_ = State::kFinished;
    end_ = Draining();
  }
  FinishNow(proto::ToGrpc(Draining()));
}

bool OpenStream::IsIdle(std::chrono::steady_clock::duration idle) const {
  if (state_ != State::kReading && state_ != State::kWriting) return false;
  const auto waited = streams_->clock_->Ticks() - waiting_since_;
  if (!joined_ && waited >= OpenStreams::kFirstMessage) return true;
  return idle.count() > 0 && waited >= idle;
}

void OpenStream::EndIfIdle(std::chrono::steady_clock::duration idle) {
  bool is_writing = false;
  {
    base::MutexLock lock(&mutex_);
    if (!IsIdle(idle)) return;
    is_writing = state_ == State::kWriting;
    state_ = is_writing ? State::kEnding : State::kFinished;
    end_ = Idle();
  }
  if (is_writing) {
    CancelWrite();
  } else {
    FinishNow(proto::ToGrpc(Idle()));
  }
}

// A status would wait behind what the client does not read.
void OpenStream::CancelWrite() {
  context_->TryCancel();
  {
    base::MutexLock lock(&mutex_);
    cancelled_ = true;
    if (!written_) return;
    state_ = State::kFinished;
  }
  FinishNow(proto::ToGrpc(Idle()));
}

void OpenStream::FinishOnce(const absl::Status& status) {
  {
    base::MutexLock lock(&mutex_);
    if (state_ == State::kFinished) return;
    state_ = State::kFinished;
    end_ = status;
  }
  FinishNow(proto::ToGrpc(status));
}

std::shared_ptr<OpenStream> OpenStream::Close() {
  streams_->Remove(this);
  base::MutexLock lock(&mutex_);
  base::Log(base::LogLevel::kInfo, "stream",
            {{"method", std::string(method_)},
             {"trace", trace_.trace_id},
             {"span", trace_.span_id},
             {"messages", static_cast<int64_t>(messages_)},
             {"code", absl::StatusCodeToString(end_.code())},
             {"reason", base::DetailOf(end_).reason}});
  return std::move(self_);
}

}  // namespace mneme::service
