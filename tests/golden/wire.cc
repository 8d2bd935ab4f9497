#include "tests/golden/wire.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <numeric>

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

// Rows of [heads, old + count, width]: `part`, [heads, count, width], behind
// those that are there.
void AppendRows(const std::vector<float>& part, int64_t heads, int64_t old,
                int64_t width, std::vector<float>& whole) {
  const int64_t size = static_cast<int64_t>(part.size()) / heads;
  std::vector<float> joined;
  joined.reserve(whole.size() + part.size());
  for (int64_t h = 0; h < heads; ++h) {
    const auto before = whole.begin() + h * old * width;
    joined.insert(joined.end(), before, before + old * width);
    const auto behind = part.begin() + h * size;
    joined.insert(joined.end(), behind, behind + size);
  }
  whole = std::move(joined);
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

v1::Profile PresetFor(const std::string& preset, const Heads& in,
                      double scale) {
  v1::Profile profile = ProfileFor(in, scale);
  profile.set_preset(preset);
  return profile;
}

v1::PositionEncoding RopeOf(double theta) {
  v1::PositionEncoding position;
  position.set_family(v1::POSITION_FAMILY_ROPE);
  position.set_layout(v1::ROTARY_LAYOUT_HALF_SPLIT);
  position.set_theta(theta);
  return position;
}

std::vector<int64_t> Positions(int64_t begin, int64_t end) {
  std::vector<int64_t> positions(end - begin);
  std::iota(positions.begin(), positions.end(), begin);
  return positions;
}

void PlaceRows(const std::vector<float>& part, int64_t heads, int64_t rows,
               int64_t width, int64_t begin, std::vector<double>& whole) {
  whole.resize(heads * rows * width);
  const int64_t size = static_cast<int64_t>(part.size()) / heads;
  for (int64_t h = 0; h < heads; ++h) {
    std::copy_n(part.begin() + h * size, size,
                whole.begin() + (h * rows + begin) * width);
  }
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
    const std::vector<int64_t>& positions, const Reading& reading) {
  v1::AttendRequest request;
  request.set_session(name_);
  v1::LayerRead& read = *request.add_reads();
  const int64_t count = end - begin;
  Fill(RowsOf(in.q, in.heads, in.rows, in.key_dim, begin, end),
       {in.heads, count, in.key_dim}, read.mutable_queries());
  read.mutable_positions()->Assign(positions.begin(), positions.end());
  for (const v1::Tier tier : reading.tiers) request.add_tiers(tier);
  request.set_top_items(reading.top_items);
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
  answer.items.resize(in.heads * count);
  for (const v1::AttendedItem& item : output.items()) {
    if (item.head() >= in.heads || item.row() >= count) {
      return absl::InternalError("an item of a row that did not ask");
    }
    answer.items[item.head() * count + item.row()].push_back(item.seq());
  }
  return answer;
}

absl::Status WireSession::Step(const Heads& in, int64_t begin, int64_t end,
                               Outputs& outputs) {
  const std::vector<int64_t> positions = Positions(begin, end);
  RETURN_IF_ERROR(Append(in, begin, end, positions));
  ASSIGN_OR_RETURN(const Answer answer, Attend(in, begin, end, positions, {}));
  PlaceRows(answer.out, in.heads, in.rows, in.value_dim, begin, outputs["out"]);
  PlaceRows(answer.lse, in.heads, in.rows, 1, begin, outputs["lse"]);
  return absl::OkStatus();
}

absl::Status WireSession::CommitWindow(int64_t keep) {
  v1::CommitWindowRequest request;
  request.set_session(name_);
  request.set_keep_tokens(static_cast<uint32_t>(keep));
  return client_.CommitWindow(request).status();
}

absl::StatusOr<WireSession::Tokens> WireSession::ReadTokens(
    const Heads& in, const std::vector<v1::Tier>& tiers) {
  v1::ReadTokensRequest request;
  request.set_tensors(true);
  request.set_session(name_);
  for (const v1::Tier tier : tiers) request.add_tiers(tier);
  Tokens tokens;
  while (true) {
    ASSIGN_OR_RETURN(const v1::ReadTokensResponse page,
                     client_.ReadTokens(request));
    const int64_t count = page.seqs_size();
    ASSIGN_OR_RETURN(
        const std::vector<float> keys,
        FloatsOf(page.keys(), in.kv_heads * count * in.key_dim, "keys"));
    ASSIGN_OR_RETURN(
        const std::vector<float> values,
        FloatsOf(page.values(), in.kv_heads * count * in.value_dim, "values"));
    AppendRows(keys, in.kv_heads, tokens.count, in.key_dim, tokens.keys);
    AppendRows(values, in.kv_heads, tokens.count, in.value_dim, tokens.values);
    tokens.count += count;
    if (!page.has_next_seq()) return tokens;
    request.set_seq_begin(page.next_seq());
  }
}

absl::StatusOr<v1::SessionStats> WireSession::Stats() {
  ASSIGN_OR_RETURN(const v1::StatsResponse response, client_.Stats(name_));
  return response.session();
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
