// mneme_vanishing_client ADDRESS SESSION stream|append: writes one token after
// the other, prints a line for each answer, and never stops by itself. A test
// kills it to see what a client that is gone leaves behind.

#include <cstdio>
#include <cstring>
#include <string>

#include "client/client.h"
#include "proto/status.h"

namespace mneme::e2e {
namespace {

// One token of a bank of 4 components, FLOAT32.
v1::AppendRequest OneToken(const std::string& session) {
  v1::AppendRequest request;
  request.set_session(session);
  request.set_acknowledge(v1::ACKNOWLEDGE_BUFFERED);
  const float row[4] = {1, 2, 3, 4};
  v1::TokenRows& tokens = *request.mutable_tokens();
  for (v1::Tensor* tensor : {tokens.mutable_keys(), tokens.mutable_values()}) {
    tensor->set_data_type(v1::DATA_TYPE_FLOAT32);
    for (const int extent : {1, 1, 1, 4}) tensor->add_shape(extent);
    tensor->set_data(row, sizeof(row));
  }
  return request;
}

void Report(const v1::AppendResponse& response) {
  std::printf("%llu\n", static_cast<unsigned long long>(response.seq_next()));
  std::fflush(stdout);
}

absl::Status Stream(client::Client& client, const std::string& session) {
  grpc::ClientContext context;
  const auto stream = client.stub().AttendStream(&context);
  v1::AttendStreamRequest step;
  *step.mutable_append() = OneToken(session);
  v1::AttendStreamResponse answer;
  while (stream->Write(step) && stream->Read(&answer)) Report(answer.append());
  return proto::FromGrpc(stream->Finish());
}

absl::Status Unary(client::Client& client, const std::string& session) {
  for (;;) {
    const auto response = client.Append(OneToken(session));
    if (!response.ok()) return response.status();
    Report(*response);
  }
}

}  // namespace
}  // namespace mneme::e2e

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  mneme::client::Client client(mneme::client::Connect(argv[1]));
  const absl::Status status = std::strcmp(argv[3], "stream") == 0
                                  ? mneme::e2e::Stream(client, argv[2])
                                  : mneme::e2e::Unary(client, argv[2]);
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  return 1;
}
