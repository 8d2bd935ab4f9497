// LongMem, through the server's chunked kNN tier, gated, and a window with
// ALiBi.

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "tests/golden/methods.h"
#include "tests/golden/wire.h"

namespace mneme::golden {
namespace {

struct Setting {
  int64_t chunk, chunks;          // Tokens a chunk; chunks a row reads.
  std::vector<int64_t> segments;  // Tokens of each past segment that count.
  int64_t memory = 0;             // Their sum.
  Heads in;                       // Memory, then the local tokens.
  v1::Profile profile;
};

// Rows [begin, begin + count) of every head of `rows`, behind those in `heads`.
void Take(const Array& rows, int64_t begin, int64_t count,
          std::vector<std::vector<float>>& heads) {
  const int64_t dim = rows.shape[2];
  for (size_t h = 0; h < heads.size(); ++h) {
    const auto head = rows.values.begin() + h * rows.shape[1] * dim;
    heads[h].insert(heads[h].end(), head + begin * dim,
                    head + (begin + count) * dim);
  }
}

std::vector<float> Joined(const std::vector<std::vector<float>>& heads) {
  std::vector<float> joined;
  for (const auto& head : heads) {
    joined.insert(joined.end(), head.begin(), head.end());
  }
  return joined;
}

// Reads the tokens, without the tails of past segments that fill no chunk: the
// reference drops them.
absl::Status ReadTokens(const Case& c, Setting& setting) {
  ASSIGN_OR_RETURN(setting.in, ReadHeads(c));
  Heads& in = setting.in;
  ASSIGN_OR_RETURN(const Array k, c.Tensor("k", 3));
  ASSIGN_OR_RETURN(const Array v, c.Tensor("v", 3));
  ASSIGN_OR_RETURN(const Array past_k, c.Tensor("past_k", 3));
  ASSIGN_OR_RETURN(const Array past_v, c.Tensor("past_v", 3));
  ASSIGN_OR_RETURN(const auto lengths, c.Numbers("past_segments"));
  const auto fit = [](const Array& past, const Array& local) {
    return past.shape[0] == local.shape[0] && past.shape[2] == local.shape[2];
  };
  if (!fit(past_k, k) || !fit(past_v, v) || in.rows != in.tokens ||
      past_k.shape[1] != past_v.shape[1]) {
    return absl::InvalidArgumentError("past and local tokens do not fit");
  }
  std::vector<std::vector<float>> keys(in.kv_heads), values(in.kv_heads);
  int64_t begin = 0;
  for (const double length : lengths) {
    if (!(length >= 0 &&
          begin + length <= static_cast<double>(past_k.shape[1]))) {
      return absl::InvalidArgumentError("past_segments do not fit past_k");
    }
    const auto tokens = static_cast<int64_t>(length);
    const int64_t whole = tokens / setting.chunk * setting.chunk;
    Take(past_k, begin, whole, keys);
    Take(past_v, begin, whole, values);
    setting.segments.push_back(whole);
    setting.memory += whole;
    begin += tokens;
  }
  Take(k, 0, in.rows, keys);
  Take(v, 0, in.rows, values);
  in.tokens = setting.memory + in.rows;
  in.k = Joined(keys);
  in.v = Joined(values);
  return absl::OkStatus();
}

absl::StatusOr<Setting> ReadSetting(const Case& c) {
  Setting setting;
  ASSIGN_OR_RETURN(setting.chunk, WholeNumber(c, "chunk_size", 2, 4096));
  ASSIGN_OR_RETURN(const int64_t top_k,
                   WholeNumber(c, "k", setting.chunk, 1 << 20));
  ASSIGN_OR_RETURN(const int64_t capacity,
                   WholeNumber(c, "memory_size", setting.chunk, 1 << 30));
  ASSIGN_OR_RETURN(const double scale, Required(c, "scale"));
  ASSIGN_OR_RETURN(const bool alibi, c.Flag("alibi_local"));
  ASSIGN_OR_RETURN(const std::string dtype, c.Text("memory_dtype"));
  ASSIGN_OR_RETURN(const Array bias, c.Tensor("memory_bias", 1));
  setting.chunks = top_k / setting.chunk;
  RETURN_IF_ERROR(ReadTokens(c, setting));
  const Heads& in = setting.in;
  if (!alibi || dtype != "float16" || bias.shape[0] != in.heads ||
      in.heads != in.kv_heads) {
    return absl::InvalidArgumentError("not a case of longmem");
  }
  setting.profile = PresetFor("longmem", in, scale);
  v1::WindowTier& window = *setting.profile.mutable_window();
  window.set_tokens(static_cast<uint32_t>(in.tokens));
  window.set_commit(v1::COMMIT_POLICY_DUMP);
  v1::KnnTier& knn = *setting.profile.mutable_knn();
  knn.set_top_k(static_cast<uint32_t>(setting.chunks * setting.chunk));
  knn.mutable_positions()->set_policy(v1::POSITION_POLICY_NONE);
  knn.set_data_type(v1::DATA_TYPE_FLOAT16);
  knn.set_chunk_tokens(static_cast<uint32_t>(setting.chunk));
  knn.set_max_tokens(static_cast<uint64_t>(capacity));
  for (const float logit : bias.Floats()) knn.add_gate_logits(logit);
  return setting;
}

// q . mean key of a chunk, in double.
double ScoreOf(const Setting& setting, int64_t head, int64_t row,
               int64_t chunk) {
  const Heads& in = setting.in;
  const float* const q = in.q.data() + (head * in.rows + row) * in.key_dim;
  const float* const keys =
      in.k.data() + (head * in.tokens + chunk * setting.chunk) * in.key_dim;
  double sum = 0;
  for (int64_t i = 0; i < setting.chunk * in.key_dim; ++i) {
    sum += double{q[i % in.key_dim]} * keys[i];
  }
  return sum / static_cast<double>(setting.chunk);
}

// The chunks that the server read, in the order of their scores: items come by
// the shares of their tokens.
std::vector<double> ChunksOf(const Setting& setting,
                             const WireSession::Answer& answer) {
  const Heads& in = setting.in;
  std::vector<double> all;
  for (int64_t i = 0; i < in.heads * in.rows; ++i) {
    std::vector<std::pair<double, int64_t>> chosen;
    for (const uint64_t seq : answer.items[i]) {
      const auto chunk = static_cast<int64_t>(seq) / setting.chunk;
      chosen.push_back(
          {-ScoreOf(setting, i / in.rows, i % in.rows, chunk), chunk});
    }
    std::sort(chosen.begin(), chosen.end());
    chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
    for (const auto& [score, chunk] : chosen) {
      all.push_back(static_cast<double>(chunk));
    }
  }
  return all;
}

}  // namespace

absl::StatusOr<Outputs> LongMem(const Case& c, client::Client& client) {
  ASSIGN_OR_RETURN(const Setting setting, ReadSetting(c));
  const Heads& in = setting.in;
  ASSIGN_OR_RETURN(const auto session,
                   WireSession::Create(client, setting.profile));
  int64_t begin = 0;
  for (const int64_t count : setting.segments) {
    if (count == 0) continue;
    RETURN_IF_ERROR(session->Append(in, begin, begin + count,
                                    Positions(begin, begin + count)));
    RETURN_IF_ERROR(session->CommitWindow(0));
    begin += count;
  }
  const std::vector<int64_t> positions = Positions(begin, in.tokens);
  RETURN_IF_ERROR(session->Append(in, begin, in.tokens, positions));
  ASSIGN_OR_RETURN(const WireSession::Answer mixed,
                   session->Attend(in, 0, in.rows, positions, {}));
  ASSIGN_OR_RETURN(const WireSession::Answer memory,
                   session->Attend(in, 0, in.rows, positions,
                                   {.tiers = {v1::TIER_KNN}, .top_items = 64}));
  ASSIGN_OR_RETURN(const WireSession::Tokens stored,
                   session->ReadTokens(in, {v1::TIER_KNN}));
  Outputs outputs;
  outputs["out"].assign(mixed.out.begin(), mixed.out.end());
  outputs["mem_lse"].assign(memory.lse.begin(), memory.lse.end());
  outputs["chunk_idx"] = ChunksOf(setting, memory);
  outputs["mem_keys_fp16"].assign(stored.keys.begin(), stored.keys.end());
  return outputs;
}

}  // namespace mneme::golden
