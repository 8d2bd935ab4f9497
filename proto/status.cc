#include "proto/status.h"

#include <chrono>
#include <optional>
#include <string>

#include "base/error.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace mneme::proto {
namespace {

constexpr char kDomain[] = "mneme";

template <typename Message>
void Pack(const Message& message, google::rpc::Status& status) {
  status.add_details()->PackFrom(message);
}

}  // namespace

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const base::ErrorDetail detail = base::DetailOf(status);
  google::rpc::Status rich;
  rich.set_code(static_cast<int>(status.code()));
  rich.set_message(std::string(status.message()));
  google::rpc::ErrorInfo info;
  info.set_domain(kDomain);
  info.set_reason(detail.reason.empty()
                      ? absl::StatusCodeToString(status.code())
                      : detail.reason);
  for (const auto& [key, value] : detail.metadata) {
    (*info.mutable_metadata())[key] = value;
  }
  Pack(info, rich);
  if (!detail.field.empty()) {
    google::rpc::BadRequest bad_request;
    auto* violation = bad_request.add_field_violations();
    violation->set_field(detail.field);
    violation->set_description(std::string(status.message()));
    Pack(bad_request, rich);
  }
  if (!detail.quota.empty()) {
    google::rpc::QuotaFailure quota;
    auto* violation = quota.add_violations();
    violation->set_subject(detail.quota);
    violation->set_description(std::string(status.message()));
    Pack(quota, rich);
  }
  if (detail.retry_after) {
    google::rpc::RetryInfo retry;
    const int64_t millis = detail.retry_after->count();
    retry.mutable_retry_delay()->set_seconds(millis / 1000);
    retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(millis % 1000) *
                                           1'000'000);
    Pack(retry, rich);
  }
  // absl and gRPC number the canonical codes alike.
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      std::string(status.message()), rich.SerializeAsString());
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  base::ErrorDetail detail;
  google::rpc::Status rich;
  if (rich.ParseFromString(status.error_details())) {
    for (const auto& any : rich.details()) {
      google::rpc::ErrorInfo info;
      google::rpc::BadRequest bad_request;
      google::rpc::QuotaFailure quota;
      google::rpc::RetryInfo retry;
      if (any.UnpackTo(&info)) {
        detail.reason = info.reason();
        detail.metadata = {info.metadata().begin(), info.metadata().end()};
      } else if (any.UnpackTo(&bad_request)) {
        if (bad_request.field_violations_size() > 0) {
          detail.field = bad_request.field_violations(0).field();
        }
      } else if (any.UnpackTo(&quota)) {
        if (quota.violations_size() > 0) {
          detail.quota = quota.violations(0).subject();
        }
      } else if (any.UnpackTo(&retry)) {
        detail.retry_after =
            std::chrono::seconds(retry.retry_delay().seconds()) +
            std::chrono::milliseconds(retry.retry_delay().nanos() / 1'000'000);
      }
    }
  }
  return base::Error(static_cast<absl::StatusCode>(status.error_code()),
                     status.error_message(), detail);
}

}  // namespace mneme::proto
