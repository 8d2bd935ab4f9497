#include "service/convert.h"

#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "base/utf8.h"
#include "google/protobuf/timestamp.pb.h"
#include "service/convert_profile.h"
#include "service/convert_tensor.h"
#include "service/convert_time.h"

namespace mneme::service {
namespace {

using base::InvalidField;

// Of an answer: names, lengths and numbers around a layer's tensors, and an
// AttendedItem at its largest (six fields, 48 bytes).
constexpr uint64_t kLayerOverheadBytes = 256;
constexpr uint64_t kItemBytes = 64;

absl::Status CheckSize(std::string_view field, size_t given, size_t most) {
  if (given <= most) return absl::OkStatus();
  return InvalidField(field, absl::StrCat(given, " bytes"),
                      absl::StrCat("at most ", most, " bytes"));
}

absl::Status CheckRange(std::string_view field, uint64_t given, uint64_t least,
                        uint64_t most) {
  if (given >= least && given <= most) return absl::OkStatus();
  return InvalidField(field, absl::StrCat(given),
                      absl::StrCat(least, " to ", most));
}

template <typename Map>
absl::StatusOr<std::map<std::string, std::string>> MetadataFromProto(
    const Map& proto, const std::string& field) {
  if (proto.size() > memory::kMetadataPairsMax) {
    return InvalidField(
        field, absl::StrCat(proto.size(), " pairs"),
        absl::StrCat("at most ", memory::kMetadataPairsMax, " pairs"));
  }
  size_t bytes = 0;
  for (const auto& [key, value] : proto) bytes += key.size() + value.size();
  RETURN_IF_ERROR(CheckSize(field, bytes, memory::kMetadataBytesMax));
  return std::map<std::string, std::string>(proto.begin(), proto.end());
}

absl::Status CheckPositions(const google::protobuf::RepeatedField<int64_t>& all,
                            const std::string& field, uint64_t count) {
  if (!all.empty() && static_cast<uint64_t>(all.size()) != count) {
    return InvalidField(field, absl::StrCat(all.size(), " positions"),
                        absl::StrCat("none, or one for each of ", count));
  }
  for (int i = 0; i < all.size(); ++i) {
    if (all[i] < 0 || all[i] > memory::kPositionMax) {
      return InvalidField(absl::StrCat(field, "[", i, "]"),
                          absl::StrCat(all[i]),
                          absl::StrCat("0 to ", memory::kPositionMax));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckQuery(std::string_view query) {
  if (query.empty()) {
    return InvalidField("query", "nothing", "words to ask for");
  }
  RETURN_IF_ERROR(CheckSize("query", query.size(), memory::kQueryBytesMax));
  if (const auto offset = base::FirstInvalidUtf8(query)) {
    return InvalidField(
        "query", absl::StrCat("an invalid byte at offset ", *offset), "UTF-8");
  }
  return absl::OkStatus();
}

absl::StatusOr<memory::RecallFilter> FilterFromProto(
    const v1::RecallFilter& proto) {
  RETURN_IF_ERROR(CheckSize("filter.source", proto.source().size(),
                            memory::kSourceBytesMax));
  RETURN_IF_ERROR(
      CheckSize("filter.role", proto.role().size(), memory::kRoleBytesMax));
  memory::RecallFilter filter;
  filter.source = proto.source();
  filter.role = proto.role();
  ASSIGN_OR_RETURN(filter.metadata,
                   MetadataFromProto(proto.metadata(), "filter.metadata"));
  return filter;
}

v1::Tier TierToProto(memory::Tier tier) {
  switch (tier) {
    case memory::Tier::kSink:
      return v1::TIER_SINK;
    case memory::Tier::kWindow:
      return v1::TIER_WINDOW;
    case memory::Tier::kKnn:
      return v1::TIER_KNN;
    case memory::Tier::kCompressive:
      return v1::TIER_COMPRESSIVE;
  }
  return v1::TIER_UNSPECIFIED;
}

// Tiers that received nothing are left out.
template <typename Message>
void SetShares(const memory::TierShares& shares, Message* message) {
  for (size_t tier = 0; tier < shares.size(); ++tier) {
    if (shares[tier] <= 0) continue;
    v1::TierShare* proto = message->add_tiers();
    proto->set_tier(TierToProto(static_cast<memory::Tier>(tier)));
    proto->set_share(shares[tier]);
  }
}

void SetSpan(const memory::ByteSpan& span, v1::ByteSpan* proto) {
  proto->set_begin(span.begin);
  proto->set_end(span.end);
}

void SetPassage(const memory::RecalledPassage& passage, v1::Passage* proto) {
  proto->set_text(passage.text);
  proto->set_entry(passage.entry);
  SetSpan(passage.span, proto->mutable_span());
  proto->set_source(passage.source);
  SetSpan(passage.source_span, proto->mutable_source_span());
  proto->set_seq_first(passage.seq_first);
  proto->set_tokens(passage.tokens);
  proto->set_role(passage.role);
  SetTime(passage.time_us, proto->mutable_time());
  for (const auto& [key, value] : passage.metadata) {
    (*proto->mutable_metadata())[key] = value;
  }
  proto->set_tier(TierToProto(passage.tier));
  proto->set_share(passage.share);
  proto->set_score(passage.score);
  for (const auto& [head, share] : passage.heads) {
    v1::HeadShare* part = proto->add_heads();
    part->set_head(head);
    part->set_share(share);
  }
  for (const memory::ByteSpan& match : passage.matches) {
    SetSpan(match, proto->add_matches());
  }
}

template <typename Request>
absl::StatusOr<std::vector<memory::Tier>> TiersFromProto(
    const Request& request) {
  std::vector<memory::Tier> tiers;
  std::array<bool, memory::kTierCount> seen{};
  for (int i = 0; i < request.tiers_size(); ++i) {
    const std::string field = absl::StrCat("tiers[", i, "]");
    const int value = request.tiers(i);
    if (value < v1::TIER_SINK || value > v1::TIER_COMPRESSIVE) {
      return InvalidField(field, absl::StrCat("value ", value),
                          "SINK, WINDOW, KNN or COMPRESSIVE");
    }
    const size_t index = static_cast<size_t>(value - v1::TIER_SINK);
    if (seen[index]) {
      return InvalidField(field, "a tier named before", "each tier once");
    }
    seen[index] = true;
    tiers.push_back(static_cast<memory::Tier>(index));
  }
  return tiers;
}

absl::StatusOr<std::optional<uint32_t>> TopKFromProto(
    const v1::AttendRequest& request) {
  if (!request.has_selection()) return std::optional<uint32_t>();
  switch (request.selection().selection_case()) {
    case v1::Selection::kTopK:
      RETURN_IF_ERROR(CheckRange("selection.top_k", request.selection().top_k(),
                                 1, memory::kTopKMax));
      return std::optional<uint32_t>(request.selection().top_k());
    case v1::Selection::kExhaustive:
      if (!request.selection().exhaustive()) {
        return InvalidField("selection.exhaustive", "false",
                            "true, or top_k, or no selection");
      }
      return std::optional<uint32_t>(0);
    default:
      return InvalidField("selection", "nothing", "top_k or exhaustive");
  }
}

absl::StatusOr<std::vector<float>> GatesFromProto(
    const v1::Tensor& gates, const std::string& field, int64_t rows,
    const memory::Profile& profile) {
  const std::array<Axis, 2> axes = {Axis{"query_heads", profile.query_heads},
                                    Axis{"rows", rows}};
  ASSIGN_OR_RETURN(const attention::DType dtype,
                   CheckTensor(gates, field, axes));
  return FloatsOf(gates, field, dtype);
}

absl::StatusOr<memory::LayerRead> LayerReadFromProto(
    const v1::LayerRead& proto, const std::string& field,
    const memory::Profile& profile) {
  if (proto.layer() >= profile.layers) {
    return InvalidField(
        field + ".layer", absl::StrCat(proto.layer()),
        absl::StrCat("below ", profile.layers, ", the session's layers"));
  }
  const std::array<Axis, 3> axes = {Axis{"query_heads", profile.query_heads},
                                    Axis{"rows", 0},
                                    Axis{"key_dim", profile.key_dim}};
  memory::LayerRead read;
  read.layer = proto.layer();
  ASSIGN_OR_RETURN(const attention::DType dtype,
                   CheckTensor(proto.queries(), field + ".queries", axes));
  read.rows = static_cast<size_t>(proto.queries().shape(1));
  RETURN_IF_ERROR(
      CheckPositions(proto.positions(), field + ".positions", read.rows));
  ASSIGN_OR_RETURN(read.queries,
                   FloatsOf(proto.queries(), field + ".queries", dtype));
  read.positions.assign(proto.positions().begin(), proto.positions().end());
  const auto rows = static_cast<int64_t>(read.rows);
  if (proto.has_knn_gates()) {
    ASSIGN_OR_RETURN(
        read.knn_gates,
        GatesFromProto(proto.knn_gates(), field + ".knn_gates", rows, profile));
  }
  if (proto.has_compressive_gates()) {
    ASSIGN_OR_RETURN(
        read.compressive_gates,
        GatesFromProto(proto.compressive_gates(), field + ".compressive_gates",
                       rows, profile));
  }
  return read;
}

// Bytes that the answer to one read takes.
uint64_t AnswerBytes(const memory::LayerRead& read, uint32_t top_items,
                     const memory::Profile& profile) {
  const uint64_t rows = uint64_t{profile.query_heads} * read.rows;
  const uint64_t row_bytes = sizeof(float) * (uint64_t{profile.value_dim} + 1) +
                             kItemBytes * top_items;
  return kLayerOverheadBytes + rows * row_bytes;
}

}  // namespace

absl::StatusOr<memory::AppendOptions> AppendOptionsFromProto(
    const v1::AppendRequest& request) {
  RETURN_IF_ERROR(CheckSize("request_id", request.request_id().size(),
                            memory::kRequestIdBytesMax));
  memory::AppendOptions options;
  options.request_id = request.request_id();
  if (request.has_expected_seq()) options.expected_seq = request.expected_seq();
  switch (request.acknowledge()) {
    case v1::ACKNOWLEDGE_UNSPECIFIED:
    case v1::ACKNOWLEDGE_SYNCED:
      options.sync = true;
      return options;
    case v1::ACKNOWLEDGE_BUFFERED:
      options.sync = false;
      return options;
    default:
      return InvalidField(
          "acknowledge",
          absl::StrCat("value ", static_cast<int>(request.acknowledge())),
          "SYNCED or BUFFERED");
  }
}

absl::StatusOr<memory::TextEntry> TextEntryFromProto(
    const v1::TextEntry& text) {
  RETURN_IF_ERROR(
      CheckSize("text.role", text.role().size(), memory::kRoleBytesMax));
  RETURN_IF_ERROR(
      CheckSize("text.source", text.source().size(), memory::kSourceBytesMax));
  // Spans in the source are this plus a place in the text: no wrapping.
  RETURN_IF_ERROR(
      CheckRange("text.source_offset", text.source_offset(), 0,
                 std::numeric_limits<uint64_t>::max() - text.text().size()));
  memory::TextEntry entry;
  entry.text = text.text();
  entry.role = text.role();
  if (text.has_time()) {
    ASSIGN_OR_RETURN(entry.time_us, MicrosFromProto(text.time(), "text.time"));
  }
  entry.source = text.source();
  entry.source_offset = text.source_offset();
  ASSIGN_OR_RETURN(entry.metadata,
                   MetadataFromProto(text.metadata(), "text.metadata"));
  return entry;
}

absl::StatusOr<memory::TokenRows> TokenRowsFromProto(
    const v1::TokenRows& tokens, const memory::Profile& profile) {
  if (!profile.text_encoder.empty()) {
    return base::Error(
        absl::StatusCode::kFailedPrecondition,
        absl::StrCat("payload: got tokens; the session's profile \"",
                     profile.name, "\" encodes text and takes no tokens"),
        {.reason = "WRONG_PAYLOAD",
         .field = "tokens",
         .metadata = {},
         .retry_after = {}});
  }
  std::array<Axis, 4> axes = {
      Axis{"layers", profile.layers}, Axis{"kv_heads", profile.kv_heads},
      Axis{"tokens", 0}, Axis{"key_dim", profile.key_dim}};
  ASSIGN_OR_RETURN(const attention::DType keys,
                   CheckTensor(tokens.keys(), "tokens.keys", axes));
  axes[2].extent = tokens.keys().shape(2);
  axes[3] = Axis{"value_dim", profile.value_dim};
  ASSIGN_OR_RETURN(const attention::DType values,
                   CheckTensor(tokens.values(), "tokens.values", axes));
  for (const auto& [field, dtype] :
       {std::pair("tokens.keys.data_type", keys),
        std::pair("tokens.values.data_type", values)}) {
    if (dtype == profile.dtype) continue;
    return InvalidField(
        field, attention::NameOf(dtype),
        absl::StrCat(std::string(attention::NameOf(profile.dtype)),
                     ", as the session's profile says"));
  }
  memory::TokenRows rows;
  rows.count = static_cast<uint64_t>(tokens.keys().shape(2));
  RETURN_IF_ERROR(
      CheckPositions(tokens.positions(), "tokens.positions", rows.count));
  rows.keys = tokens.keys().data();
  rows.values = tokens.values().data();
  rows.positions = {tokens.positions().data(),
                    static_cast<size_t>(tokens.positions_size())};
  return rows;
}

void SetAppendResult(const memory::AppendResult& result,
                     v1::AppendResponse* response) {
  response->set_seq_first(result.seq_first);
  response->set_seq_next(result.seq_next);
  response->set_position_next(result.position_next);
  if (result.entry) response->set_entry(*result.entry);
  response->set_passages(result.passages);
  response->set_replayed(result.replayed);
}

absl::StatusOr<memory::AttendQuery> AttendQueryFromProto(
    const v1::AttendRequest& request, const memory::Profile& profile) {
  if (request.reads().empty()) {
    return InvalidField("reads", "nothing", "at least one");
  }
  memory::AttendQuery query;
  RETURN_IF_ERROR(
      CheckRange("top_items", request.top_items(), 0, memory::kTopItemsMax));
  query.top_items = request.top_items();
  ASSIGN_OR_RETURN(query.tiers, TiersFromProto(request));
  ASSIGN_OR_RETURN(query.top_k, TopKFromProto(request));
  uint64_t answer_bytes = 0;
  for (int i = 0; i < request.reads_size(); ++i) {
    ASSIGN_OR_RETURN(
        memory::LayerRead read,
        LayerReadFromProto(request.reads(i), absl::StrCat("reads[", i, "]"),
                           profile));
    answer_bytes += AnswerBytes(read, query.top_items, profile);
    if (answer_bytes > kMessageBytesMax) {
      return InvalidField(
          "reads", absl::StrCat("over ", answer_bytes, " bytes of answers"),
          absl::StrCat("at most ", kMessageBytesMax,
                       " bytes in one answer: ask for fewer rows or items"));
    }
    query.reads.push_back(std::move(read));
  }
  return query;
}

void SetAttendResult(const memory::AttendResult& result,
                     const memory::Profile& profile,
                     v1::AttendResponse* response) {
  const int64_t heads = profile.query_heads;
  const int64_t value_dim = profile.value_dim;
  for (const memory::LayerOutput& output : result.outputs) {
    v1::LayerOutput* proto = response->add_outputs();
    proto->set_layer(output.layer);
    const int64_t rows =
        static_cast<int64_t>(output.output.size()) / (heads * value_dim);
    SetFloats(output.output, {heads, rows, value_dim}, proto->mutable_output());
    if (!output.gated) {
      std::vector<float> lse = output.lse;
      for (float& value : lse) {
        // Tensors hold finite numbers; a row that saw nothing still merges as
        // nothing, since exp of this is 0.
        if (std::isinf(value)) value = std::numeric_limits<float>::lowest();
      }
      SetFloats(lse, {heads, rows}, proto->mutable_lse());
    }
    SetShares(output.shares, proto);
    for (const memory::AttendedItem& item : output.items) {
      v1::AttendedItem* attended = proto->add_items();
      attended->set_head(item.head);
      attended->set_row(item.row);
      attended->set_seq(item.seq);
      attended->set_position(item.position);
      attended->set_share(item.share);
      attended->set_tier(TierToProto(item.tier));
    }
  }
  response->set_seq_next(result.seq_next);
}

absl::StatusOr<memory::RecallQuery> RecallQueryFromProto(
    const v1::RecallRequest& request) {
  RETURN_IF_ERROR(CheckQuery(request.query()));
  memory::RecallQuery query;
  query.query = request.query();
  if (request.has_limit()) {
    RETURN_IF_ERROR(
        CheckRange("limit", request.limit(), 1, memory::kRecallLimitMax));
    query.limit = request.limit();
  }
  ASSIGN_OR_RETURN(query.filter, FilterFromProto(request.filter()));
  return query;
}

void SetRecallResult(const memory::RecallResult& result,
                     v1::RecallResponse* response) {
  for (const memory::RecalledPassage& passage : result.passages) {
    SetPassage(passage, response->add_passages());
  }
  SetShares(result.shares, response);
  response->set_seq_next(result.seq_next);
}

absl::StatusOr<memory::ContextQuery> ContextQueryFromProto(
    const v1::AssembleContextRequest& request) {
  RETURN_IF_ERROR(CheckQuery(request.query()));
  RETURN_IF_ERROR(CheckRange("budget_tokens", request.budget_tokens(), 1,
                             memory::kBudgetTokensMax));
  RETURN_IF_ERROR(CheckRange("recent_entries", request.recent_entries(), 0,
                             memory::kRecentEntriesMax));
  memory::ContextQuery query;
  query.query = request.query();
  query.budget_tokens = request.budget_tokens();
  query.recent_entries = request.recent_entries();
  ASSIGN_OR_RETURN(query.filter, FilterFromProto(request.filter()));
  return query;
}

void SetContextResult(const memory::ContextResult& result,
                      v1::AssembleContextResponse* response) {
  response->set_context(result.context);
  response->set_tokens_used(result.tokens_used);
  for (const memory::Citation& citation : result.citations) {
    v1::Citation* proto = response->add_citations();
    proto->set_mark(citation.mark);
    SetSpan(citation.context_span, proto->mutable_context_span());
    SetPassage(citation.passage, proto->mutable_passage());
    proto->set_recent(citation.recent);
  }
  response->set_omitted(result.omitted);
}

absl::Status CheckCompressiveFits(const memory::Profile& profile) {
  if (!profile.compressive) return absl::OkStatus();  // Refused otherwise.
  const uint64_t features = profile.feature_count();
  const uint64_t projection =
      profile.compressive->performer ? features * profile.key_dim : 0;
  const uint64_t bytes =
      kLayerOverheadBytes +
      sizeof(float) * (profile.kv_heads * (features + 1) *
                           (uint64_t{profile.value_dim} + 1) +
                       projection);
  if (bytes <= kMessageBytesMax) return absl::OkStatus();
  return base::Error(
      absl::StatusCode::kFailedPrecondition,
      absl::StrCat("the state of one layer takes ", bytes,
                   " bytes; a message takes at most ", kMessageBytesMax),
      {.reason = "STATE_TOO_LARGE",
       .field = "",
       .metadata = {{"bytes", absl::StrCat(bytes)}},
       .retry_after = {}});
}

void SetCompressiveRead(const memory::CompressiveRead& read,
                        const memory::Profile& profile,
                        v1::GetCompressiveStateResponse* response) {
  response->set_absorbed_seq(read.absorbed_seq);
  response->set_version(read.version);
  if (read.known) return;
  const int64_t heads = profile.kv_heads;
  const int64_t features = profile.feature_count();
  const int64_t value_dim = profile.value_dim;
  SetFloats(read.matrix, {heads, features, value_dim},
            response->mutable_matrix());
  SetFloats(read.normalizer, {heads, features}, response->mutable_normalizer());
  if (!read.performer) return;
  v1::PerformerState* performer = response->mutable_performer();
  SetFloats(read.performer->projection, {features, int64_t{profile.key_dim}},
            performer->mutable_projection());
  SetFloats(read.performer->value_sum, {heads, value_dim},
            performer->mutable_value_sum());
  performer->set_tokens(read.performer->tokens);
  performer->mutable_stabilizers()->Assign(read.performer->stabilizers.begin(),
                                           read.performer->stabilizers.end());
}

absl::StatusOr<memory::TokensQuery> TokensQueryFromProto(
    const v1::ReadTokensRequest& request) {
  memory::TokensQuery query{.layer = request.layer(),
                            .seq_begin = request.seq_begin(),
                            .limit = request.limit(),
                            .tensors = request.tensors()};
  ASSIGN_OR_RETURN(query.tiers, TiersFromProto(request));
  if (std::count(query.tiers.begin(), query.tiers.end(),
                 memory::Tier::kCompressive) > 0) {
    return InvalidField("tiers", "COMPRESSIVE", "SINK, WINDOW and KNN");
  }
  return query;
}

void SetTokensResult(const memory::TokensResult& result,
                     const memory::Profile& profile, bool tensors,
                     v1::ReadTokensResponse* response) {
  response->mutable_seqs()->Assign(result.seqs.begin(), result.seqs.end());
  response->mutable_positions()->Assign(result.positions.begin(),
                                        result.positions.end());
  for (const auto& tier : result.tiers) {
    response->add_tiers(tier ? TierToProto(*tier) : v1::TIER_UNSPECIFIED);
  }
  if (result.next_seq) response->set_next_seq(*result.next_seq);
  if (!tensors) return;
  const auto set = [&](const std::string& bytes, int64_t dim,
                       v1::Tensor* tensor) {
    tensor->set_data_type(DTypeToProto(profile.dtype));
    tensor->add_shape(profile.kv_heads);
    tensor->add_shape(static_cast<int64_t>(result.seqs.size()));
    tensor->add_shape(dim);
    tensor->set_data(bytes);
  };
  set(result.keys, profile.key_dim, response->mutable_keys());
  set(result.values, profile.value_dim, response->mutable_values());
}

void SetChecks(const std::vector<memory::VerifyCheck>& checks,
               v1::VerifyResponse* response) {
  bool clean = true;
  for (const memory::VerifyCheck& check : checks) {
    v1::VerifyCheck* proto = response->add_checks();
    proto->set_name(check.name);
    proto->set_ok(check.ok);
    proto->set_checked(check.checked);
    proto->set_detail(check.detail);
    clean = clean && check.ok;
  }
  response->set_clean(clean);
}

void SetSession(const memory::SessionName& name,
                const memory::Memory::Description& session,
                v1::Session* proto) {
  const memory::SessionInfo& info = session.info;
  proto->set_name(name.ToString());
  *proto->mutable_profile() = ProfileToProto(session.profile);
  proto->set_seq_next(info.seq_next);
  proto->set_position_next(info.position_next);
  proto->set_tokens(info.tokens);
  proto->set_entries(info.entries);
  SetTime(info.create_time_us, proto->mutable_create_time());
  SetTime(info.update_time_us, proto->mutable_update_time());
}

void SetSessionStats(const memory::SessionCounts& counts,
                     v1::SessionStats* proto) {
  proto->set_tokens(counts.tokens);
  proto->set_window_tokens(counts.window_tokens);
  proto->set_knn_tokens(counts.knn_tokens);
  proto->set_sealed_tokens(counts.sealed_tokens);
  proto->set_segments(counts.segments);
  proto->set_compressive_tokens(counts.compressive_tokens);
  proto->set_entries(counts.entries);
  proto->set_passages(counts.passages);
  proto->set_text_bytes(counts.text_bytes);
  proto->set_row_bytes(counts.row_bytes);
  proto->set_checkpoint_seq(counts.checkpoint_seq);
}

}  // namespace mneme::service
