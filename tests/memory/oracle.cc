#include "tests/memory/oracle.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "attention/dtype.h"
#include "attention/gate.h"
#include "tests/reference/compressive.h"
#include "tests/reference/rope.h"

namespace mneme::memory {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double LogSumExp(const std::vector<double>& numbers) {
  double largest = -kInfinity;
  for (const double x : numbers) largest = std::max(largest, x);
  if (largest == -kInfinity) return largest;
  double total = 0;
  for (const double x : numbers) total += std::exp(x - largest);
  return largest + std::log(total);
}

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

Oracle::Oracle(const LogView& view, const attention::PositionEncoder& encoder)
    : view_(view),
      profile_(*view.profile),
      encoder_(encoder),
      ranges_(view.ranges()) {}

size_t Oracle::BankOf(const Asked& asked) const {
  return size_t{asked.read.layer} * profile_.kv_heads +
         asked.head / profile_.group_size();
}

std::vector<float> Oracle::Row(size_t bank, uint64_t seq, bool values) const {
  const RowBlock& block = *(*view_.rows)[seq / kBlockTokens];
  const size_t row = seq % kBlockTokens;
  std::vector<float> out(values ? profile_.value_dim : profile_.key_dim);
  attention::ToFloat(profile_.dtype,
                     values ? block.values(bank) + row * profile_.value_bytes()
                            : block.keys(bank) + row * profile_.key_bytes(),
                     out.size(), out.data());
  return out;
}

int64_t Oracle::PositionOf(uint64_t seq) const {
  return (*view_.rows)[seq / kBlockTokens]->positions()[seq % kBlockTokens];
}

std::vector<uint64_t> Oracle::LiveIn(SeqRange range, int64_t position) const {
  std::vector<uint64_t> seqs;
  for (uint64_t seq = range.begin; seq < range.end; ++seq) {
    if (!view_.forgotten->Contains(seq) && PositionOf(seq) <= position) {
      seqs.push_back(seq);
    }
  }
  return seqs;
}

std::vector<double> Oracle::Normalized(const std::vector<float>& row) const {
  std::vector<double> out(row.begin(), row.end());
  double square = 0;
  for (const double x : out) square += x * x;
  double norm = 1;
  if (profile_.normalization == Normalization::kL2) {
    norm = std::max(std::sqrt(square), 1e-12);
  } else if (profile_.normalization == Normalization::kL2AddedEpsilon) {
    norm = std::sqrt(square + 1e-6);
  }
  for (double& x : out) x /= norm;
  return out;
}

// Cached tokens before a position, and beyond the log the rest of the way.
int64_t Oracle::RankOf(int64_t position) const {
  int64_t rank = 0;
  for (const SeqRange range : {ranges_.sink, ranges_.window}) {
    for (const uint64_t seq : LiveIn(range, position)) {
      rank += PositionOf(seq) < position;
    }
  }
  return rank + std::max<int64_t>(position - view_.position_next, 0);
}

std::pair<int64_t, int64_t> Oracle::AnglesOf(const PositionRule& rule,
                                             int64_t t, int64_t p) const {
  switch (rule.policy) {
    case PositionPolicy::kAbsolute:
      return {t, p};
    case PositionPolicy::kConst:
      return {rule.distance, 0};
    case PositionPolicy::kNone:
      return {0, 0};
    case PositionPolicy::kClamp:
      return {std::min(t - p, rule.distance), 0};
    case PositionPolicy::kCacheRank:
      return {RankOf(t), RankOf(p)};
    case PositionPolicy::kLocalOrigin:
      break;
  }
  int64_t origin = view_.position_next;
  const auto window =
      LiveIn(ranges_.window, std::numeric_limits<int64_t>::max());
  if (!window.empty()) origin = PositionOf(window.front());
  return {std::max<int64_t>(t - origin, 0), 0};
}

Oracle::Scored Oracle::Product(const PositionRule& rule, const Asked& asked,
                               const std::vector<double>& key,
                               int64_t p) const {
  const auto first =
      asked.read.queries.begin() +
      (asked.head * asked.read.rows + asked.row) * profile_.key_dim;
  const std::vector<double> query =
      Normalized(std::vector<float>(first, first + profile_.key_dim));
  const auto [query_angle, key_angle] = AnglesOf(rule, asked.position, p);
  // Everything that the read looks at counts for families that follow the
  // length.
  int64_t length = view_.position_next;
  for (const int64_t position : asked.read.positions) {
    length = std::max(length, position + 1);
  }
  if (asked.read.positions.empty()) ++length;
  if (rule.policy == PositionPolicy::kCacheRank) {
    length = 1;
    if (asked.read.positions.empty()) length = RankOf(asked.position) + 1;
    for (const int64_t position : asked.read.positions) {
      length = std::max(length, RankOf(position) + 1);
    }
  }
  const attention::PositionEncoder encoder =
      encoder_.ForLength(std::max<int64_t>(length, 1));
  const auto frequencies = encoder.inv_freq();
  const size_t n = encoder.rotary_dim();
  const bool interleaved =
      profile_.position.layout == attention::RotaryLayout::kInterleaved;
  // Rotations turn by the difference of the angles: pair by pair.
  double dot = 0;
  double magnitude = 0;
  double query_norm = 0;
  double key_norm = 0;
  std::vector<bool> turned(profile_.key_dim, false);
  for (size_t j = 0; j < n / 2; ++j) {
    const size_t a = interleaved ? 2 * j : j;
    const size_t b = interleaved ? 2 * j + 1 : j + n / 2;
    turned[a] = turned[b] = true;
    const auto [cos, sin] =
        reference::CosSin(query_angle - key_angle, frequencies[j]);
    double zeta = 1;
    if (profile_.position.family == attention::PositionFamily::kXpos) {
      const double width = static_cast<double>(n);
      zeta = std::pow(
          (2.0 * j / width + 0.4) / 1.4,
          (query_angle - key_angle) / profile_.position.xpos.scale_base);
    }
    const double x = query[a] * cos - query[b] * sin;
    const double y = query[a] * sin + query[b] * cos;
    dot += zeta * (x * key[a] + y * key[b]);
    magnitude += zeta * (std::abs(x * key[a]) + std::abs(y * key[b]));
  }
  for (size_t i = 0; i < query.size(); ++i) {
    query_norm += query[i] * query[i];
    key_norm += key[i] * key[i];
    if (turned[i]) continue;
    dot += query[i] * key[i];
    magnitude += std::abs(query[i] * key[i]);
  }
  const double m = encoder.attention_factor();
  double scale = profile_.logit_scale * m * m;
  if (!profile_.head_scales.empty()) {
    scale *=
        profile_.OfHead(profile_.head_scales, asked.read.layer, asked.head);
  }
  // The dot product's roundings; a few for the scale and the norms; each turned
  // component is off by a few units of its pair's length, on both sides.
  const double error = ((query.size() + 12) * magnitude +
                        24 * std::sqrt(query_norm * key_norm)) *
                       kUnit * scale;
  return {0, dot * scale, error};
}

void Oracle::Finish(const PositionRule& rule, const Asked& asked, int64_t p,
                    bool capped, Scored& scored) const {
  if (capped && profile_.logit_softcap > 0) {
    const double cap = profile_.logit_softcap;
    scored.logit = cap * std::tanh(scored.logit / cap);
    scored.error += 8 * kUnit * cap;
  }
  if (rule.policy != PositionPolicy::kAbsolute &&
      rule.policy != PositionPolicy::kClamp &&
      rule.policy != PositionPolicy::kCacheRank) {
    return;
  }
  const auto [query_angle, key_angle] = AnglesOf(rule, asked.position, p);
  const int64_t distance = query_angle - key_angle;
  double bias = 0;
  if (profile_.position.family == attention::PositionFamily::kAlibi) {
    const auto& alibi = profile_.position.alibi;
    bias = -attention::AlibiSlopes(
               alibi, static_cast<int>(profile_.query_heads))[asked.head] *
           static_cast<double>(
               std::min(distance, alibi.clip_distance.value_or(distance)));
  } else if (profile_.position.family ==
             attention::PositionFamily::kRelativeBias) {
    const auto& biases = profile_.position.relative_bias.biases;
    const auto count =
        static_cast<int64_t>(biases.size() / profile_.query_heads);
    bias = biases[asked.head * count + std::min(distance, count - 1)];
  }
  scored.logit += bias;
  if (bias != 0) scored.error += 2 * kUnit * std::abs(scored.logit);
}

Oracle::Scored Oracle::Logit(const PositionRule& rule,
                             std::optional<attention::DType> dtype,
                             const Asked& asked, uint64_t seq) const {
  std::vector<float> key = Row(BankOf(asked), seq, false);
  if (dtype) {
    std::vector<std::byte> narrow(key.size() * attention::SizeOf(*dtype));
    attention::FromFloat(*dtype, key.data(), key.size(), narrow.data());
    attention::ToFloat(*dtype, narrow.data(), key.size(), key.data());
  }
  const int64_t p = PositionOf(seq);
  Scored scored = Product(rule, asked, Normalized(key), p);
  Finish(rule, asked, p, /*capped=*/true, scored);
  scored.seq = seq;
  return scored;
}

Oracle::Scored Oracle::ScoreOf(const Asked& asked,
                               const std::vector<uint64_t>& unit) const {
  const KnnTier& knn = *profile_.knn;
  if (knn.chunk_tokens == 1 || knn.chunk_score == ChunkScore::kLandmark) {
    return Logit(knn.positions, knn.dtype, asked, unit.back());
  }
  // The product with a mean is the mean of the products.
  Scored mean{0, 0, 0};
  PositionRule rule = knn.positions;
  if (rule.policy == PositionPolicy::kClamp) {
    rule.policy = PositionPolicy::kConst;  // All of a chunk from one distance.
  }
  for (const uint64_t seq : unit) {
    const Scored one =
        Product(rule, asked, Normalized(Row(BankOf(asked), seq, false)),
                PositionOf(seq));
    mean.logit += one.logit / unit.size();
    mean.error += 2 * one.error / unit.size();
  }
  Finish(knn.positions, asked, PositionOf(unit.back()), /*capped=*/true, mean);
  return mean;
}

std::vector<Oracle::Scored> Oracle::Knn(const AttendQuery& query,
                                        const Asked& asked,
                                        bool& undecided) const {
  const KnnTier& knn = *profile_.knn;
  const bool is_landmark = knn.chunk_score == ChunkScore::kLandmark;
  const uint32_t k = query.top_k.value_or(knn.top_k);
  std::map<uint64_t, std::vector<uint64_t>> units;
  for (const uint64_t seq :
       LiveIn(ranges_.knn, std::numeric_limits<int64_t>::max())) {
    units[seq / knn.chunk_tokens].push_back(seq);
  }
  const bool all = !is_landmark && (k == 0 || k >= ranges_.knn.size());
  std::vector<std::vector<uint64_t>> candidates;
  std::vector<double> scores;
  double error = 0;
  const uint32_t group = profile_.group_size();
  for (const auto& [number, unit] : units) {
    if (all) {
      for (const uint64_t seq : unit) candidates.push_back({seq});
      continue;
    }
    // A chunk counts when its last token is visible.
    if (PositionOf(unit.back()) > asked.position) continue;
    if (is_landmark && !profile_.IsLandmark(unit.back())) continue;
    candidates.push_back(unit);
  }
  if (!all && knn.scope == SelectionScope::kKvGroup) {
    scores.assign(candidates.size(), 0);
    const uint32_t first = asked.head / group * group;
    for (uint32_t head = first; head < first + group; ++head) {
      const Asked other{asked.read, head, asked.row, asked.position};
      std::vector<double> logits;
      for (const auto& unit : candidates) {
        const Scored scored = ScoreOf(other, unit);
        logits.push_back(scored.logit);
        error = std::max(error, 4 * scored.error * group);
      }
      const double lse = LogSumExp(logits);
      for (size_t i = 0; i < logits.size(); ++i) {
        scores[i] += std::exp(logits[i] - lse);
      }
    }
  } else if (!all) {
    for (const auto& unit : candidates) {
      const Scored scored = ScoreOf(asked, unit);
      scores.push_back(scored.logit);
      error = std::max(error, 2 * scored.error);
    }
  }
  std::vector<size_t> order(candidates.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  const size_t wanted = k / knn.chunk_tokens;
  if (!all && k > 0 && wanted < order.size()) {
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return scores[a] > scores[b]; });
    undecided |= wanted > 0 &&
                 scores[order[wanted - 1]] - scores[order[wanted]] <= error;
    order.resize(wanted);
  }
  std::vector<Scored> chosen;
  for (const size_t i : order) {
    std::vector<Scored> tokens;
    std::vector<double> logits;
    for (const uint64_t seq : candidates[i]) {
      if (PositionOf(seq) > asked.position || profile_.IsLandmark(seq))
        continue;
      tokens.push_back(Logit(knn.positions, knn.dtype, asked, seq));
      logits.push_back(tokens.back().logit);
    }
    if (is_landmark) {
      const Scored landmark = ScoreOf(asked, candidates[i]);
      const double shift = landmark.logit - LogSumExp(logits);
      for (Scored& token : tokens) {
        token.logit += shift;
        token.error = 2 * token.error + landmark.error +
                      8 * kUnit * (1 + std::abs(landmark.logit));
      }
    }
    chosen.insert(chosen.end(), tokens.begin(), tokens.end());
  }
  return chosen;
}

Oracle::Softmax Oracle::Of(const std::vector<Scored>& all, size_t bank,
                           std::optional<attention::DType> knn_dtype) const {
  Softmax made{std::vector<double>(profile_.value_dim),
               std::vector<double>(profile_.value_dim), -kInfinity, 0};
  std::vector<double> logits;
  for (const Scored& scored : all) {
    logits.push_back(scored.logit);
    made.logit_error = std::max(made.logit_error, scored.error);
  }
  made.lse = LogSumExp(logits);
  for (const Scored& scored : all) {
    const double weight = std::exp(scored.logit - made.lse);
    std::vector<float> value = Row(bank, scored.seq, true);
    const bool in_knn =
        scored.seq >= ranges_.knn.begin && scored.seq < ranges_.knn.end;
    if (knn_dtype && in_knn) {
      std::vector<std::byte> narrow(value.size() *
                                    attention::SizeOf(*knn_dtype));
      attention::FromFloat(*knn_dtype, value.data(), value.size(),
                           narrow.data());
      attention::ToFloat(*knn_dtype, narrow.data(), value.size(), value.data());
    }
    for (size_t i = 0; i < value.size(); ++i) {
      made.out[i] += weight * value[i];
      made.magnitude[i] += weight * std::abs(value[i]);
    }
  }
  return made;
}

Expected Oracle::Attend(const AttendQuery& query, const LayerRead& read,
                        uint32_t head, size_t row) const {
  const Asked asked{
      read, head, row,
      read.positions.empty() ? view_.position_next : read.positions[row]};
  const size_t bank = BankOf(asked);
  const auto has = [&](Tier tier) {
    return query.tiers.empty() ||
           std::count(query.tiers.begin(), query.tiers.end(), tier) > 0;
  };
  Expected expected{std::vector<double>(profile_.value_dim),
                    std::vector<double>(profile_.value_dim)};
  std::vector<Scored> local;
  const auto collect = [&](const PositionRule& rule, SeqRange range) {
    for (const uint64_t seq : LiveIn(range, asked.position)) {
      if (profile_.IsLandmark(seq)) continue;
      local.push_back(Logit(rule, std::nullopt, asked, seq));
    }
  };
  const bool reads_sink = profile_.sink && has(Tier::kSink);
  const bool reads_window = profile_.window && has(Tier::kWindow);
  if (reads_sink) collect(profile_.sink->positions, ranges_.sink);
  if (reads_window) collect(profile_.window->positions, ranges_.window);
  std::vector<Scored> knn;
  std::optional<attention::DType> dtype;
  if (profile_.knn && has(Tier::kKnn)) {
    knn = Knn(query, asked, expected.undecided);
    dtype = profile_.knn->dtype;
  }
  const bool is_gated = profile_.knn && !profile_.knn->gate_logits.empty() &&
                        has(Tier::kKnn) && (reads_sink || reads_window);
  if (!is_gated) local.insert(local.end(), knn.begin(), knn.end());
  // A weight is off by twice the error of a logit (its own and the sum's), an
  // exponential by a few units, a tile of 128 by its sum's roundings, the merge
  // of the tiers by a few more.
  const auto error_of = [&](const Softmax& softmax, size_t i) {
    return 2 * (2 * softmax.logit_error + (128 + 24) * kUnit) *
           softmax.magnitude[i];
  };
  const Softmax joint = Of(local, bank, dtype);
  expected.out = joint.out;
  for (size_t i = 0; i < joint.out.size(); ++i) {
    expected.error[i] = error_of(joint, i);
  }
  expected.lse = joint.lse;
  if (!local.empty()) {
    expected.lse_error =
        joint.logit_error + (128 + 8 + 4 * std::abs(joint.lse)) * kUnit;
  }
  const auto gate_of = [&](const std::vector<float>& given,
                           const GateLogits& logits) {
    return given.empty() ? Sigmoid(profile_.OfHead(logits, read.layer, head))
                         : double{given[head * read.rows + row]};
  };
  if (is_gated && !(knn.empty() && profile_.knn->empty_memory ==
                                       attention::EmptyMemory::kBypass)) {
    double g = gate_of(read.knn_gates, profile_.knn->gate_logits);
    if (local.empty() &&
        profile_.knn->empty_memory == attention::EmptyMemory::kBypass) {
      g = 1;
    }
    const Softmax memory = Of(knn, bank, dtype);
    for (size_t i = 0; i < expected.out.size(); ++i) {
      expected.error[i] =
          (1 - g) * expected.error[i] + g * error_of(memory, i) +
          8 * kUnit * (std::abs(expected.out[i]) + std::abs(memory.out[i]));
      expected.out[i] = g * memory.out[i] + (1 - g) * expected.out[i];
    }
    expected.gated = true;
  }
  if (profile_.compressive && has(Tier::kCompressive)) {
    Mix(asked, local.empty() && (!is_gated || knn.empty()), expected);
  }
  return expected;
}

void Oracle::Mix(const Asked& asked, bool rest_is_empty,
                 Expected& expected) const {
  const size_t bank = BankOf(asked);
  const CompressiveTier& tier = *profile_.compressive;
  const uint64_t absorbed = AbsorbedEnd(profile_, ranges_);
  reference::Memory memory(profile_.key_dim, profile_.value_dim);
  reference::Memory magnitude(profile_.key_dim, profile_.value_dim);
  uint64_t live = 0;
  for (uint64_t first = 0; first < absorbed; first += tier.segment_tokens) {
    std::vector<float> keys;
    std::vector<float> values;
    std::vector<float> sizes;
    const std::vector<uint64_t> seqs =
        LiveIn({first, first + tier.segment_tokens},
               std::numeric_limits<int64_t>::max());
    for (const uint64_t seq : seqs) {
      for (const float x : Row(bank, seq, false)) keys.push_back(x);
      for (const float x : Row(bank, seq, true)) {
        values.push_back(x);
        sizes.push_back(std::abs(x));
      }
    }
    if (seqs.empty()) continue;
    live += seqs.size();
    reference::Update(keys.data(), values.data(), seqs.size(),
                      tier.update == UpdateRule::kDelta, memory);
    reference::Update(keys.data(), sizes.data(), seqs.size(), false, magnitude);
  }
  if (live == 0 && tier.empty_memory == attention::EmptyMemory::kBypass) return;
  std::vector<double> read(profile_.value_dim, 0);
  std::vector<double> size(profile_.value_dim, 0);
  if (live > 0) {
    const float* const q =
        asked.read.queries.data() +
        (asked.head * asked.read.rows + asked.row) * profile_.key_dim;
    read = reference::Recall(memory, q);
    size = reference::Recall(magnitude, q);
  }
  double g =
      asked.read.compressive_gates.empty()
          ? Sigmoid(
                profile_.OfHead(tier.gate_logits, asked.read.layer, asked.head))
          : double{asked.read.compressive_gates[asked.head * asked.read.rows +
                                                asked.row]};
  if (rest_is_empty && tier.empty_memory == attention::EmptyMemory::kBypass) {
    g = 1;
  }
  // Sums over tokens and over the key's components, above and below the line,
  // then the mix; the delta rule corrects by what was read before.
  const double rounds = tier.update == UpdateRule::kDelta ? 6 : 2;
  const double units = rounds * (live + profile_.key_dim + 8) * kUnit;
  for (size_t i = 0; i < read.size(); ++i) {
    expected.error[i] = (1 - g) * expected.error[i] +
                        8 * kUnit * std::abs(expected.out[i]) +
                        g * units * size[i];
    expected.out[i] = g * read[i] + (1 - g) * expected.out[i];
  }
  expected.gated = true;
}

}  // namespace mneme::memory
