#include "service/attend_stream.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/log.h"
#include "proto/status.h"

namespace mneme::service {
namespace {

constexpr char kMethod[] = "AttendStream";

absl::Status Draining() {
  return base::Error(
      absl::StatusCode::kUnavailable, "the server is shutting down",
      {.reason = "DRAINING", .field = "", .metadata = {}, .retry_after = {}});
}

Call CallOf(const v1::AttendStreamRequest& request,
            const v1::AttendStreamResponse& response, const TraceSpan& trace,
            std::shared_ptr<void>* held) {
  const bool appends = request.has_append();
  return {
      .method = kMethod,
      .session =
          appends ? request.append().session() : request.attend().session(),
      .priority =
          appends ? Executor::Priority::kWrite : Executor::Priority::kRead,
      .request = &request,
      .response = &response,
      .quiet = true,
      .trace = trace,
      .charge = appends ? Limits::Charge::kAppend : Limits::Charge::kNothing,
      .held = held,
      .scope_of = appends ? "Append" : "Attend"};
}

}  // namespace

void AttendStreams::Drain() {
  {
    base::MutexLock lock(&mutex_);
    draining_ = true;
  }
  for (const auto& stream : Open()) stream->Drain();
}

void AttendStreams::EndIdle(std::chrono::steady_clock::duration idle) {
  const auto moment = clock_->Ticks() - idle;
  for (const auto& stream : Open()) stream->EndIfIdleSince(moment);
}

std::vector<std::shared_ptr<AttendStream>> AttendStreams::Open() const {
  base::MutexLock lock(&mutex_);
  std::vector<std::shared_ptr<AttendStream>> open;
  for (const auto& [stream, weak] : open_) {
    if (auto alive = weak.lock()) open.push_back(std::move(alive));
  }
  return open;
}

size_t AttendStreams::size() const {
  base::MutexLock lock(&mutex_);
  return open_.size();
}

absl::Status AttendStreams::Add(const std::shared_ptr<AttendStream>& stream) {
  base::MutexLock lock(&mutex_);
  if (draining_) return Draining();
  if (open_.size() >= streams_max_) {
    return base::Error(
        absl::StatusCode::kResourceExhausted,
        absl::StrCat(open_.size(), " streams are open, and no more may be"),
        {.reason = "TOO_MANY_STREAMS",
         .field = "",
         .metadata = {{"streams_max", absl::StrCat(streams_max_)}},
         .retry_after = {}});
  }
  open_.emplace(stream.get(), stream);
  return absl::OkStatus();
}

void AttendStreams::Remove(AttendStream* stream) {
  base::MutexLock lock(&mutex_);
  open_.erase(stream);
}

AttendStream* AttendStream::Start(grpc::CallbackServerContext* context,
                                  Door* door, AttendStreams* streams,
                                  Step step) {
  const std::shared_ptr<AttendStream> stream(
      new AttendStream(context, door, streams, std::move(step)));
  stream->self_ = stream;
  Door::EchoRequestId(context);
  stream->trace_ = door->EchoTrace(context);
  const absl::Status added = streams->Add(stream);
  if (added.ok()) {
    stream->StartRead(&stream->request_);
  } else {
    stream->FinishOnce(added);
  }
  return stream.get();
}

AttendStream::AttendStream(grpc::CallbackServerContext* context, Door* door,
                           AttendStreams* streams, Step step)
    : context_(context),
      door_(door),
      streams_(streams),
      step_(std::move(step)),
      waiting_since_(streams->clock_->Ticks()) {}

void AttendStream::OnReadDone(bool ok) {
  if (!ok) {  // The client is done, or gone.
    FinishOnce(absl::OkStatus());
    return;
  }
  {
    base::MutexLock lock(&mutex_);
    if (state_ == State::kFinished) return;
    state_ = State::kWorking;
  }
  Work();
}

void AttendStream::Work() {
  door_->Admit(
      context_, CallOf(request_, response_, trace_, &held_),
      [this](const memory::Cancelled& cancelled) {
        return step_(request_, &response_, cancelled);
      },
      [this](const absl::Status& status) {
        if (status.ok()) {
          StartWrite(&response_);
        } else {
          FinishOnce(status);
        }
      });
}

void AttendStream::OnWriteDone(bool ok) {
  if (!ok) {
    FinishOnce(absl::CancelledError("the caller is gone"));
    return;
  }
  held_.reset();
  request_.Clear();
  response_.Clear();
  bool draining = false;
  {
    base::MutexLock lock(&mutex_);
    ++steps_;
    draining = draining_;
    if (!draining) state_ = State::kReading;
    waiting_since_ = streams_->clock_->Ticks();
  }
  if (draining) {
    FinishOnce(Draining());
  } else {
    // Drain may finish the stream just before this; then the read fails.
    StartRead(&request_);
  }
}

void AttendStream::Drain() {
  {
    base::MutexLock lock(&mutex_);
    draining_ = true;
    if (state_ != State::kReading) return;
    state_ = State::kFinished;
    end_ = Draining();
  }
  Finish(proto::ToGrpc(Draining()));
}

void AttendStream::EndIfIdleSince(
    std::chrono::steady_clock::time_point moment) {
  const absl::Status idle = base::Error(
      absl::StatusCode::kDeadlineExceeded,
      "no step came for too long; open the stream again when there is one",
      {.reason = "STREAM_IDLE"});
  {
    base::MutexLock lock(&mutex_);
    if (state_ != State::kReading || waiting_since_ > moment) return;
    state_ = State::kFinished;
    end_ = idle;
  }
  Finish(proto::ToGrpc(idle));
}

void AttendStream::FinishOnce(const absl::Status& status) {
  {
    base::MutexLock lock(&mutex_);
    if (state_ == State::kFinished) return;
    state_ = State::kFinished;
    end_ = status;
  }
  Finish(proto::ToGrpc(status));
}

void AttendStream::OnDone() {
  const std::shared_ptr<AttendStream> self = std::move(self_);
  streams_->Remove(this);
  base::MutexLock lock(&mutex_);
  base::Log(base::LogLevel::kInfo, "stream",
            {{"method", std::string(kMethod)},
             {"trace", trace_.trace_id},
             {"span", trace_.span_id},
             {"steps", static_cast<int64_t>(steps_)},
             {"code", absl::StatusCodeToString(end_.code())},
             {"reason", base::DetailOf(end_).reason}});
}

}  // namespace mneme::service
