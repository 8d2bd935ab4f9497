#include "tests/golden/wire.h"

#include <atomic>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace mneme::golden {
namespace {

// Rows [begin, end) of every head of [heads, rows, dim].
std::vector<float> RowsOf(const std::vector<float>& all, int64_t heads,
                          int64_t rows, int64_t dim, int64_t begin,
                          int64_t end) {
  std::vector<float> chosen;
  chosen.reserve(heads * (end - begin) * dim);
  for (int64_t h = 0; h < heads; ++h) {
    const auto head = all.begin() + h * rows * dim;
    chosen.insert(chosen.end(), head + begin * dim, head + end * dim);
  }
  return chosen;
}

void Fill(const std::vector<float>& values, std::vector<int64_t> shape,
          v1::Tensor* tensor) {
  tensor->set_data_type(v1::DATA_TYPE_FLOAT32);
  tensor->mutable_shape()->Assign(shape.begin(), shape.end());
  tensor->set_data(values.data(), values.size() * sizeof(float));
}

// Errors: INTERNAL unless it holds `count` FLOAT32 elements.
absl::StatusOr<std::vector<float>> FloatsOf(const v1::Tensor& tensor,
                                            size_t count,
                                            const std::string& name) {
  if (tensor.data_type() != v1::DATA_TYPE_FLOAT32 ||
      tensor.data().size() != count * sizeof(float)) {
    return absl::InternalError(
        absl::StrCat("the server's ", name, " has ", tensor.data().size(),
                     " bytes; expected ", count, " FLOAT32 elements"));
  }
  std::vector<float> values(count);
  std::memcpy(values.data(), tensor.data().data(), tensor.data().size());
  return values;
}

std::string FreshName() {
  static std::atomic<int> counter = 0;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return absl::StrCat("namespaces/golden/sessions/case-", now.count(), "-",
                      counter++);
}

}  // namespace

v1::Profile ProfileFor(const Heads& in, double scale) {
  v1::Profile profile;
  profile.set_layers(1);
  profile.set_query_heads(static_cast<uint32_t>(in.heads));
  profile.set_kv_heads(static_cast<uint32_t>(in.kv_heads));
  profile.set_key_dim(static_cast<uint32_t>(in.key_dim));
  profile.set_value_dim(static_cast<uint32_t>(in.value_dim));
  profile.set_data_type(v1::DATA_TYPE_FLOAT32);
  profile.set_logit_scale(scale);
  return profile;
}

absl::StatusOr<std::unique_ptr<WireSession>> WireSession::Create(
    client::Client& client, const v1::Profile& profile) {
  v1::CreateSessionRequest request;
  request.set_session(FreshName());
  *request.mutable_profile() = profile;
  RETURN_IF_ERROR(client.CreateSession(request).status());
  return std::unique_ptr<WireSession>(
      new WireSession(client, request.session()));
}

WireSession::~WireSession() {
  // What stays behind after a failure to delete harms no later case.
  client_.DeleteSession(name_).IgnoreError();
}

absl::Status WireSession::Append(const Heads& in, int64_t begin, int64_t end,
                                 const std::vector<int64_t>& positions) {
  v1::AppendRequest request;
  request.set_session(name_);
  v1::TokenRows& tokens = *request.mutable_tokens();
  const int64_t count = end - begin;
  Fill(RowsOf(in.k, in.kv_heads, in.tokens, in.key_dim, begin, end),
       {1, in.kv_heads, count, in.key_dim}, tokens.mutable_keys());
  Fill(RowsOf(in.v, in.kv_heads, in.tokens, in.value_dim, begin, end),
       {1, in.kv_heads, count, in.value_dim}, tokens.mutable_values());
  tokens.mutable_positions()->Assign(positions.begin(), positions.end());
  return client_.Append(request).status();
}

absl::StatusOr<WireSession::Answer> WireSession::Attend(
    const Heads& in, int64_t begin, int64_t end,
    const std::vector<int64_t>& positions, std::optional<v1::Tier> tier) {
  v1::AttendRequest request;
  request.set_session(name_);
  v1::LayerRead& read = *request.add_reads();
  const int64_t count = end - begin;
  Fill(RowsOf(in.q, in.heads, in.rows, in.key_dim, begin, end),
       {in.heads, count, in.key_dim}, read.mutable_queries());
  read.mutable_positions()->Assign(positions.begin(), positions.end());
  request.mutable_selection()->set_exhaustive(true);
  if (tier) request.add_tiers(*tier);
  ASSIGN_OR_RETURN(const v1::AttendResponse response, client_.Attend(request));
  if (response.outputs_size() != 1) {
    return absl::InternalError("one read, but not one output");
  }
  const v1::LayerOutput& output = response.outputs(0);
  Answer answer;
  ASSIGN_OR_RETURN(
      answer.out,
      FloatsOf(output.output(), in.heads * count * in.value_dim, "output"));
  if (output.has_lse()) {
    ASSIGN_OR_RETURN(answer.lse,
                     FloatsOf(output.lse(), in.heads * count, "lse"));
  }
  return answer;
}

absl::StatusOr<WireSession::State> WireSession::CompressiveState(
    uint64_t absorbed_seq) {
  ASSIGN_OR_RETURN(const v1::GetCompressiveStateResponse response,
                   client_.GetCompressiveState(name_, /*layer=*/0));
  if (response.absorbed_seq() != absorbed_seq) {
    return absl::InternalError(
        absl::StrCat("the state has absorbed the log below ",
                     response.absorbed_seq(), "; expected ", absorbed_seq));
  }
  const auto& z = response.normalizer().shape();
  const auto& m = response.matrix().shape();
  if (z.size() != 2 || m.size() != 3) {
    return absl::InternalError("a state of unexpected rank");
  }
  State state;
  ASSIGN_OR_RETURN(state.matrix,
                   FloatsOf(response.matrix(), m[0] * m[1] * m[2], "matrix"));
  ASSIGN_OR_RETURN(state.normalizer,
                   FloatsOf(response.normalizer(), z[0] * z[1], "normalizer"));
  return state;
}

}  // namespace mneme::golden
