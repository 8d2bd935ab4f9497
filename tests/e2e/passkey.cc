// mneme_passkey --mneme PATH [--tokens N]: what comes back out of a memory of N
// tokens, by keys made by hand.
//
// A needle's key is a code word of its own: one pair of components that YaRN at
// factor 32 turns by less than one radian over 32 * 32,768 positions. All other
// tokens have noise in the faster pairs, where no query looks. So a query for a
// needle has a logit of 36 and more at the needle, at whatever distance, and 0
// everywhere else, and attention must return the needle's value to the bit.
//
// Compressive memory is not exact, and its capacity is printed: of n random
// keys and values, the share whose value is the nearest to what their key
// reads.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/client.h"
#include "proto/status.h"
#include "tests/client/temporary_dir.h"
#include "tests/e2e/flags.h"
#include "tests/e2e/server_process.h"

namespace mneme::e2e {
namespace {

constexpr int64_t kKeyDim = 128;
constexpr int64_t kValueDim = 16;
constexpr int kPairs = kKeyDim / 2;
constexpr int kNeedles = 11;  // At depths of 0, 10, ..., 100 percent.
constexpr double kTheta = 500000;
constexpr double kFactor = 32;
constexpr int64_t kTrained = 32768;
// Of a matching logit before the turn: |q| |k| = 500, times m^2 / sqrt(128).
constexpr float kKeyLength = 20;
constexpr float kQueryLength = 25;
constexpr uint64_t kChunk = 16384;  // Tokens an append.

// Component of the pair of a needle's code word: the slowest pairs.
int CodeWord(int needle) { return kPairs - 1 - needle; }

v1::Tensor TensorOf(std::vector<int64_t> shape,
                    const std::vector<float>& numbers) {
  v1::Tensor tensor;
  tensor.set_data_type(v1::DATA_TYPE_FLOAT32);
  for (const int64_t extent : shape) tensor.add_shape(extent);
  tensor.set_data(numbers.data(), numbers.size() * sizeof(float));
  return tensor;
}

std::vector<float> FloatsOf(const v1::Tensor& tensor) {
  std::vector<float> numbers(tensor.data().size() / sizeof(float));
  std::memcpy(numbers.data(), tensor.data().data(), tensor.data().size());
  return numbers;
}

// A preset with the geometry of the model made by hand, and YaRN or not.
v1::Profile ProfileOf(const std::string& preset, bool yarn) {
  v1::Profile profile;
  profile.set_preset(preset);
  profile.set_layers(1);
  profile.set_query_heads(1);
  profile.set_kv_heads(1);
  profile.set_key_dim(kKeyDim);
  profile.set_value_dim(kValueDim);
  profile.set_data_type(v1::DATA_TYPE_FLOAT32);
  profile.mutable_position()->set_theta(kTheta);
  profile.mutable_position()->set_family(v1::POSITION_FAMILY_ROPE);
  if (!yarn) return profile;
  profile.mutable_position()->set_family(v1::POSITION_FAMILY_YARN);
  profile.mutable_position()->mutable_yarn()->set_factor(kFactor);
  profile.mutable_position()->mutable_yarn()->set_original_length(kTrained);
  return profile;
}

class Haystack {
 public:
  Haystack(client::Client& client, std::string session, uint64_t tokens)
      : client_(client), session_(std::move(session)), tokens_(tokens) {
    std::mt19937_64 random(1);
    std::normal_distribution<float> normal;
    for (int needle = 0; needle < kNeedles; ++needle) {
      seqs_.push_back((tokens - 1) * needle / (kNeedles - 1));
      values_.emplace_back(kValueDim);
      // Of bfloat16, which is what longllama keeps. Not 0: beside the e^-40 of
      // a million others, it alone would not be the nearest float.
      for (float& x : values_.back()) {
        x = std::round(16 * normal(random)) / 16;
        if (x == 0) x = 1.0F / 16;
      }
    }
  }

  absl::Status Append() {
    std::mt19937_64 random(2);
    std::normal_distribution<float> normal;
    for (uint64_t first = 0; first < tokens_; first += kChunk) {
      const uint64_t count = std::min(kChunk, tokens_ - first);
      std::vector<float> keys(count * kKeyDim, 0);
      std::vector<float> values(count * kValueDim);
      for (float& x : values) x = normal(random);
      for (uint64_t i = 0; i < count; ++i) {
        // The pairs of code words, and the two beyond, stay empty.
        for (int pair = 0; pair < kPairs - kNeedles - 2; ++pair) {
          keys[i * kKeyDim + pair] = normal(random);
          keys[i * kKeyDim + pair + kPairs] = normal(random);
        }
      }
      for (int needle = 0; needle < kNeedles; ++needle) {
        if (seqs_[needle] < first || seqs_[needle] >= first + count) continue;
        const uint64_t i = seqs_[needle] - first;
        std::fill_n(&keys[i * kKeyDim], kKeyDim, 0.0F);
        keys[i * kKeyDim + CodeWord(needle)] = kKeyLength;
        std::copy(values_[needle].begin(), values_[needle].end(),
                  &values[i * kValueDim]);
      }
      v1::AppendRequest request;
      request.set_session(session_);
      request.set_acknowledge(v1::ACKNOWLEDGE_BUFFERED);
      const auto rows = static_cast<int64_t>(count);
      *request.mutable_tokens()->mutable_keys() =
          TensorOf({1, 1, rows, kKeyDim}, keys);
      *request.mutable_tokens()->mutable_values() =
          TensorOf({1, 1, rows, kValueDim}, values);
      RETURN_IF_ERROR(client_.Append(request).status());
    }
    return absl::OkStatus();
  }

  // Asks for every needle from behind the log; returns how many came back to
  // the bit, and prints them.
  absl::StatusOr<int> Find(const std::string& preset) {
    std::vector<float> queries(kNeedles * kKeyDim, 0);
    for (int needle = 0; needle < kNeedles; ++needle) {
      queries[needle * kKeyDim + CodeWord(needle)] = kQueryLength;
    }
    v1::AttendRequest request;
    request.set_session(session_);
    *request.add_reads()->mutable_queries() =
        TensorOf({1, kNeedles, kKeyDim}, queries);
    ASSIGN_OR_RETURN(const v1::AttendResponse response,
                     client_.Attend(request));
    const std::vector<float> found = FloatsOf(response.outputs(0).output());
    int exact = 0;
    std::printf("%-16s", preset.c_str());
    for (int needle = 0; needle < kNeedles; ++needle) {
      const bool same =
          std::equal(values_[needle].begin(), values_[needle].end(),
                     &found[needle * kValueDim]);
      exact += same;
      std::printf(" %5s", same ? "exact" : "LOST");
    }
    std::printf("\n");
    return exact;
  }

 private:
  client::Client& client_;
  const std::string session_;
  const uint64_t tokens_;
  std::vector<uint64_t> seqs_;
  std::vector<std::vector<float>> values_;
};

absl::StatusOr<int> RunPreset(client::Client& client, const std::string& preset,
                              bool yarn, uint64_t tokens) {
  v1::CreateSessionRequest create;
  create.set_session("namespaces/default/sessions/" + preset);
  *create.mutable_profile() = ProfileOf(preset, yarn);
  RETURN_IF_ERROR(client.CreateSession(create).status());
  Haystack haystack(client, create.session(), tokens);
  RETURN_IF_ERROR(haystack.Append());
  ASSIGN_OR_RETURN(
      const int exact,
      haystack.Find(yarn ? preset : absl::StrCat(preset, ", RoPE")));
  RETURN_IF_ERROR(client.DeleteSession(create.session()).status());
  return exact;
}

// The share of `count` random items whose value is the nearest of all to what
// compressive memory reads for their key.
absl::StatusOr<double> Recovered(client::Client& client, bool delta,
                                 int count) {
  constexpr int kSegment = 16;
  constexpr int kDim = 128;
  v1::CreateSessionRequest create;
  create.set_session("namespaces/default/sessions/infini");
  v1::Profile& profile = *create.mutable_profile();
  profile.set_preset("infini");
  profile.set_layers(1);
  profile.set_query_heads(1);
  profile.set_kv_heads(1);
  profile.set_data_type(v1::DATA_TYPE_FLOAT32);
  v1::CompressiveTier& tier = *profile.mutable_compressive();
  tier.set_segment_tokens(kSegment);
  tier.set_update(delta ? v1::UPDATE_RULE_DELTA : v1::UPDATE_RULE_LINEAR);
  tier.add_gate_logits(0);
  RETURN_IF_ERROR(client.CreateSession(create).status());
  std::mt19937_64 random(3);
  std::normal_distribution<float> normal;
  // One token more closes the last segment.
  std::vector<float> keys((count + 1) * kDim);
  std::vector<float> values(keys.size());
  for (float& x : keys) x = normal(random);
  for (float& x : values) x = normal(random);
  v1::AppendRequest append;
  append.set_session(create.session());
  *append.mutable_tokens()->mutable_keys() =
      TensorOf({1, 1, count + 1, kDim}, keys);
  *append.mutable_tokens()->mutable_values() =
      TensorOf({1, 1, count + 1, kDim}, values);
  RETURN_IF_ERROR(client.Append(append).status());
  v1::AttendRequest request;
  request.set_session(create.session());
  request.add_tiers(v1::TIER_COMPRESSIVE);
  keys.resize(count * kDim);
  *request.add_reads()->mutable_queries() = TensorOf({1, count, kDim}, keys);
  *request.mutable_reads(0)->mutable_compressive_gates() =
      TensorOf({1, count}, std::vector<float>(count, 1));
  ASSIGN_OR_RETURN(const v1::AttendResponse response, client.Attend(request));
  RETURN_IF_ERROR(client.DeleteSession(create.session()).status());
  const std::vector<float> read = FloatsOf(response.outputs(0).output());
  int recovered = 0;
  for (int i = 0; i < count; ++i) {
    // By cosine: reads shrink as the memory fills.
    double best = -2;
    int nearest = -1;
    for (int j = 0; j < count; ++j) {
      double dot = 0;
      double square = 0;
      for (int d = 0; d < kDim; ++d) {
        dot += double{read[i * kDim + d]} * values[j * kDim + d];
        square += double{values[j * kDim + d]} * values[j * kDim + d];
      }
      const double cosine = dot / std::sqrt(square);
      if (cosine > best) {
        best = cosine;
        nearest = j;
      }
    }
    recovered += nearest == i;
  }
  return static_cast<double>(recovered) / count;
}

absl::Status Run(const Flags& flags) {
  ASSIGN_OR_RETURN(const uint64_t tokens, flags.Number("tokens"));
  if (tokens < 2 * kNeedles || tokens > kFactor * kTrained) {
    return absl::InvalidArgumentError(
        absl::StrCat("--tokens: got ", tokens, "; expected ", 2 * kNeedles,
                     " to ", static_cast<int64_t>(kFactor) * kTrained));
  }
  const testing::TemporaryDir scratch;
  ServerProcess server(flags.Text("mneme"), scratch.Path(""));
  RETURN_IF_ERROR(server.Start());
  client::Client client(client::Connect(server.address()));
  std::printf("needles in %lu tokens, by depth in percent\n%-16s", tokens, "");
  for (int needle = 0; needle < kNeedles; ++needle) {
    std::printf(" %5d", 100 * needle / (kNeedles - 1));
  }
  std::printf("\n");
  for (const char* preset : {"longllama", "fot", "retrieval"}) {
    ASSIGN_OR_RETURN(const int exact, RunPreset(client, preset, true, tokens));
    if (exact == kNeedles) continue;
    return absl::InternalError(absl::StrCat(preset, ": ", exact, " of ",
                                            kNeedles, " needles came back"));
  }
  // Without YaRN code words turn away from the query: the needles are no gift.
  ASSIGN_OR_RETURN(const int turned,
                   RunPreset(client, "retrieval", false, tokens));
  if (turned == kNeedles && tokens == kFactor * kTrained) {
    return absl::InternalError("plain RoPE found every needle as well");
  }
  std::printf(
      "\nitems recovered from the state of infini, 128 x 128 a head\n"
      "%-10s %7s %7s\n",
      "stored", "linear", "delta");
  for (int count = 16; count <= 1024; count *= 2) {
    ASSIGN_OR_RETURN(const double linear, Recovered(client, false, count));
    ASSIGN_OR_RETURN(const double delta, Recovered(client, true, count));
    std::printf("%-10d %6.1f%% %6.1f%%\n", count, 100 * linear, 100 * delta);
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace mneme::e2e

int main(int argc, char** argv) {
  using mneme::e2e::Flags;
  const auto flags =
      Flags::Parse(argc, argv, {{"mneme", ""}, {"tokens", "1048576"}});
  const absl::Status status =
      flags.ok() ? mneme::e2e::Run(*flags) : flags.status();
  if (status.ok()) return 0;
  std::fprintf(stderr, "passkey: %s\n", std::string(status.message()).c_str());
  return 1;
}
