#include "memory/session.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "attention/position.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "memory/attend.h"
#include "memory/context.h"
#include "memory/entries.h"
#include "memory/fold.h"
#include "memory/head.h"
#include "memory/intake.h"
#include "memory/log.h"
#include "memory/readout.h"
#include "memory/recall.h"
#include "memory/records.h"
#include "memory/requests.h"
#include "memory/sealing.h"
#include "memory/text/encoder.h"
#include "memory/text_index.h"
#include "memory/verify.h"
#include "memory/view.h"

namespace mneme::memory {
namespace {

int64_t MicrosNow(const base::Clock& clock) {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             clock.Now().time_since_epoch())
      .count();
}

absl::Status Refused(std::string_view reason, std::string_view message,
                     std::map<std::string, std::string> facts = {}) {
  return base::Error(
      absl::StatusCode::kFailedPrecondition, message,
      {.reason = std::string(reason), .metadata = std::move(facts)});
}

SessionInfo InfoOf(const Head& head, const Session::Header& header) {
  return {.seq_next = head.seq_next,
          .position_next = head.position_next,
          .tokens = head.tokens,
          .entries = head.entries,
          .create_time_us = header.create_time_us,
          .update_time_us = head.update_time_us};
}

uint64_t LiveIn(const LogView& view, SeqRange range) {
  return range.size() - view.forgotten->CountIn(range);
}

SeqRange RangeOf(const Entry& entry) {
  return {entry.seq_first, entry.seq_first + entry.seq_count};
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
        requests_(store, header_.uid),
        log_(header_.uid, &header_.profile) {}

  absl::Status Load() {
    base::MutexLock lock(&writer_);
    ASSIGN_OR_RETURN(head_,
                     ReadHead(*store_, header_.uid, header_.create_time_us));
    RETURN_IF_ERROR(log_.Load(*store_, head_.seq_next));
    auto forgotten = std::make_shared<SeqSet>();
    RETURN_IF_ERROR(LoadForgotten(*store_, header_.uid, *forgotten));
    auto view = std::make_shared<LogView>();
    view->profile = &header_.profile;
    view->rows = log_.rows();
    view->seq_next = head_.seq_next;
    view->position_next = head_.position_next;
    view->committed_seq = head_.committed_seq;
    view->segments = std::make_shared<SegmentList>(
        LoadSegments(*store_, header_.uid, header_.profile, head_.seq_next));
    view->forgotten = std::move(forgotten);
    if (header_.profile.compressive) ReplayFold(*view);
    if (takes_text()) {
      RETURN_IF_ERROR(LoadEntries(*store_, header_.uid, head_.seq_next, text_));
      view->text = text_.View();
    }
    Publish(std::move(view));
    DropOldRequests();
    return absl::OkStatus();
  }

  const Header& header() const { return header_; }

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
    const uint64_t fingerprint = FingerprintOf(entry);
    base::MutexLock lock(&writer_);
    ASSIGN_OR_RETURN(auto known, CheckOptions(options, fingerprint));
    if (known) return *known;
    ASSIGN_OR_RETURN(const auto positions,
                     PositionsFor({}, prepared.rows, head_.position_next));
    WriteBatch batch;
    log_.Stage({.count = prepared.rows,
                .keys = prepared.keys,
                .values = prepared.keys,
                .positions = positions},
               batch);
    Head head = head_;
    Entry stored{.number = head.entry_next++,
                 .text = std::string(entry.text),
                 .role = entry.role,
                 .time_us = entry.time_us.value_or(MicrosNow(*clock_)),
                 .source = entry.source,
                 .source_offset = entry.source_offset,
                 .metadata = entry.metadata,
                 .seq_first = head.seq_next,
                 .seq_count = static_cast<uint32_t>(prepared.rows)};
    PutEntry(header_.uid, stored, prepared.terms, batch);
    ++head.entries;
    AppendResult result;
    result.entry = stored.number;
    result.passages = static_cast<uint32_t>(prepared.terms.passages.size());
    RETURN_IF_ERROR(WriteAppend(head, positions, options, fingerprint, batch,
                                result,
                                NewEntry{std::move(stored), prepared.terms}));
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
    const uint64_t fingerprint = FingerprintOf(rows);
    base::MutexLock lock(&writer_);
    ASSIGN_OR_RETURN(auto known, CheckOptions(options, fingerprint));
    if (known) return *known;
    ASSIGN_OR_RETURN(
        const auto positions,
        PositionsFor(rows.positions, rows.count, head_.position_next));
    WriteBatch batch;
    log_.Stage({.count = rows.count,
                .keys = rows.keys,
                .values = rows.values,
                .positions = positions},
               batch);
    AppendResult result;
    RETURN_IF_ERROR(WriteAppend(head_, positions, options, fingerprint, batch,
                                result, std::nullopt));
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

  // Forgets the entries that `chosen` picks; `what` names them for NOT_FOUND.
  template <typename Chosen>
  absl::StatusOr<ForgetResult> Forget(const std::string& what, bool dry_run,
                                      Chosen chosen) {
    base::MutexLock lock(&writer_);
    RETURN_IF_ERROR(CheckOpen());
    const std::shared_ptr<const LogView> before = View();
    Entries gone;
    Entries stay;
    for (size_t i = 0; before->text && i < before->text->entry_count; ++i) {
      const auto& entry = (*before->text->entries)[i];
      (chosen(*entry) ? gone : stay).push_back(entry);
    }
    if (gone.empty()) {
      return base::Error(
          absl::StatusCode::kNotFound,
          absl::StrCat(header_.name.ToString(), " has no ", what),
          {.reason = "ENTRY_NOT_FOUND"});
    }
    WriteBatch batch;
    auto view = std::make_shared<LogView>(*before);
    const ForgetResult result = HideEntries(gone, *view, batch);
    if (dry_run) return result;
    TextIndex kept;
    for (const auto& entry : stay) {
      ASSIGN_OR_RETURN(const EntryTerms terms,
                       ReadTerms(*store_, header_.uid, *entry));
      kept.Add(*entry, terms);
    }
    Log::Overwritten overwritten = log_.Overwrite(RangesOfEntries(gone), batch);
    view->rows = overwritten.rows;
    view->segments = DropSegments(*before->segments, gone, batch);
    RETURN_IF_ERROR(requests_.DropEntries(NumbersOf(gone), batch));
    if (before->fold) {
      auto fold =
          std::make_shared<Fold>(header_.profile, before->fold->features);
      fold->AbsorbUpTo(header_.profile, *view->rows, *view->forgotten,
                       AbsorbedEnd(header_.profile, view->ranges()));
      PutCheckpoint(header_.uid, header_.profile, *fold, batch);
      view->checkpoint_seq = fold->absorbed_seq;
      view->fold = std::move(fold);
    }
    Head head = head_;
    head.update_time_us = MicrosNow(*clock_);
    head.tokens -= result.tokens;
    head.entries -= result.entries;
    PutHead(header_.uid, head, batch);
    view->text = kept.View();
    RETURN_IF_ERROR(store_->Write(batch, /*sync=*/true));
    head_ = head;
    log_.Replace(std::move(overwritten));
    text_ = std::move(kept);
    Publish(std::move(view));
    compaction_due_ = true;
    return result;
  }

  absl::StatusOr<CommitResult> CommitWindow(
      uint64_t keep_tokens, std::optional<uint64_t> expected_seq) {
    const Profile& profile = header_.profile;
    if (!profile.window || profile.window->commit == CommitPolicy::kSegment) {
      return Refused("WINDOW_NOT_COMMITTABLE",
                     profile.window ? "the session's window commits whole "
                                      "segments of compressive memory, and "
                                      "cannot be committed by hand"
                                    : "the session's profile has no window");
    }
    base::MutexLock lock(&writer_);
    RETURN_IF_ERROR(CheckOpen());
    RETURN_IF_ERROR(CheckSeq(expected_seq));
    const std::shared_ptr<const LogView> before = View();
    auto view = std::make_shared<LogView>(*before);
    uint64_t begin =
        before->forgotten->BeginOfLast(keep_tokens, before->seq_next);
    // A chunk that is cut would be without its landmark.
    if (profile.knn && profile.knn->chunk_score == ChunkScore::kLandmark) {
      begin -= begin % profile.knn->chunk_tokens;
    }
    view->committed_seq = std::max(before->ranges().window.begin, begin);
    CommitResult result;
    result.committed_tokens = LiveIn(*before, before->ranges().window) -
                              LiveIn(*view, view->ranges().window);
    if (result.committed_tokens > 0) {
      WriteBatch batch;
      Absorb(*view, batch);
      Head head = head_;
      head.committed_seq = view->committed_seq;
      head.update_time_us = MicrosNow(*clock_);
      PutHead(header_.uid, head, batch);
      RETURN_IF_ERROR(store_->Write(batch, /*sync=*/true));
      head_ = head;
      Publish(view);
    }
    result.window_tokens = LiveIn(*view, view->ranges().window);
    result.knn_tokens = LiveIn(*view, view->ranges().knn);
    return result;
  }

  absl::StatusOr<TokensResult> ReadTokens(const TokensQuery& query) const {
    return ReadTokensOver(*View(), query);
  }

  absl::StatusOr<CompressiveRead> CompressiveState(
      uint32_t layer, uint64_t known_version) const {
    if (!header_.profile.compressive) {
      return Refused("NO_COMPRESSIVE_TIER",
                     "the session's profile has no compressive tier");
    }
    // Not the uid, which counts everybody's sessions and is shown to nobody.
    const std::string identity =
        absl::StrCat(header_.name.ToString(), "@", header_.create_time_us);
    return ReadCompressive(*View(), layer, known_version, identity);
  }

  absl::StatusOr<std::vector<VerifyCheck>> Verify(
      const Cancelled& cancelled) const {
    // A mutation in between would look like damage.
    base::MutexLock lock(&writer_);
    RETURN_IF_ERROR(CheckOpen());
    return VerifySession(*store_, header_.uid, *View(), positions_, cancelled);
  }

  SessionInfo Info() const {
    base::MutexLock lock(&view_mutex_);
    return info_;
  }

  SessionCounts Counts() const {
    const std::shared_ptr<const LogView> view = View();
    const TierRanges ranges = view->ranges();
    const auto live = [&](SeqRange range) { return LiveIn(*view, range); };
    SessionCounts counts;
    counts.tokens = view->live_tokens();
    counts.window_tokens = live(ranges.window);
    counts.knn_tokens = live(ranges.knn);
    counts.segments = view->segments->size();
    counts.sealed_tokens = counts.segments * kSealTokens;
    if (view->fold) {
      counts.compressive_tokens = live({0, view->fold->absorbed_seq});
    }
    if (view->text) {
      counts.entries = view->text->entry_count;
      counts.passages = view->text->passage_count;
      counts.text_bytes = view->text->text_bytes;
    }
    counts.row_bytes = (view->seq_next + kBlockTokens - 1) / kBlockTokens *
                       kBlockTokens * header_.profile.token_bytes();
    counts.checkpoint_seq = view->checkpoint_seq;
    return counts;
  }

  void Close() {
    base::MutexLock lock(&writer_);
    closed_ = true;
  }

  absl::Status CompactForgotten() {
    if (!compaction_due_.exchange(false)) return absl::OkStatus();
    const KeyRange records = AllOf(header_.uid);
    return store_->Compact(records.first, records.second);
  }

  absl::StatusOr<bool> SealOne(const Cancelled& cancelled) {
    const std::shared_ptr<const LogView> view = View();
    const std::optional<SeqRange> run = NextRun(*view);
    if (!run) return false;
    ASSIGN_OR_RETURN(const std::shared_ptr<const Segment> segment,
                     BuildSegment(*view, positions_, *run, cancelled));
    base::MutexLock lock(&writer_);
    const std::shared_ptr<const LogView> now = View();
    // Something was forgotten meanwhile: its centres may remember it.
    if (now->forgotten != view->forgotten) return true;
    if (closed_ || NextRun(*now) != run) return false;
    WriteBatch batch;
    PutSegment(header_.uid, *segment, batch);
    const std::shared_ptr<const SegmentList> kept = DropEvicted(*now, batch);
    // Derived: what is lost is built again.
    RETURN_IF_ERROR(store_->Write(batch, /*sync=*/false));
    auto sealed = std::make_shared<LogView>(*now);
    sealed->segments = WithSegment(*kept, segment);
    Publish(std::move(sealed));
    return true;
  }

 private:
  using Entries = std::vector<std::shared_ptr<const Entry>>;

  // What an append of text adds to the text index.
  struct NewEntry {
    Entry entry;
    const EntryTerms& terms;
  };

  bool takes_text() const { return !header_.profile.text_encoder.empty(); }

  absl::Status CheckTakesText() const {
    if (takes_text()) return absl::OkStatus();
    return Refused("NO_TEXT",
                   "the session's profile has no text encoder, so it can be "
                   "attended to but not asked in words");
  }

  void Publish(std::shared_ptr<const LogView> view)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    base::MutexLock lock(&view_mutex_);
    view_ = std::move(view);
    info_ = InfoOf(head_, header_);
  }

  absl::Status CheckOpen() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    if (broken_) {
      return base::Error(absl::StatusCode::kUnavailable,
                         absl::StrCat(header_.name.ToString(),
                                      " ran out of memory while it changed; "
                                      "restart the server to change it again"),
                         {.reason = "SESSION_BROKEN"});
    }
    if (!closed_) return absl::OkStatus();
    return base::Error(
        absl::StatusCode::kNotFound,
        absl::StrCat(header_.name.ToString(), " has been deleted"),
        {.reason = "SESSION_NOT_FOUND", .field = "session"});
  }

  // The first answer to a known request id, or nothing: the append may go on.
  absl::StatusOr<std::optional<AppendResult>> CheckOptions(
      const AppendOptions& options, uint64_t fingerprint)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    RETURN_IF_ERROR(CheckOpen());
    ASSIGN_OR_RETURN(auto known,
                     requests_.Find(options.request_id, fingerprint));
    if (known) return known;
    RETURN_IF_ERROR(CheckSeq(options.expected_seq));
    return known;
  }

  absl::Status CheckSeq(std::optional<uint64_t> expected) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    if (!expected || *expected == head_.seq_next) return absl::OkStatus();
    return Refused(
        "SEQ_MISMATCH",
        absl::StrCat("expected_seq: got ", *expected, "; expected ",
                     head_.seq_next, ", where the session's log ends"),
        {{"given", absl::StrCat(*expected)},
         {"expected", absl::StrCat(head_.seq_next)}});
  }

  // The common end of every append: fold, request id, head, one write, show.
  absl::Status WriteAppend(Head head, const std::vector<int64_t>& positions,
                           const AppendOptions& options, uint64_t fingerprint,
                           WriteBatch& batch, AppendResult& result,
                           std::optional<NewEntry> entry)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    const std::shared_ptr<const LogView> before = View();
    result.seq_first = head.seq_next;
    head.seq_next += positions.size();
    head.position_next = positions.back() + 1;
    head.update_time_us = MicrosNow(*clock_);
    result.seq_next = head.seq_next;
    result.position_next = head.position_next;
    head.tokens += positions.size();
    head.committed_seq =
        CommittedBefore(header_.profile, before->seq_next, *before->forgotten,
                        head.committed_seq, positions.size());
    auto view = std::make_shared<LogView>(*before);
    view->rows = log_.rows();
    view->seq_next = head.seq_next;
    view->position_next = head.position_next;
    view->committed_seq = head.committed_seq;
    Absorb(*view, batch);
    requests_.Put(options.request_id, fingerprint, head.update_time_us, result,
                  batch);
    PutHead(header_.uid, head, batch);
    RETURN_IF_ERROR(store_->Write(batch, options.sync));
    // What is written is acknowledged or, should memory run out in between,
    // found by opening the session again; nothing goes on from a half.
    broken_ = true;
    if (entry) {
      text_.Add(std::move(entry->entry), entry->terms);
      view->text = text_.View();
    }
    broken_ = false;
    log_.Commit();
    head_ = head;
    Publish(std::move(view));
    return absl::OkStatus();
  }

  // Brings the fold of a view, whose rows are staged, up to its window.
  void Absorb(LogView& view, WriteBatch& batch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    if (!view.fold) return;
    const uint64_t end = AbsorbedEnd(header_.profile, view.ranges());
    if (end <= view.fold->absorbed_seq) return;
    auto fold = std::make_shared<Fold>(*view.fold);
    fold->AbsorbUpTo(header_.profile, *log_.rows(), *view.forgotten, end);
    if (end >= view.checkpoint_seq + kCheckpointTokens) {
      PutCheckpoint(header_.uid, header_.profile, *fold, batch);
      view.checkpoint_seq = end;
    }
    view.fold = std::move(fold);
  }

  static std::set<uint64_t> NumbersOf(const Entries& entries) {
    std::set<uint64_t> numbers;
    for (const auto& entry : entries) numbers.insert(entry->number);
    return numbers;
  }

  // Neighbours become one range, so that a block is written once.
  static SeqSet RangesOfEntries(const Entries& entries) {
    SeqSet ranges;
    for (const auto& entry : entries) ranges.Add(RangeOf(*entry));
    return ranges;
  }

  ForgetResult HideEntries(const Entries& gone, LogView& view,
                           WriteBatch& batch) const {
    ForgetResult result;
    auto forgotten = std::make_shared<SeqSet>(*view.forgotten);
    for (const auto& entry : gone) {
      forgotten->Add(RangeOf(*entry));
      PutForgotten(header_.uid, *entry, batch);
      ++result.entries;
      result.tokens += entry->seq_count;
    }
    view.forgotten = std::move(forgotten);
    return result;
  }

  // Without the segments of which a quota has evicted every token.
  std::shared_ptr<const SegmentList> DropEvicted(const LogView& view,
                                                 WriteBatch& batch) const {
    const uint64_t begin = view.ranges().knn.begin;
    auto kept = std::make_shared<SegmentList>();
    for (const auto& segment : *view.segments) {
      if (segment->range.end <= begin) {
        DeleteSegment(header_.uid, *segment, batch);
      } else {
        kept->push_back(segment);
      }
    }
    return kept;
  }

  // Centres of clusters are means of keys, so segments that saw a forgotten key
  // go too, and are sealed anew.
  std::shared_ptr<const SegmentList> DropSegments(const SegmentList& segments,
                                                  const Entries& gone,
                                                  WriteBatch& batch) const {
    auto kept = std::make_shared<SegmentList>();
    for (const auto& segment : segments) {
      const bool hit =
          std::any_of(gone.begin(), gone.end(), [&](const auto& entry) {
            return !Intersect(segment->range, RangeOf(*entry)).empty();
          });
      if (hit) {
        DeleteSegment(header_.uid, *segment, batch);
      } else {
        kept->push_back(segment);
      }
    }
    return kept;
  }

  // The checkpoint, and the log from there.
  void ReplayFold(LogView& view) ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    const uint64_t end = AbsorbedEnd(header_.profile, view.ranges());
    auto fold = std::make_shared<Fold>(
        LoadCheckpoint(*store_, header_.uid, header_.profile, end));
    view.checkpoint_seq = fold->absorbed_seq;
    fold->AbsorbUpTo(header_.profile, *log_.rows(), *view.forgotten, end);
    view.fold = std::move(fold);
  }

  // Housekeeping: a store that refuses writes must not keep a session shut.
  void DropOldRequests() const {
    WriteBatch batch;
    absl::Status dropped = requests_.DropOlder(
        MicrosNow(*clock_) - kRequestMemorySeconds * 1'000'000, batch);
    if (dropped.ok() && !batch.operations.empty()) {
      dropped = store_->Write(batch, /*sync=*/false);
    }
    if (!dropped.ok()) {
      base::Log(base::LogLevel::kWarning, "old_requests_kept",
                {{"session", header_.name.ToString()},
                 {"error", std::string(dropped.message())}});
    }
  }

  Store* const store_;
  const base::Clock* const clock_;
  const Header header_;
  const attention::PositionEncoder positions_;
  const HashEncoder text_encoder_;
  const Requests requests_;

  // Writers hold writer_ for a whole mutation, its sync included; view_mutex_
  // only guards the pointer, so readers never wait for the disk.
  mutable base::Mutex writer_;
  Log log_ ABSL_GUARDED_BY(writer_);
  TextIndex text_ ABSL_GUARDED_BY(writer_);
  Head head_ ABSL_GUARDED_BY(writer_);
  bool closed_ ABSL_GUARDED_BY(writer_) = false;
  bool broken_ ABSL_GUARDED_BY(writer_) = false;
  std::atomic<bool> compaction_due_{false};

  mutable base::Mutex view_mutex_ ABSL_ACQUIRED_AFTER(writer_);
  std::shared_ptr<const LogView> view_ ABSL_GUARDED_BY(view_mutex_);
  SessionInfo info_ ABSL_GUARDED_BY(view_mutex_);
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

absl::StatusOr<ForgetResult> Session::ForgetEntry(uint64_t entry,
                                                  bool dry_run) {
  return impl_->Forget(
      absl::StrCat("entry ", entry), dry_run,
      [&](const Entry& known) { return known.number == entry; });
}

absl::StatusOr<ForgetResult> Session::ForgetSource(const std::string& source,
                                                   bool dry_run) {
  RETURN_IF_ERROR(CheckSource(source));
  return impl_->Forget(
      absl::StrCat("entry of source ", base::Quoted(source)), dry_run,
      [&](const Entry& known) { return known.source == source; });
}

absl::StatusOr<CommitResult> Session::CommitWindow(
    uint64_t keep_tokens, std::optional<uint64_t> expected_seq) {
  return impl_->CommitWindow(keep_tokens, expected_seq);
}

absl::StatusOr<TokensResult> Session::ReadTokens(
    const TokensQuery& query) const {
  return impl_->ReadTokens(query);
}

absl::StatusOr<CompressiveRead> Session::CompressiveState(
    uint32_t layer, uint64_t known_version) const {
  return impl_->CompressiveState(layer, known_version);
}

absl::StatusOr<std::vector<VerifyCheck>> Session::Verify(
    const Cancelled& cancelled) const {
  return impl_->Verify(cancelled);
}

SessionInfo Session::Info() const { return impl_->Info(); }

SessionCounts Session::Counts() const { return impl_->Counts(); }

void Session::Close() { impl_->Close(); }

absl::StatusOr<bool> Session::SealOne(const Cancelled& cancelled) {
  return impl_->SealOne(cancelled);
}

absl::Status Session::CompactForgotten() { return impl_->CompactForgotten(); }

absl::StatusOr<SessionInfo> Session::ReadInfo(const Store& store,
                                              const Header& header) {
  ASSIGN_OR_RETURN(const Head head,
                   ReadHead(store, header.uid, header.create_time_us));
  return InfoOf(head, header);
}

}  // namespace mneme::memory
