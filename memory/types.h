// memory/types.h: what goes into a session and what comes out of it.

#ifndef MNEME_MEMORY_TYPES_H_
#define MNEME_MEMORY_TYPES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "memory/seq_set.h"

namespace mneme::memory {

// Limits of one request: what a reader can be expected to hold at once.
inline constexpr size_t kTextBytesMax = 1 << 20;
inline constexpr size_t kQueryBytesMax = 64 << 10;
inline constexpr size_t kRequestIdBytesMax = 128;
inline constexpr size_t kRoleBytesMax = 128;
inline constexpr size_t kSourceBytesMax = 1024;
inline constexpr size_t kMetadataPairsMax = 64;
inline constexpr size_t kMetadataBytesMax = 16 << 10;
inline constexpr uint32_t kRecallLimitMax = 1000;
inline constexpr uint32_t kRecallLimitDefault = 10;
inline constexpr uint32_t kBudgetTokensMax = 1'000'000;
inline constexpr uint32_t kRecentEntriesMax = 1000;
inline constexpr uint32_t kTopItemsMax = 64;
// Rows times query heads of one layer: their logits over a block are 64 MiB.
inline constexpr uint64_t kQueryRowsMax = 1 << 17;
// Steps of folding one append into compressive memory: some seconds.
inline constexpr uint64_t kAbsorbStepsMax = uint64_t{1} << 34;
// One answer of tokens.
inline constexpr size_t kReadBytesMax = 16 << 20;
// Request ids of tokens are remembered at least this long; those of entries as
// long as the entry.
inline constexpr int64_t kRequestMemorySeconds = int64_t{24} * 60 * 60;

enum class Tier { kSink, kWindow, kKnn, kCompressive };
inline constexpr size_t kTierCount = 4;

// Share of the attention by tier, indexed by Tier; sums to 1, or to 0 when
// nothing was visible.
using TierShares = std::array<double, kTierCount>;

// Settings that every kind of append has.
struct AppendOptions {
  std::string request_id;  // Empty: no protection against repeats.
  std::optional<uint64_t> expected_seq;  // Absent: wherever the log is.
  bool sync = true;                      // False: BUFFERED.
};

struct TextEntry {
  std::string_view text;  // Not yet checked to be UTF-8.
  std::string role = {};
  std::optional<int64_t> time_us = {};  // Since the epoch. Absent: now.
  std::string source = {};
  uint64_t source_offset = 0;
  std::map<std::string, std::string> metadata = {};
};

struct TokenRows {
  uint64_t count = 0;
  // [layers, kv_heads, count, key_dim] and [..., value_dim], profile's dtype.
  std::string_view keys;
  std::string_view values;
  std::span<const int64_t> positions;  // Empty: continue from position_next.
};

struct AppendResult {
  uint64_t seq_first = 0;
  uint64_t seq_next = 0;
  int64_t position_next = 0;
  std::optional<uint64_t> entry;
  uint32_t passages = 0;
  uint64_t bytes = 0;  // That are stored now: rows, and of an entry BytesOf it.
  bool replayed = false;
};

// Queries of one layer.
struct LayerRead {
  uint32_t layer = 0;
  size_t rows = 0;
  std::vector<float> queries = {};      // [query_heads, rows, key_dim].
  std::vector<int64_t> positions = {};  // [rows]; empty: behind the last token.
  // Weights on a gated tier, [query_heads, rows]; empty: the profile's.
  std::vector<float> knn_gates = {};
  std::vector<float> compressive_gates = {};
};

struct AttendQuery {
  std::vector<LayerRead> reads;
  std::optional<uint32_t> top_k;  // Overrides the profile; 0: every key.
  std::vector<Tier> tiers;        // Empty: all that the profile has.
  uint32_t top_items = 0;
};

struct AttendedItem {
  uint32_t head = 0;
  uint32_t row = 0;
  uint64_t seq = 0;
  int64_t position = 0;
  float logit = 0;
  double share = 0;
  Tier tier = Tier::kWindow;
};

struct LayerOutput {
  uint32_t layer = 0;
  std::vector<float> output;  // [query_heads, rows, value_dim].
  std::vector<float> lse;     // [query_heads, rows] of the softmax tiers.
  bool gated = false;         // A gate mixed a memory into the output.
  TierShares shares{};
  std::vector<AttendedItem> items;
};

struct AttendResult {
  std::vector<LayerOutput> outputs;
  uint64_t seq_next = 0;
};

// Every given field must match.
struct RecallFilter {
  std::string source;
  std::string role;
  std::map<std::string, std::string> metadata;
};

struct ByteSpan {
  uint64_t begin = 0;
  uint64_t end = 0;
};

struct RecalledPassage {
  std::string text;
  uint64_t entry = 0;
  ByteSpan span;  // In the entry's text.
  std::string source;
  ByteSpan source_span;  // In the source.
  uint64_t seq_first = 0;
  uint32_t tokens = 0;
  std::string role;
  int64_t time_us = 0;
  std::map<std::string, std::string> metadata;
  Tier tier = Tier::kKnn;
  double share = 0;
  double score = 0;
  std::vector<std::pair<std::string, double>> heads;
  std::vector<ByteSpan> matches;  // In `text`.
};

struct RecallQuery {
  std::string_view query;
  uint32_t limit = kRecallLimitDefault;
  RecallFilter filter;
};

struct RecallResult {
  std::vector<RecalledPassage> passages;  // Best first.
  TierShares shares{};
  uint64_t seq_next = 0;
};

struct ContextQuery {
  std::string_view query;
  uint32_t budget_tokens = 0;
  uint32_t recent_entries = 0;
  RecallFilter filter;
};

struct Citation {
  uint32_t mark = 0;
  ByteSpan context_span;
  RecalledPassage passage;  // Without its text.
  bool recent = false;
};

struct ContextResult {
  std::string context;
  uint32_t tokens_used = 0;
  std::vector<Citation> citations;
  uint32_t omitted = 0;
};

// Times [begin, end) in microseconds since the epoch.
struct TimeRange {
  int64_t begin_us = std::numeric_limits<int64_t>::min();
  int64_t end_us = std::numeric_limits<int64_t>::max();
};

struct EntryNumber {
  uint64_t number = 0;
};

// What to forget. Of a filter, at least one field must be given.
using ForgetTarget =
    std::variant<EntryNumber, SeqRange, TimeRange, RecallFilter>;

struct ForgetResult {
  uint64_t entries = 0;
  uint64_t tokens = 0;
};

// What Performer features need beside matrix and normaliser.
struct PerformerRead {
  std::vector<float> projection;   // [features, key_dim].
  std::vector<float> value_sum;    // [kv_heads, value_dim].
  std::vector<float> stabilizers;  // [kv_heads].
  uint64_t tokens = 0;
};

struct CompressiveRead {
  std::vector<float> matrix;      // [kv_heads, features, value_dim].
  std::vector<float> normalizer;  // [kv_heads, features].
  uint64_t absorbed_seq = 0;
  // A function of what was absorbed: equal versions of one session and layer
  // have equal states. Never 0.
  uint64_t version = 0;
  bool known = false;  // The caller has this version: no tensors.
  std::optional<PerformerRead> performer;
};

struct CommitResult {
  uint64_t committed_tokens = 0;
  uint64_t window_tokens = 0;
  uint64_t knn_tokens = 0;
};

struct TokensQuery {
  uint32_t layer = 0;
  uint64_t seq_begin = 0;
  uint64_t limit = 0;            // Tokens; 0: as many as fit in kReadBytesMax.
  std::vector<Tier> tiers = {};  // Empty: every token.
  bool tensors = false;          // Keys and values too.
};

struct TokensResult {
  std::vector<uint64_t> seqs;
  std::vector<int64_t> positions;
  std::vector<std::optional<Tier>> tiers;  // None: no tier reads it.
  // [kv_heads, tokens, dim] in the profile's dtype, before rotation.
  std::string keys;
  std::string values;
  std::optional<uint64_t> next_seq;  // None: there are no more.
};

struct VerifyCheck {
  std::string name;
  bool ok = true;
  uint64_t checked = 0;
  std::string detail = {};
};

struct SessionInfo {
  int64_t ttl_us = 0;  // 0: it is never deleted by itself.
  uint64_t seq_next = 0;
  int64_t position_next = 0;
  uint64_t tokens = 0;
  uint64_t entries = 0;
  uint64_t entry_bytes = 0;  // What the entries say, see BytesOf.
  int64_t create_time_us = 0;
  int64_t update_time_us = 0;
};

struct SessionCounts {
  uint64_t tokens = 0;
  uint64_t window_tokens = 0;
  uint64_t knn_tokens = 0;
  uint64_t sealed_tokens = 0;
  uint64_t segments = 0;
  uint64_t compressive_tokens = 0;
  uint64_t entries = 0;
  uint64_t passages = 0;
  uint64_t text_bytes = 0;
  uint64_t row_bytes = 0;
  uint64_t checkpoint_seq = 0;
};

// Asked between pieces of long work; true: stop, the caller is gone.
using Cancelled = std::function<bool()>;
inline bool NotCancelled() { return false; }

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_TYPES_H_
