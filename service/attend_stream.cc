#include "service/attend_stream.h"

#include <utility>

namespace mneme::service {
namespace {

constexpr char kMethod[] = "AttendStream";

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

AttendStream* AttendStream::Start(grpc::CallbackServerContext* context,
                                  Door* door, OpenStreams* streams, Step step) {
  const std::shared_ptr<AttendStream> stream(
      new AttendStream(context, door, streams, std::move(step)));
  if (stream->Open()) stream->ReadStep();
  return stream.get();
}

AttendStream::AttendStream(grpc::CallbackServerContext* context, Door* door,
                           OpenStreams* streams, Step step)
    : OpenStream(kMethod, context, door, streams),
      context_(context),
      door_(door),
      step_(std::move(step)) {}

void AttendStream::ReadStep() {
  Read([this] { StartRead(&request_); });
}

void AttendStream::OnReadDone(bool ok) {
  if (!Waited(ok)) return;
  if (ok) {
    Work();
  } else {  // The client is done, or gone.
    FinishOnce(absl::OkStatus());
  }
}

void AttendStream::Work() {
  const Call call = CallOf(request_, response_, trace(), &held_);
  door_->Admit(
      context_, call,
      [this, name = call.session](const memory::Cancelled& cancelled) {
        const absl::Status joined = Join(NamespaceOf(name));
        return joined.ok() ? step_(request_, &response_, cancelled) : joined;
      },
      [this](const absl::Status& status) {
        if (status.ok()) {
          Write([this] { StartWrite(&response_); });
        } else {
          FinishOnce(status);
        }
      });
}

void AttendStream::OnWriteDone(bool ok) {
  if (!Waited(ok)) return;
  if (!ok) {
    FinishOnce(absl::CancelledError("the caller is gone"));
    return;
  }
  held_.reset();
  request_.Clear();
  response_.Clear();
  ReadStep();
}

void AttendStream::OnDone() { Close(); }

}  // namespace mneme::service
