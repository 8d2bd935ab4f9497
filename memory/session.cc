#include "memory/session.h"

#include <xxhash.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "attention/dtype.h"
#include "attention/position.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "memory/attend.h"
#include "memory/context.h"
#include "memory/fold.h"
#include "memory/key_reader.h"
#include "memory/keys.h"
#include "memory/log.h"
#include "memory/recall.h"
#include "memory/record.h"
#include "memory/segments.h"
#include "memory/text/encoder.h"
#include "memory/text/passages.h"
#include "memory/text/terms.h"
#include "memory/text/utf8.h"
#include "memory/text_index.h"
#include "memory/verify.h"
#include "memory/view.h"

namespace mneme::memory {
namespace {

// Rows a passage has at most. A passage of 800 characters with more sentences
// is a list or noise; its last row takes the rest, so that a hostile text of
// dots cannot become a thousand times its size.
constexpr size_t kPassageRowsMax = 16;

int64_t MicrosNow(const base::Clock& clock) {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             clock.Now().time_since_epoch())
      .count();
}

absl::Status Refused(std::string_view reason, std::string message,
                     std::map<std::string, std::string> facts = {}) {
  return base::Error(
      absl::StatusCode::kFailedPrecondition, message,
      {.reason = std::string(reason), .metadata = std::move(facts)});
}

// Where a session's log ends; one record, rewritten by every mutation.
struct Head {
  uint64_t seq_next = 0;
  int64_t position_next = 0;
  uint64_t entry_next = 1;
  int64_t update_time_us = 0;
};

std::string EncodeHead(const Head& head) {
  base::ByteWriter out;
  out.Number(head.seq_next);
  out.Number(head.position_next);
  out.Number(head.entry_next);
  out.Number(head.update_time_us);
  return out.Take();
}

bool DecodeHead(std::string_view payload, Head& head) {
  base::ByteReader in(payload);
  head.seq_next = in.Number<uint64_t>();
  head.position_next = in.Number<int64_t>();
  head.entry_next = in.Number<uint64_t>();
  head.update_time_us = in.Number<int64_t>();
  return in.done();
}

// What an append with a request id returned, and what it appended.
struct Remembered {
  uint64_t fingerprint = 0;
  int64_t time_us = 0;
  AppendResult result;
};

std::string EncodeRemembered(const Remembered& remembered) {
  base::ByteWriter out;
  out.Number(remembered.fingerprint);
  out.Number(remembered.time_us);
  out.Number(remembered.result.seq_first);
  out.Number(remembered.result.seq_next);
  out.Number(remembered.result.position_next);
  out.Number(remembered.result.entry.value_or(0));  // Entries start at 1.
  out.Number(remembered.result.passages);
  return out.Take();
}

bool DecodeRemembered(std::string_view payload, Remembered& remembered) {
  base::ByteReader in(payload);
  remembered.fingerprint = in.Number<uint64_t>();
  remembered.time_us = in.Number<int64_t>();
  remembered.result.seq_first = in.Number<uint64_t>();
  remembered.result.seq_next = in.Number<uint64_t>();
  remembered.result.position_next = in.Number<int64_t>();
  const auto entry = in.Number<uint64_t>();
  if (entry != 0) remembered.result.entry = entry;
  remembered.result.passages = in.Number<uint32_t>();
  return in.done();
}

class Fingerprint {
 public:
  Fingerprint& Add(std::string_view bytes) {
    hash_ = XXH3_64bits_withSeed(bytes.data(), bytes.size(), hash_ + 1);
    return *this;
  }
  uint64_t value() const { return hash_; }

 private:
  uint64_t hash_ = 0;
};

uint64_t FingerprintOf(const TextEntry& entry) {
  Fingerprint print;
  print.Add(entry.text).Add(entry.role).Add(entry.source);
  print.Add(absl::StrCat(entry.source_offset, "/", entry.time_us.value_or(-1)));
  for (const auto& [key, value] : entry.metadata) print.Add(key).Add(value);
  return print.value();
}

uint64_t FingerprintOf(const TokenRows& rows) {
  return Fingerprint()
      .Add(rows.keys)
      .Add(rows.values)
      .Add({reinterpret_cast<const char*>(rows.positions.data()),
            rows.positions.size_bytes()})
      .value();
}

absl::Status CheckText(const TextEntry& entry) {
  if (entry.text.empty()) {
    return base::InvalidField("text.text", "nothing", "at least one word");
  }
  if (entry.text.size() > kTextBytesMax) {
    return base::InvalidField(
        "text.text", absl::StrCat(entry.text.size(), " bytes"),
        absl::StrCat("at most ", kTextBytesMax,
                     "; send longer documents in parts with source_offset"));
  }
  if (const auto bad = FirstInvalidUtf8(entry.text)) {
    return base::InvalidField(
        "text.text", absl::StrCat("invalid UTF-8 at byte ", *bad), "UTF-8");
  }
  if (entry.role.size() > kRoleBytesMax) {
    return base::InvalidField("text.role",
                              absl::StrCat(entry.role.size(), " bytes"),
                              absl::StrCat("at most ", kRoleBytesMax));
  }
  if (entry.source.size() > kSourceBytesMax) {
    return base::InvalidField("text.source",
                              absl::StrCat(entry.source.size(), " bytes"),
                              absl::StrCat("at most ", kSourceBytesMax));
  }
  size_t metadata_bytes = 0;
  for (const auto& [key, value] : entry.metadata) {
    metadata_bytes += key.size() + value.size();
  }
  if (entry.metadata.size() > kMetadataPairsMax ||
      metadata_bytes > kMetadataBytesMax) {
    return base::InvalidField(
        "text.metadata",
        absl::StrCat(entry.metadata.size(), " pairs of ", metadata_bytes,
                     " bytes"),
        absl::StrCat("at most ", kMetadataPairsMax, " pairs and ",
                     kMetadataBytesMax, " bytes"));
  }
  return absl::OkStatus();
}

absl::Status CheckTokens(const Profile& profile, const TokenRows& rows) {
  if (rows.count == 0) {
    return base::InvalidField("tokens.keys", "no tokens", "at least one");
  }
  const uint64_t tokens = rows.count * profile.bank_count();
  if (rows.keys.size() != tokens * profile.key_bytes()) {
    return base::InvalidField("tokens.keys",
                              absl::StrCat(rows.keys.size(), " bytes"),
                              absl::StrCat(tokens * profile.key_bytes(),
                                           " for ", rows.count, " tokens"));
  }
  if (rows.values.size() != tokens * profile.value_bytes()) {
    return base::InvalidField("tokens.values",
                              absl::StrCat(rows.values.size(), " bytes"),
                              absl::StrCat(tokens * profile.value_bytes(),
                                           " for ", rows.count, " tokens"));
  }
  const auto finite = [&](std::string_view bytes) {
    return attention::AllFinite(
        profile.dtype, reinterpret_cast<const std::byte*>(bytes.data()),
        bytes.size() / attention::SizeOf(profile.dtype));
  };
  if (!finite(rows.keys)) {
    return base::InvalidField("tokens.keys", "NaN or infinity",
                              "finite numbers");
  }
  if (!finite(rows.values)) {
    return base::InvalidField("tokens.values", "NaN or infinity",
                              "finite numbers");
  }
  if (!rows.positions.empty() && rows.positions.size() != rows.count) {
    return base::InvalidField(
        "tokens.positions", absl::StrCat(rows.positions.size(), " positions"),
        absl::StrCat("none, or one for each of ", rows.count, " tokens"));
  }
  return absl::OkStatus();
}

// The positions of `count` new tokens, as given or continued.
absl::StatusOr<std::vector<int64_t>> PositionsFor(
    std::span<const int64_t> given, uint64_t count, int64_t position_next) {
  std::vector<int64_t> positions(given.begin(), given.end());
  if (positions.empty()) {
    for (uint64_t i = 0; i < count; ++i) {
      positions.push_back(position_next + static_cast<int64_t>(i));
    }
  }
  int64_t least = position_next;
  for (const int64_t position : positions) {
    if (position < least || position > kPositionMax) {
      return base::InvalidField(
          "tokens.positions", absl::StrCat(position),
          absl::StrCat(least, " to 2^53: positions ascend"));
    }
    least = position + 1;
  }
  return positions;
}

// An entry's rows and terms, made before any lock is taken.
struct PreparedText {
  EntryTerms terms;
  uint64_t rows = 0;
  std::string keys;  // [heads, rows, dim]; the values are the keys.
};

PreparedText PrepareText(const Profile& profile, const Encoder& encoder,
                         const TextEntry& entry) {
  PreparedText prepared;
  std::vector<std::vector<Span>> rows;
  for (const Passage& passage : CutPassages(entry.text)) {
    std::vector<Span> sentences = passage.sentences;
    if (sentences.size() > kPassageRowsMax) {
      sentences[kPassageRowsMax - 1].end = sentences.back().end;
      sentences.resize(kPassageRowsMax);
    }
    const std::string_view words = entry.text.substr(
        passage.bytes.begin, passage.bytes.end - passage.bytes.begin);
    prepared.terms.passages.push_back(
        {.bytes = passage.bytes,
         .tokens = static_cast<uint32_t>(sentences.size())});
    // Who speaks is searchable like what is said.
    prepared.terms.terms.push_back(
        TermsOf(absl::StrCat(entry.role, "\n", std::string(words))));
    prepared.rows += sentences.size();
    rows.push_back(std::move(sentences));
  }
  const size_t heads = profile.kv_heads;
  prepared.keys.resize(heads * prepared.rows * profile.key_bytes());
  std::vector<float> encoded(heads * profile.key_dim);
  uint64_t row = 0;
  for (const std::vector<Span>& sentences : rows) {
    for (const Span& sentence : sentences) {
      encoder.Encode(
          entry.text.substr(sentence.begin, sentence.end - sentence.begin),
          encoded);
      for (size_t head = 0; head < heads; ++head) {
        attention::FromFloat(
            profile.dtype, encoded.data() + head * profile.key_dim,
            profile.key_dim,
            reinterpret_cast<std::byte*>(prepared.keys.data()) +
                (head * prepared.rows + row) * profile.key_bytes());
      }
      ++row;
    }
  }
  return prepared;
}

}  // namespace

class Session::Impl {
 public:
  Impl(Store* store, const base::Clock* clock, Header header,
       attention::PositionEncoder positions)
      : store_(store),
        clock_(clock),
        header_(std::move(header)),
        positions_(std::move(positions)),
        log_(header_.uid, &header_.profile) {}

  absl::Status Load() {
    base::MutexLock lock(&writer_);
    RETURN_IF_ERROR(LoadHead());
    RETURN_IF_ERROR(log_.Load(*store_, head_.seq_next));
    auto forgotten = std::make_shared<SeqSet>();
    RETURN_IF_ERROR(LoadForgotten(*forgotten));
    if (takes_text()) RETURN_IF_ERROR(LoadText());
    auto view = std::make_shared<LogView>();
    view->profile = &header_.profile;
    view->rows = log_.rows();
    view->seq_next = head_.seq_next;
    view->position_next = head_.position_next;
    view->forgotten = forgotten;
    view->segments = std::make_shared<SegmentList>(LoadSegments());
    if (header_.profile.compressive) view->fold = LoadFold(*forgotten);
    if (takes_text()) view->text = text_.View();
    Publish(std::move(view));
    return DropOldRequests();
  }

  const Header& header() const { return header_; }
  bool takes_text() const { return !header_.profile.text_encoder.empty(); }

  std::shared_ptr<const LogView> View() const {
    base::MutexLock lock(&view_mutex_);
    return view_;
  }

  absl::StatusOr<AppendResult> AppendText(const TextEntry& entry,
                                          const AppendOptions& options) {
    if (!takes_text()) {
      return Refused("WRONG_PAYLOAD",
                     "got text; expected tokens: the session's profile has no "
                     "text encoder");
    }
    RETURN_IF_ERROR(CheckText(entry));
    const PreparedText prepared =
        PrepareText(header_.profile, text_encoder_, entry);
    if (prepared.rows == 0) {
      return base::InvalidField("text.text", "only white space",
                                "at least one word");
    }
    base::MutexLock lock(&writer_);
    ASSIGN_OR_RETURN(std::optional<AppendResult> known,
                     CheckOptions(options, FingerprintOf(entry)));
    if (known) return *known;
    ASSIGN_OR_RETURN(const std::vector<int64_t> positions,
                     PositionsFor({}, prepared.rows, head_.position_next));

    WriteBatch batch;
    log_.Stage({.count = prepared.rows,
                .keys = prepared.keys,
                .values = prepared.keys,
                .positions = positions},
               batch);
    Entry stored{.number = head_.entry_next,
                 .text = std::string(entry.text),
                 .role = entry.role,
                 .time_us = entry.time_us.value_or(MicrosNow(*clock_)),
                 .source = entry.source,
                 .source_offset = entry.source_offset,
                 .metadata = entry.metadata,
                 .seq_first = head_.seq_next,
                 .seq_count = static_cast<uint32_t>(prepared.rows)};
    PutEntry(stored, prepared.terms, batch);
    AppendResult result;
    result.entry = stored.number;
    result.passages = static_cast<uint32_t>(prepared.terms.passages.size());
    Head head = head_;
    ++head.entry_next;
    RETURN_IF_ERROR(WriteAppend(
        head, positions, options, FingerprintOf(entry), batch, result,
        [&] { text_.Add(std::move(stored), prepared.terms); }));
    return result;
  }

  absl::StatusOr<AppendResult> AppendTokens(const TokenRows& rows,
                                            const AppendOptions& options) {
    if (takes_text()) {
      return Refused("WRONG_PAYLOAD",
                     "got tokens; expected text: the session's profile has a "
                     "text encoder");
    }
    RETURN_IF_ERROR(CheckTokens(header_.profile, rows));
    base::MutexLock lock(&writer_);
    ASSIGN_OR_RETURN(std::optional<AppendResult> known,
                     CheckOptions(options, FingerprintOf(rows)));
    if (known) return *known;
    ASSIGN_OR_RETURN(
        const std::vector<int64_t> positions,
        PositionsFor(rows.positions, rows.count, head_.position_next));
    WriteBatch batch;
    log_.Stage({.count = rows.count,
                .keys = rows.keys,
                .values = rows.values,
                .positions = positions},
               batch);
    AppendResult result;
    RETURN_IF_ERROR(WriteAppend(head_, positions, options, FingerprintOf(rows),
                                batch, result, [] {}));
    return result;
  }

  absl::StatusOr<AttendResult> Attend(const AttendQuery& query,
                                      const Cancelled& cancelled) const {
    RETURN_IF_ERROR(CheckAttendQuery(header_.profile, query));
    return AttendOver(*View(), positions_, query, cancelled);
  }

  absl::StatusOr<RecallResult> Recall(const RecallQuery& query,
                                      const Cancelled& cancelled) const {
    RETURN_IF_ERROR(CheckTakesText());
    RETURN_IF_ERROR(CheckRecallQuery(query));
    return RecallOver(*View(), positions_, text_encoder_, query, cancelled);
  }

  absl::StatusOr<ContextResult> AssembleContext(
      const ContextQuery& query, const Cancelled& cancelled) const {
    RETURN_IF_ERROR(CheckTakesText());
    RETURN_IF_ERROR(CheckContextQuery(query));
    return AssembleOver(*View(), positions_, text_encoder_, query, cancelled);
  }

  // Forgets the entries that `chosen` picks. `what` names them for NOT_FOUND.
  template <typename Chosen>
  absl::StatusOr<ForgetResult> Forget(const std::string& what, Chosen chosen) {
    base::MutexLock lock(&writer_);
    const std::shared_ptr<const LogView> before = View();
    std::vector<std::shared_ptr<const Entry>> gone;
    TextIndex kept;
    if (before->text) {
      for (size_t i = 0; i < before->text->entry_count; ++i) {
        const auto& entry = (*before->text->entries)[i];
        if (chosen(*entry)) {
          gone.push_back(entry);
          continue;
        }
        ASSIGN_OR_RETURN(EntryTerms terms, ReadTerms(entry->number));
        kept.Add(*entry, terms);
      }
    }
    if (gone.empty()) {
      return base::Error(
          absl::StatusCode::kNotFound,
          absl::StrCat(header_.name.ToString(), " has no ", what),
          {.reason = "ENTRY_NOT_FOUND"});
    }
    WriteBatch batch;
    ForgetResult result;
    auto view = std::make_shared<LogView>(*before);
    Log::Overwritten overwritten =
        ForgetRows(gone, *before, batch, *view, result);
    DropSegments(*before, gone, batch, *view);
    RETURN_IF_ERROR(DropRequests(gone, batch));
    view->rows = overwritten.rows;
    if (before->fold) {
      auto fold = std::make_shared<Fold>(header_.profile);
      fold->AbsorbUpTo(header_.profile, *overwritten.rows, *view->forgotten,
                       before->fold->absorbed_seq);
      PutCheckpoint(*fold, batch);
      view->fold = std::move(fold);
    }
    Head head = head_;
    head.update_time_us = MicrosNow(*clock_);
    PutHead(head, batch);
    RETURN_IF_ERROR(store_->Write(batch, /*sync=*/true));
    head_ = head;
    if (view->fold) checkpoint_seq_ = view->fold->absorbed_seq;
    log_.Replace(std::move(overwritten));
    text_ = std::move(kept);
    view->text = text_.View();
    Publish(std::move(view));
    return result;
  }

  absl::StatusOr<CompressiveRead> CompressiveState(uint32_t layer) const {
    const Profile& profile = header_.profile;
    if (!profile.compressive) {
      return Refused("NO_COMPRESSIVE_TIER",
                     "the session's profile has no compressive tier");
    }
    if (layer >= profile.layers) {
      return base::InvalidField("layer", absl::StrCat(layer),
                                absl::StrCat("0 to ", profile.layers - 1));
    }
    const std::shared_ptr<const LogView> view = View();
    CompressiveRead read;
    read.absorbed_seq = view->fold->absorbed_seq;
    for (uint32_t head = 0; head < profile.kv_heads; ++head) {
      const attention::CompressiveState& state =
          view->fold->banks[size_t{layer} * profile.kv_heads + head];
      read.matrix.insert(read.matrix.end(), state.matrix.begin(),
                         state.matrix.end());
      read.normalizer.insert(read.normalizer.end(), state.normalizer.begin(),
                             state.normalizer.end());
    }
    return read;
  }

  absl::StatusOr<std::vector<VerifyCheck>> Verify(
      const Cancelled& cancelled) const {
    // A mutation in between would look like damage.
    base::MutexLock lock(&writer_);
    return VerifySession(*store_, header_.uid, *View(), positions_, cancelled);
  }

  SessionInfo Info() const {
    base::MutexLock lock(&view_mutex_);
    return {.seq_next = view_->seq_next,
            .position_next = view_->position_next,
            .tokens = view_->live_tokens(),
            .entries = view_->text ? view_->text->entry_count : 0,
            .create_time_us = header_.create_time_us,
            .update_time_us = update_time_us_};
  }

  SessionCounts Counts() const {
    uint64_t checkpoint = 0;
    {
      base::MutexLock lock(&writer_);
      checkpoint = checkpoint_seq_;
    }
    const std::shared_ptr<const LogView> view = View();
    const TierRanges ranges = view->ranges();
    const auto live = [&](SeqRange range) {
      return range.size() - view->forgotten->CountIn(range);
    };
    SessionCounts counts;
    counts.tokens = view->live_tokens();
    counts.window_tokens = live(ranges.window);
    counts.knn_tokens = live(ranges.knn);
    counts.segments = view->segments->size();
    counts.sealed_tokens = counts.segments * kSealTokens;
    counts.compressive_tokens =
        view->fold ? live({0, view->fold->absorbed_seq}) : 0;
    if (view->text) {
      counts.entries = view->text->entry_count;
      counts.passages = view->text->passage_count;
      counts.text_bytes = view->text->text_bytes;
    }
    counts.row_bytes = (view->seq_next + kBlockTokens - 1) / kBlockTokens *
                       kBlockTokens * header_.profile.token_bytes();
    counts.checkpoint_seq = checkpoint;
    return counts;
  }

  absl::StatusOr<bool> SealOne() {
    const std::shared_ptr<const LogView> view = View();
    const std::optional<SeqRange> run = NextRun(*view);
    if (!run) return false;
    ASSIGN_OR_RETURN(std::shared_ptr<const Segment> segment,
                     BuildSegment(*view, *run));
    base::MutexLock lock(&writer_);
    const std::shared_ptr<const LogView> now = View();
    // Something was forgotten meanwhile: its centres may remember it.
    if (now->forgotten != view->forgotten) return true;
    WriteBatch batch;
    for (uint32_t bank = 0; bank < segment->banks.size(); ++bank) {
      std::string key = SegmentKey(header_.uid, run->begin, bank);
      std::string record = SealRecord(RecordKind::kSegment, key,
                                      EncodeSegmentIndex(segment->banks[bank]));
      batch.Put(std::move(key), std::move(record));
    }
    // Derived: what is lost is built again.
    RETURN_IF_ERROR(store_->Write(batch, /*sync=*/false));
    auto sealed = std::make_shared<LogView>(*now);
    auto segments = std::make_shared<SegmentList>(*now->segments);
    segments->push_back(std::move(segment));
    std::sort(segments->begin(), segments->end(),
              [](const auto& a, const auto& b) {
                return a->range.begin < b->range.begin;
              });
    sealed->segments = std::move(segments);
    Publish(std::move(sealed));
    return true;
  }

 private:
  void Publish(std::shared_ptr<const LogView> view)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    base::MutexLock lock(&view_mutex_);
    view_ = std::move(view);
    update_time_us_ = head_.update_time_us;
  }

  absl::Status CheckTakesText() const {
    if (takes_text()) return absl::OkStatus();
    return Refused("NO_TEXT",
                   "the session's profile has no text encoder, so it can be "
                   "attended to but not asked in words");
  }

  // The first result of a known request id, or nothing, when the append may go
  // on.
  absl::StatusOr<std::optional<AppendResult>> CheckOptions(
      const AppendOptions& options, uint64_t fingerprint)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    if (options.request_id.size() > kRequestIdBytesMax) {
      return base::InvalidField(
          "request_id", absl::StrCat(options.request_id.size(), " bytes"),
          absl::StrCat("at most ", kRequestIdBytesMax));
    }
    if (!options.request_id.empty()) {
      const std::string key = RequestKey(header_.uid, options.request_id);
      const absl::StatusOr<std::string> record = store_->Read(key);
      if (record.ok()) {
        ASSIGN_OR_RETURN(const std::string_view payload,
                         OpenRecord(RecordKind::kRequest, key, *record));
        Remembered remembered;
        if (!DecodeRemembered(payload, remembered)) {
          return MalformedRecord(RecordKind::kRequest, key);
        }
        if (remembered.fingerprint != fingerprint) {
          return Refused("REQUEST_ID_REUSED",
                         absl::StrCat("request_id \"", options.request_id,
                                      "\" came before with another payload; "
                                      "expected the same one, or a new id"));
        }
        remembered.result.replayed = true;
        return remembered.result;
      }
      if (!absl::IsNotFound(record.status())) return record.status();
    }
    if (options.expected_seq && *options.expected_seq != head_.seq_next) {
      return Refused("SEQ_MISMATCH",
                     absl::StrCat("expected_seq: got ", *options.expected_seq,
                                  "; the session is at seq ", head_.seq_next),
                     {{"given", absl::StrCat(*options.expected_seq)},
                      {"expected", absl::StrCat(head_.seq_next)}});
    }
    return std::nullopt;
  }

  // The common end of every append: fold, head, request id, one write, show.
  template <typename Shown>
  absl::Status WriteAppend(Head head, const std::vector<int64_t>& positions,
                           const AppendOptions& options, uint64_t fingerprint,
                           WriteBatch& batch, AppendResult& result,
                           Shown on_written)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    const std::shared_ptr<const LogView> before = View();
    result.seq_first = head.seq_next;
    head.seq_next += positions.size();
    head.position_next = positions.back() + 1;
    head.update_time_us = MicrosNow(*clock_);
    result.seq_next = head.seq_next;
    result.position_next = head.position_next;
    std::shared_ptr<const Fold> fold = Absorb(*before, head.seq_next, batch);
    if (!options.request_id.empty()) {
      std::string key = RequestKey(header_.uid, options.request_id);
      std::string record =
          SealRecord(RecordKind::kRequest, key,
                     EncodeRemembered({.fingerprint = fingerprint,
                                       .time_us = head.update_time_us,
                                       .result = result}));
      batch.Put(std::move(key), std::move(record));
    }
    PutHead(head, batch);
    RETURN_IF_ERROR(store_->Write(batch, options.sync));
    log_.Commit();
    head_ = head;
    if (fold && fold->absorbed_seq >= checkpoint_seq_ + kCheckpointTokens) {
      checkpoint_seq_ = fold->absorbed_seq;
    }
    on_written();
    auto view = std::make_shared<LogView>(*before);
    view->rows = log_.rows();
    view->seq_next = head.seq_next;
    view->position_next = head.position_next;
    view->fold = std::move(fold);
    if (takes_text()) view->text = text_.View();
    Publish(std::move(view));
    return absl::OkStatus();
  }

  // The fold of the log up to `seq_next`, and its checkpoint when one is due.
  std::shared_ptr<const Fold> Absorb(const LogView& before, uint64_t seq_next,
                                     WriteBatch& batch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    if (!before.fold) return nullptr;
    const uint64_t end = AbsorbedEnd(header_.profile, seq_next);
    if (end <= before.fold->absorbed_seq) return before.fold;
    auto fold = std::make_shared<Fold>(*before.fold);
    fold->AbsorbUpTo(header_.profile, *log_.rows(), *before.forgotten, end);
    if (end >= checkpoint_seq_ + kCheckpointTokens) {
      PutCheckpoint(*fold, batch);
    }
    return fold;
  }

  void PutHead(const Head& head, WriteBatch& batch) const {
    std::string key = HeadKey(header_.uid);
    std::string record = SealRecord(RecordKind::kHead, key, EncodeHead(head));
    batch.Put(std::move(key), std::move(record));
  }

  void PutEntry(const Entry& entry, const EntryTerms& terms,
                WriteBatch& batch) const {
    std::string key = EntryKey(header_.uid, entry.number);
    std::string record =
        SealRecord(RecordKind::kEntry, key, EncodeEntry(entry));
    batch.Put(std::move(key), std::move(record));
    key = LexicalKey(header_.uid, entry.number);
    record = SealRecord(RecordKind::kLexical, key, EncodeEntryTerms(terms));
    batch.Put(std::move(key), std::move(record));
  }

  void PutCheckpoint(const Fold& fold, WriteBatch& batch) const {
    for (uint32_t layer = 0; layer < header_.profile.layers; ++layer) {
      std::string key = CheckpointKey(header_.uid, layer);
      std::string record =
          SealRecord(RecordKind::kCheckpoint, key,
                     EncodeFoldLayer(header_.profile, fold, layer));
      batch.Put(std::move(key), std::move(record));
    }
  }

  // Marks and overwrites the rows of `gone`, and deletes their records.
  Log::Overwritten ForgetRows(
      const std::vector<std::shared_ptr<const Entry>>& gone,
      const LogView& before, WriteBatch& batch, LogView& view,
      ForgetResult& result) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    auto forgotten = std::make_shared<SeqSet>(*before.forgotten);
    SeqSet now;  // Neighbours become one range, so a block is written once.
    for (const auto& entry : gone) {
      const SeqRange range{entry->seq_first,
                           entry->seq_first + entry->seq_count};
      forgotten->Add(range);
      now.Add(range);
      ++result.entries;
      result.tokens += range.size();
      std::string key = ForgottenKey(header_.uid, range.begin);
      base::ByteWriter payload;
      payload.Number(range.end);
      std::string record =
          SealRecord(RecordKind::kForgotten, key, payload.Take());
      batch.Put(std::move(key), std::move(record));
      batch.Delete(EntryKey(header_.uid, entry->number));
      batch.Delete(LexicalKey(header_.uid, entry->number));
    }
    view.forgotten = std::move(forgotten);
    Log::Overwritten overwritten = log_.Current();
    uint64_t at = 0;
    while (at < before.seq_next) {
      // The next range is what lies between two gaps.
      SeqRange gap{before.seq_next, before.seq_next};
      bool found = false;
      now.ForEachGap({at, before.seq_next}, [&](SeqRange run) {
        if (!found) gap = run;
        found = true;
      });
      const SeqRange range{at, gap.begin};
      if (!range.empty()) {
        overwritten = log_.Overwrite(range, overwritten, batch);
      }
      at = gap.end;
    }
    return overwritten;
  }

  // Centres of clusters are means of keys, so segments that saw a forgotten key
  // go too, and are sealed anew.
  void DropSegments(const LogView& before,
                    const std::vector<std::shared_ptr<const Entry>>& gone,
                    WriteBatch& batch, LogView& view) const {
    auto segments = std::make_shared<SegmentList>();
    for (const auto& segment : *before.segments) {
      const bool hit =
          std::any_of(gone.begin(), gone.end(), [&](const auto& entry) {
            return !Intersect(
                        segment->range,
                        {entry->seq_first, entry->seq_first + entry->seq_count})
                        .empty();
          });
      if (!hit) {
        segments->push_back(segment);
        continue;
      }
      for (uint32_t bank = 0; bank < segment->banks.size(); ++bank) {
        batch.Delete(SegmentKey(header_.uid, segment->range.begin, bank));
      }
    }
    view.segments = std::move(segments);
  }

  // Calls `visit(key, remembered)` for every remembered request.
  template <typename Visit>
  absl::Status ForEachRequest(Visit visit) const {
    absl::Status sound;
    const KeyRange range = AllOf(header_.uid, RecordKind::kRequest);
    RETURN_IF_ERROR(store_->Scan(
        range.first, range.second,
        [&](std::string_view key, std::string_view record) {
          const auto payload = OpenRecord(RecordKind::kRequest, key, record);
          Remembered remembered;
          if (!payload.ok()) {
            sound = payload.status();
          } else if (!DecodeRemembered(*payload, remembered)) {
            sound = MalformedRecord(RecordKind::kRequest, key);
          } else {
            visit(std::string(key), remembered);
          }
          return sound.ok();
        }));
    return sound;
  }

  // A forgotten entry may be appended again, so its request is forgotten too.
  absl::Status DropRequests(
      const std::vector<std::shared_ptr<const Entry>>& gone,
      WriteBatch& batch) const {
    std::set<uint64_t> numbers;
    for (const auto& entry : gone) numbers.insert(entry->number);
    return ForEachRequest([&](std::string key, const Remembered& remembered) {
      if (numbers.contains(remembered.result.entry.value_or(0))) {
        batch.Delete(std::move(key));
      }
    });
  }

  absl::Status DropOldRequests() const {
    const int64_t oldest =
        MicrosNow(*clock_) - kRequestMemorySeconds * 1'000'000;
    WriteBatch batch;
    RETURN_IF_ERROR(
        ForEachRequest([&](std::string key, const Remembered& remembered) {
          if (remembered.time_us < oldest) batch.Delete(std::move(key));
        }));
    if (batch.operations.empty()) return absl::OkStatus();
    return store_->Write(batch, /*sync=*/false);
  }

  absl::Status LoadHead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    const std::string key = HeadKey(header_.uid);
    const absl::StatusOr<std::string> record = store_->Read(key);
    if (absl::IsNotFound(record.status())) {
      head_.update_time_us = header_.create_time_us;
      return absl::OkStatus();  // Nothing was ever appended.
    }
    RETURN_IF_ERROR(record.status());
    ASSIGN_OR_RETURN(const std::string_view payload,
                     OpenRecord(RecordKind::kHead, key, *record));
    if (!DecodeHead(payload, head_)) {
      return MalformedRecord(RecordKind::kHead, key);
    }
    return absl::OkStatus();
  }

  absl::Status LoadForgotten(SeqSet& forgotten) const {
    absl::Status sound;
    const KeyRange range = AllOf(header_.uid, RecordKind::kForgotten);
    RETURN_IF_ERROR(store_->Scan(
        range.first, range.second,
        [&](std::string_view key, std::string_view record) {
          const auto payload = OpenRecord(RecordKind::kForgotten, key, record);
          if (!payload.ok()) {
            sound = payload.status();
            return false;
          }
          base::ByteReader in(*payload);
          const auto end = in.Number<uint64_t>();
          uint64_t begin = 0;
          for (const char c : key.substr(key.size() - sizeof(begin))) {
            begin = begin << 8 | static_cast<unsigned char>(c);
          }
          if (!in.done() || key != ForgottenKey(header_.uid, begin)) {
            sound = MalformedRecord(RecordKind::kForgotten, key);
          }
          forgotten.Add({begin, end});
          return sound.ok();
        }));
    return sound;
  }

  absl::StatusOr<EntryTerms> ReadTerms(uint64_t number) const {
    const std::string key = LexicalKey(header_.uid, number);
    ASSIGN_OR_RETURN(const std::string record, store_->Read(key));
    ASSIGN_OR_RETURN(const std::string_view payload,
                     OpenRecord(RecordKind::kLexical, key, record));
    EntryTerms terms;
    if (!DecodeEntryTerms(payload, terms)) {
      return MalformedRecord(RecordKind::kLexical, key);
    }
    return terms;
  }

  absl::Status LoadText() ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    absl::Status sound;
    const KeyRange range = AllOf(header_.uid, RecordKind::kEntry);
    RETURN_IF_ERROR(store_->Scan(
        range.first, range.second,
        [&](std::string_view key, std::string_view record) {
          const auto payload = OpenRecord(RecordKind::kEntry, key, record);
          if (!payload.ok()) {
            sound = payload.status();
            return false;
          }
          Entry entry;
          if (!DecodeEntry(*payload, entry) ||
              key != EntryKey(header_.uid, entry.number)) {
            sound = MalformedRecord(RecordKind::kEntry, key);
            return false;
          }
          const absl::StatusOr<EntryTerms> terms = ReadTerms(entry.number);
          if (!terms.ok()) {
            sound = terms.status();
            return false;
          }
          text_.Add(std::move(entry), *terms);
          return true;
        }));
    return sound;
  }

  // Sealed runs are derived: what cannot be read is built again.
  SegmentList LoadSegments() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    SegmentList segments;
    const Profile& profile = header_.profile;
    const KeyRange range = AllOf(header_.uid, RecordKind::kSegment);
    auto building = std::make_shared<Segment>();
    const absl::Status scanned = store_->Scan(
        range.first, range.second,
        [&](std::string_view key, std::string_view record) {
          const auto payload = OpenRecord(RecordKind::kSegment, key, record);
          const auto bank = static_cast<uint32_t>(building->banks.size());
          if (bank == 0) {
            uint64_t begin = 0;
            for (const char c : key.substr(key.size() - 12, 8)) {
              begin = begin << 8 | static_cast<unsigned char>(c);
            }
            building->range = {begin, begin + kSealTokens};
          }
          SegmentIndex index;
          if (!payload.ok() || building->range.end > head_.seq_next ||
              key != SegmentKey(header_.uid, building->range.begin, bank) ||
              !DecodeSegmentIndex(*payload, kSealTokens, profile.key_dim,
                                  index)) {
            building = std::make_shared<Segment>();
            return true;
          }
          building->banks.push_back(std::move(index));
          if (building->banks.size() == profile.bank_count()) {
            segments.push_back(std::move(building));
            building = std::make_shared<Segment>();
          }
          return true;
        });
    if (!scanned.ok()) {
      base::Log(base::LogLevel::kWarning, "segments_unreadable",
                {{"session", header_.name.ToString()},
                 {"error", std::string(scanned.message())}});
    }
    return segments;
  }

  // The checkpoint, if it is sound, and the log from there.
  std::shared_ptr<const Fold> LoadFold(const SeqSet& forgotten)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    auto fold = std::make_shared<Fold>(header_.profile);
    const uint64_t end = AbsorbedEnd(header_.profile, head_.seq_next);
    for (uint32_t layer = 0; layer < header_.profile.layers; ++layer) {
      const std::string key = CheckpointKey(header_.uid, layer);
      const absl::StatusOr<std::string> record = store_->Read(key);
      if (!record.ok()) {
        fold = std::make_shared<Fold>(header_.profile);
        break;
      }
      const auto payload = OpenRecord(RecordKind::kCheckpoint, key, *record);
      if (!payload.ok() ||
          !DecodeFoldLayer(header_.profile, *payload, layer, *fold) ||
          fold->absorbed_seq > end) {
        fold = std::make_shared<Fold>(header_.profile);
        break;
      }
    }
    checkpoint_seq_ = fold->absorbed_seq;
    fold->AbsorbUpTo(header_.profile, *log_.rows(), forgotten, end);
    return fold;
  }

  // The first full run of the kNN tier that no segment covers.
  std::optional<SeqRange> NextRun(const LogView& view) const {
    const Profile& profile = header_.profile;
    // A tier that reads every key has no use for an index.
    if (!profile.knn || profile.knn->top_k == 0) return std::nullopt;
    const SeqRange knn = view.ranges().knn;
    uint64_t begin = (knn.begin + kSealTokens - 1) / kSealTokens * kSealTokens;
    for (const auto& segment : *view.segments) {
      if (segment->range.begin == begin) begin = segment->range.end;
    }
    if (begin + kSealTokens > knn.end) return std::nullopt;
    return SeqRange{begin, begin + kSealTokens};
  }

  absl::StatusOr<std::shared_ptr<const Segment>> BuildSegment(
      const LogView& view, SeqRange run) const {
    const Profile& profile = header_.profile;
    auto segment = std::make_shared<Segment>();
    segment->range = run;
    KeyReader reader(profile, positions_);
    std::vector<float> keys(run.size() * profile.key_dim);
    for (size_t bank = 0; bank < profile.bank_count(); ++bank) {
      ForEachSlice(*view.rows, run, [&](const BlockSlice& slice) {
        const float* rows = reader.Keys(slice, bank, profile.knn->policy);
        std::copy(
            rows, rows + slice.count * profile.key_dim,
            keys.data() + (slice.seq_first - run.begin) * profile.key_dim);
        return true;
      });
      ASSIGN_OR_RETURN(
          SegmentIndex index,
          BuildSegmentIndex(keys.data(), run.size(), profile.key_dim));
      segment->banks.push_back(std::move(index));
    }
    return segment;
  }

  Store* const store_;
  const base::Clock* const clock_;
  const Header header_;
  const attention::PositionEncoder positions_;
  const HashEncoder text_encoder_;

  // Writers hold writer_ for a whole mutation, its sync included; view_mutex_
  // only guards the pointer, so readers never wait for the disk.
  mutable base::Mutex writer_;
  Log log_ ABSL_GUARDED_BY(writer_);
  TextIndex text_ ABSL_GUARDED_BY(writer_);
  Head head_ ABSL_GUARDED_BY(writer_);
  uint64_t checkpoint_seq_ ABSL_GUARDED_BY(writer_) = 0;

  mutable base::Mutex view_mutex_ ABSL_ACQUIRED_AFTER(writer_);
  std::shared_ptr<const LogView> view_ ABSL_GUARDED_BY(view_mutex_);
  int64_t update_time_us_ ABSL_GUARDED_BY(view_mutex_) = 0;
};

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::~Session() = default;

absl::StatusOr<std::shared_ptr<Session>> Session::Open(Store* store,
                                                       const base::Clock* clock,
                                                       Header header) {
  const std::string name = header.name.ToString();
  ASSIGN_OR_RETURN(
      attention::PositionEncoder positions,
      attention::PositionEncoder::Create(
          header.profile.position, static_cast<int>(header.profile.key_dim)));
  auto impl = std::make_unique<Impl>(store, clock, std::move(header),
                                     std::move(positions));
  const absl::Status loaded = impl->Load();
  if (!loaded.ok()) return base::Annotate(loaded, name);
  return std::shared_ptr<Session>(new Session(std::move(impl)));
}

const Session::Header& Session::header() const { return impl_->header(); }

absl::StatusOr<AppendResult> Session::AppendText(const TextEntry& entry,
                                                 const AppendOptions& options) {
  return impl_->AppendText(entry, options);
}

absl::StatusOr<AppendResult> Session::AppendTokens(
    const TokenRows& rows, const AppendOptions& options) {
  return impl_->AppendTokens(rows, options);
}

absl::StatusOr<AttendResult> Session::Attend(const AttendQuery& query,
                                             const Cancelled& cancelled) const {
  return impl_->Attend(query, cancelled);
}

absl::StatusOr<RecallResult> Session::Recall(const RecallQuery& query,
                                             const Cancelled& cancelled) const {
  return impl_->Recall(query, cancelled);
}

absl::StatusOr<ContextResult> Session::AssembleContext(
    const ContextQuery& query, const Cancelled& cancelled) const {
  return impl_->AssembleContext(query, cancelled);
}

absl::StatusOr<ForgetResult> Session::ForgetEntry(uint64_t entry) {
  return impl_->Forget(absl::StrCat("entry ", entry), [&](const Entry& known) {
    return known.number == entry;
  });
}

absl::StatusOr<ForgetResult> Session::ForgetSource(const std::string& source) {
  return impl_->Forget(
      absl::StrCat("entry of source \"", source, "\""),
      [&](const Entry& known) { return known.source == source; });
}

absl::StatusOr<CompressiveRead> Session::CompressiveState(
    uint32_t layer) const {
  return impl_->CompressiveState(layer);
}

absl::StatusOr<std::vector<VerifyCheck>> Session::Verify(
    const Cancelled& cancelled) const {
  return impl_->Verify(cancelled);
}

SessionInfo Session::Info() const { return impl_->Info(); }

SessionCounts Session::Counts() const { return impl_->Counts(); }

absl::StatusOr<bool> Session::SealOne() { return impl_->SealOne(); }

}  // namespace mneme::memory
