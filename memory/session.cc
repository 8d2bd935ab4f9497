#include "memory/session.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <new>
#include <optional>
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
#include "memory/forget.h"
#include "memory/forgotten.h"
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

SessionInfo InfoOf(const Head& head, const SessionHeader& header) {
  return {.seq_next = head.seq_next,
          .position_next = head.position_next,
          .tokens = head.tokens,
          .entries = head.entries,
          .entry_bytes = head.entry_bytes,
          .create_time_us = header.create_time_us,
          .update_time_us = head.update_time_us};
}

uint64_t LiveIn(const LogView& view, SeqRange range) {
  return range.size() - view.forgotten->CountIn(range);
}

// Opening a session and looking for a request id go through all trunks, and a
// fork writes their list: thousands would be slow.
constexpr size_t kTrunksMax = 1000;

// A compressive state that takes no more steps than this, some 0.1 s, is made
// anew at once.
constexpr uint64_t kRebuildStepsMax = uint64_t{1} << 28;

// Blocks whose forgotten rows are overwritten while writers wait.
constexpr uint64_t kErasedBlocks = 64;

// Damage says whose it is; any other error is the caller's own.
absl::Status OfSession(const std::string& name, const absl::Status& status) {
  if (status.ok()) return status;
  return base::WithFacts(base::Annotate(status, name), {{"session", name}});
}

template <typename T>
absl::StatusOr<T> OfSession(const SessionName& name, absl::StatusOr<T> result) {
  if (!absl::IsDataLoss(result.status())) return result;
  return OfSession(name.ToString(), result.status());
}

}  // namespace

class Session::Impl {
 public:
  Impl(Store* store, const base::Clock* clock, SharedParts* shared,
       SessionRecord record, attention::PositionEncoder positions)
      : store_(store),
        clock_(clock),
        header_(std::move(record.header)),
        positions_(std::move(positions)),
        branch_(std::make_shared<const Branch>(std::move(record.branch))),
        requests_(store, *branch_),
        log_(&header_.profile, &shared->blocks),
        shared_(shared) {}

  absl::Status Load() {
    base::MutexLock lock(&writer_);
    ASSIGN_OR_RETURN(head_,
                     ReadHead(*store_, branch_->uid, header_.create_time_us));
    auto forgotten = std::make_shared<SeqSet>();
    RETURN_IF_ERROR(LoadForgotten(*store_, branch_->uid, *forgotten));
    RETURN_IF_ERROR(log_.Load(*store_, *branch_, head_.seq_next, *forgotten));
    auto view = std::make_shared<LogView>();
    view->profile = &header_.profile;
    view->identity = header_.Identity();
    view->branch = branch_;
    view->rows = log_.rows();
    view->seq_next = head_.seq_next;
    view->position_next = head_.position_next;
    view->committed_seq = head_.committed_seq;
    view->segments = BorrowSegments(LoadSegments(
        *store_, *branch_, header_.profile, head_.seq_next, *forgotten));
    view->forgotten = std::move(forgotten);
    if (header_.profile.compressive) ReplayFold(*view);
    if (takes_text()) {
      RETURN_IF_ERROR(LoadEntries(*store_, *branch_, head_.seq_next,
                                  *view->forgotten, text_));
      view->text = text_.View();
      head_.entry_bytes = view->text->EntryBytes();
    }
    RETURN_IF_ERROR(CheckComplete(*view));
    Publish(std::move(view));
    DropOldRequests();
    return absl::OkStatus();
  }

  const SessionHeader& header() const { return header_; }

  std::shared_ptr<const LogView> View() const {
    base::MutexLock lock(&view_mutex_);
    return view_;
  }

  absl::StatusOr<AppendResult> AppendText(const TextEntry& entry,
                                          const AppendOptions& options,
                                          const Cancelled& cancelled) {
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
               *View()->forgotten, batch);
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
    PutEntry(branch_->uid, stored, prepared.terms, batch);
    ++head.entries;
    head.entry_bytes += BytesOf(stored);
    AppendResult result;
    result.entry = stored.number;
    result.bytes = BytesOf(stored);
    result.passages = static_cast<uint32_t>(prepared.terms.passages.size());
    RETURN_IF_ERROR(
        WriteAppend(head, positions, options, fingerprint, batch, result,
                    NewEntry{std::move(stored), prepared.terms}, cancelled));
    return result;
  }

  absl::StatusOr<AppendResult> AppendTokens(const TokenRows& rows,
                                            const AppendOptions& options,
                                            const Cancelled& cancelled) {
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
               *View()->forgotten, batch);
    AppendResult result;
    RETURN_IF_ERROR(WriteAppend(head_, positions, options, fingerprint, batch,
                                result, std::nullopt, cancelled));
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

  absl::StatusOr<ForgetResult> Forget(const ForgetTarget& target, bool dry_run,
                                      WriteBatch batch) {
    base::MutexLock lock(&writer_);
    RETURN_IF_ERROR(CheckOpen());
    const std::shared_ptr<const LogView> before = View();
    ASSIGN_OR_RETURN(const Gone gone,
                     ChooseGone(*before, target, header_.name.ToString()));
    const ForgetResult result{.entries = gone.entries.size(),
                              .tokens = gone.tokens};
    if (dry_run) return result;
    auto view = std::make_shared<LogView>(*before);
    auto forgotten = std::make_shared<SeqSet>(*before->forgotten);
    for (const ForgottenRun& run : RunsOf(*before, gone)) {
      forgotten->Add(run.seqs);
      PutForgotten(branch_->uid, run, batch);
    }
    view->forgotten = std::move(forgotten);
    Head head = head_;
    for (const auto& entry : gone.entries) {
      DeleteEntry(branch_->uid, entry->number, batch);
      head.entry_bytes -= BytesOf(*entry);
    }
    RETURN_IF_ERROR(requests_.DropForgotten(*view->forgotten, batch));
    view->segments = DropSegments(*before->segments, gone.seqs, batch);
    if (before->fold) ForgetInFold(*before->fold, gone.seqs, *view, batch);
    head.update_time_us = MicrosNow(*clock_);
    head.tokens -= result.tokens;
    head.entries -= result.entries;
    PutHead(branch_->uid, head, batch);
    TextIndex text;
    if (takes_text()) {
      text = text_.Without(gone.seqs);
      view->text = text.View();
    }
    RETURN_IF_ERROR(store_->Write(batch, /*sync=*/true));
    head_ = head;
    text_ = std::move(text);
    Publish(std::move(view));
    return result;
  }

  absl::Status Clean(const Cancelled& cancelled) {
    RETURN_IF_ERROR(RebuildFold(cancelled));
    for (uint64_t block = 0;; block += kErasedBlocks) {
      if (cancelled()) return absl::CancelledError("cleaning was stopped");
      base::MutexLock lock(&writer_);
      const std::shared_ptr<const LogView> before = View();
      if (block * kBlockTokens >= before->seq_next) break;
      WriteBatch batch;
      Log::Erased erased =
          log_.Erase(*before->forgotten, block, block + kErasedBlocks, batch);
      if (batch.operations.empty()) continue;
      RETURN_IF_ERROR(CheckOpen());
      auto view = std::make_shared<LogView>(*before);
      view->rows = erased.rows;
      RETURN_IF_ERROR(store_->Write(batch, /*sync=*/true));
      log_.Replace(std::move(erased));
      Publish(std::move(view));
    }
    return absl::OkStatus();
  }

  absl::Status Fork(std::optional<uint64_t> at_seq, uint64_t own_uid,
                    SessionRecord& self, SessionRecord& fork,
                    WriteBatch batch) {
    base::MutexLock lock(&writer_);
    RETURN_IF_ERROR(CheckOpen());
    const std::shared_ptr<const LogView> view = View();
    const uint64_t at = at_seq.value_or(view->seq_next);
    ASSIGN_OR_RETURN(const Head head, HeadOfFork(*view, at));
    auto own = std::make_shared<Branch>(*branch_);
    if (at > branch_->seq_begin()) {
      RETURN_IF_ERROR(CheckDepth());
      own->trunks.push_back({.uid = branch_->uid,
                             .seq_end = head_.seq_next,
                             .entry_end = head_.entry_next});
      own->uid = own_uid;
      RETURN_IF_ERROR(MoveOwn(own_uid, batch));
      self.branch = *own;
      PutSession(self, batch);
    }
    fork.branch.trunks = own->TrunksBelow(at, head.entry_next);
    PutSession(fork, batch);
    PutHead(fork.branch.uid, head, batch);
    view->forgotten->ForEachRun({0, at}, [&](SeqRange run) {
      PutForgotten(fork.branch.uid, {.seqs = run, .probes = {}}, batch);
    });
    RETURN_IF_ERROR(store_->Write(batch, /*sync=*/true));
    if (own->uid == branch_->uid) return absl::OkStatus();
    // The fork exists, whatever becomes of this session in memory.
    broken_ = true;
    try {
      GoOnUnder(std::move(own), *view);
      broken_ = false;
    } catch (const std::bad_alloc&) {
    }
    return absl::OkStatus();
  }

  absl::StatusOr<CommitResult> CommitWindow(
      uint64_t keep_tokens, std::optional<uint64_t> expected_seq,
      const Cancelled& cancelled) {
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
      RETURN_IF_ERROR(CheckCommit(*view));
      WriteBatch batch;
      RETURN_IF_ERROR(Absorb(*view, cancelled, batch));
      Head head = head_;
      head.committed_seq = view->committed_seq;
      head.update_time_us = MicrosNow(*clock_);
      PutHead(branch_->uid, head, batch);
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
    return ReadCompressive(*View(), layer, known_version);
  }

  absl::StatusOr<std::vector<VerifyCheck>> Verify(
      const Cancelled& cancelled) const {
    std::shared_ptr<const LogView> view;
    std::unique_ptr<const StoreView> stored;
    {
      // Both of one moment; what is written afterwards is in neither.
      base::MutexLock lock(&writer_);
      RETURN_IF_ERROR(CheckOpen());
      view = View();
      stored = store_->Freeze();
    }
    return VerifySession(*stored, *view, positions_, cancelled);
  }

  Snapshot TakeSnapshot() const {
    base::MutexLock lock(&writer_);
    return {View(), head_};
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

  absl::StatusOr<bool> SealOne(const Cancelled& cancelled) {
    const std::shared_ptr<const LogView> view = View();
    const std::optional<SeqRange> run = NextRun(*view);
    if (!run) return false;
    std::shared_ptr<const Segment> segment = Borrowed(*view, *run);
    const bool borrowed = segment != nullptr;
    if (!borrowed) {
      ASSIGN_OR_RETURN(segment,
                       BuildSegment(*view, positions_, *run, cancelled));
    }
    base::MutexLock lock(&writer_);
    const std::shared_ptr<const LogView> now = View();
    // Something was forgotten meanwhile: its centres may remember it.
    if (now->forgotten != view->forgotten) return true;
    if (closed_ || NextRun(*now) != run) return false;
    WriteBatch batch;
    const uint64_t uid = UidOf(*segment);
    if (!borrowed) PutSegment(uid, *segment, batch);
    const std::shared_ptr<const SegmentList> kept = DropEvicted(*now, batch);
    // Derived: what is lost is built again.
    RETURN_IF_ERROR(store_->Write(batch, /*sync=*/false));
    if (segment->forgotten_tokens == 0) {
      shared_->segments.Lend(uid, run->begin, segment);
    }
    auto sealed = std::make_shared<LogView>(*now);
    sealed->segments = WithSegment(*kept, segment);
    Publish(std::move(sealed));
    return true;
  }

 private:
  // What an append of text adds to the text index.
  struct NewEntry {
    Entry entry;
    const EntryTerms& terms;
  };

  // Others wait meanwhile, so it is as much as an append may bring.
  absl::Status CheckCommit(const LogView& after) const {
    if (!after.fold) return absl::OkStatus();
    const uint64_t end = AbsorbedEnd(header_.profile, after.ranges());
    const uint64_t most = kAbsorbStepsMax / AbsorbSteps(header_.profile);
    if (end <= after.fold->absorbed_seq + most) return absl::OkStatus();
    return Refused(
        "COMMIT_TOO_LARGE",
        absl::StrCat("got ", end - after.fold->absorbed_seq,
                     " tokens to fold into the compressive memory at once; at "
                     "most ",
                     most,
                     ": commit in steps, with keep_tokens larger at "
                     "first"),
        {{"tokens_max", absl::StrCat(most)}});
  }

  absl::Status CheckDepth() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    if (branch_->trunks.size() < kTrunksMax) return absl::OkStatus();
    return Refused(
        "TOO_MANY_FORKS",
        absl::StrCat(
            "its log has ", branch_->trunks.size(),
            " parts, one for each fork behind the one before; at most ",
            kTrunksMax,
            " are kept: export it and import it, to have one again"));
  }

  // What it had becomes a trunk's.
  void GoOnUnder(std::shared_ptr<const Branch> branch, const LogView& view)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    LendParts(view);
    branch_ = std::move(branch);
    requests_ = Requests(store_, *branch_);
    log_.BranchOff(branch_->uid);
    auto after = std::make_shared<LogView>(view);
    after->branch = branch_;
    Publish(std::move(after));
  }

  bool takes_text() const { return !header_.profile.text_encoder.empty(); }

  // A mark of forgotten tokens, or an entry, leaves no gap when it is lost.
  absl::Status CheckComplete(const LogView& view) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    const uint64_t entries = view.text ? view.text->entry_count : 0;
    if (view.live_tokens() == head_.tokens && entries == head_.entries) {
      return absl::OkStatus();
    }
    return base::Error(
        absl::StatusCode::kDataLoss,
        absl::StrCat("its log has ", view.live_tokens(), " tokens and ",
                     entries, " entries; expected ", head_.tokens, " and ",
                     head_.entries,
                     ": records of entries, or of what was "
                     "forgotten, are missing"),
        {.reason = "LOG_INCOMPLETE"});
  }

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
    ASSIGN_OR_RETURN(auto known, requests_.Find(options.request_id, fingerprint,
                                                *View()->forgotten));
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
                           std::optional<NewEntry> entry,
                           const Cancelled& cancelled)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    const std::shared_ptr<const LogView> before = View();
    result.seq_first = head.seq_next;
    head.seq_next += positions.size();
    head.position_next = positions.back() + 1;
    head.update_time_us = MicrosNow(*clock_);
    result.seq_next = head.seq_next;
    result.position_next = head.position_next;
    head.tokens += positions.size();
    result.bytes += positions.size() * header_.profile.token_bytes();
    head.committed_seq =
        CommittedBefore(header_.profile, before->seq_next, *before->forgotten,
                        head.committed_seq, positions.size());
    auto view = std::make_shared<LogView>(*before);
    view->rows = log_.rows();
    view->seq_next = head.seq_next;
    view->position_next = head.position_next;
    view->committed_seq = head.committed_seq;
    RETURN_IF_ERROR(Absorb(*view, cancelled, batch));
    requests_.Put(options.request_id, fingerprint, head.update_time_us, result,
                  batch);
    PutHead(branch_->uid, head, batch);
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
  // Errors: CANCELLED.
  absl::Status Absorb(LogView& view, const Cancelled& cancelled,
                      WriteBatch& batch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    if (!view.fold) return absl::OkStatus();
    const uint64_t end = AbsorbedEnd(header_.profile, view.ranges());
    if (end <= view.fold->absorbed_seq) return absl::OkStatus();
    auto fold = std::make_shared<Fold>(*view.fold);
    const uint64_t piece = header_.profile.compressive->segment_tokens;
    while (fold->absorbed_seq < end) {
      if (cancelled()) return absl::CancelledError("the caller is gone");
      fold->AbsorbUpTo(header_.profile, *log_.rows(), *view.forgotten,
                       fold->absorbed_seq + piece);
    }
    if (end >= view.checkpoint_seq + kCheckpointTokens) {
      PutCheckpoint(branch_->uid, header_.profile, *fold, batch);
      view.checkpoint_seq = end;
    }
    view.fold = std::move(fold);
    return absl::OkStatus();
  }

  // A state that has absorbed what is forgotten is made anew: at once, if that
  // is quick.
  void ForgetInFold(const Fold& before, const SeqSet& gone, LogView& view,
                    WriteBatch& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    const uint64_t end = AbsorbedEnd(header_.profile, view.ranges());
    if (gone.CountIn({0, before.absorbed_seq}) == 0 &&
        end >= before.absorbed_seq) {
      return;
    }
    DeleteCheckpoint(branch_->uid, header_.profile, batch);
    view.checkpoint_seq = 0;
    view.fold = nullptr;
    if (end > kRebuildStepsMax / AbsorbSteps(header_.profile)) {
      features_ = before.features;
      return;
    }
    auto fold = std::make_shared<Fold>(header_.profile, before.features);
    fold->AbsorbUpTo(header_.profile, *view.rows, *view.forgotten, end);
    PutCheckpoint(branch_->uid, header_.profile, *fold, batch);
    view.checkpoint_seq = fold->absorbed_seq;
    view.fold = std::move(fold);
  }

  // Folds outside the lock, piece by piece, then catches up under it.
  absl::Status RebuildFold(const Cancelled& cancelled) {
    std::shared_ptr<const LogView> view = View();
    while (view->rebuilding()) {
      auto fold = std::make_shared<Fold>(header_.profile, Features());
      const uint64_t end = AbsorbedEnd(header_.profile, view->ranges());
      const uint64_t piece = header_.profile.compressive->segment_tokens;
      while (fold->absorbed_seq < end) {
        if (cancelled()) return absl::CancelledError("cleaning was stopped");
        fold->AbsorbUpTo(header_.profile, *view->rows, *view->forgotten,
                         fold->absorbed_seq + piece);
      }
      base::MutexLock lock(&writer_);
      RETURN_IF_ERROR(CheckOpen());
      const std::shared_ptr<const LogView> now = View();
      if (now->forgotten != view->forgotten) {
        view = now;  // More was forgotten meanwhile.
        continue;
      }
      auto rebuilt = std::make_shared<LogView>(*now);
      fold->AbsorbUpTo(header_.profile, *now->rows, *now->forgotten,
                       AbsorbedEnd(header_.profile, now->ranges()));
      WriteBatch batch;
      PutCheckpoint(branch_->uid, header_.profile, *fold, batch);
      RETURN_IF_ERROR(store_->Write(batch, /*sync=*/false));
      rebuilt->checkpoint_seq = fold->absorbed_seq;
      rebuilt->fold = std::move(fold);
      Publish(std::move(rebuilt));
      break;
    }
    return absl::OkStatus();
  }

  std::shared_ptr<const attention::PerformerFeatures> Features() const {
    base::MutexLock lock(&writer_);
    return features_;
  }

  // What was made of a log that becomes a trunk.
  void LendParts(const LogView& view) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    for (const auto& segment : *view.segments) {
      if (segment->forgotten_tokens > 0) continue;
      shared_->segments.Lend(UidOf(*segment), segment->range.begin, segment);
    }
    if (view.fold && view.fold->forgotten_tokens == 0) {
      const uint64_t end = view.fold->absorbed_seq;
      shared_->folds.Lend(branch_->UidOfDerived(end), end, view.fold);
    }
  }

  // The head of a fork of the log below `at`, which must not cut an entry.
  absl::StatusOr<Head> HeadOfFork(const LogView& view, uint64_t at) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    Head head = head_;
    head.update_time_us = MicrosNow(*clock_);
    if (at == head.seq_next) return head;
    if (at > head.seq_next) {
      return base::InvalidField(
          "at_seq", absl::StrCat(at),
          absl::StrCat("at most ", head.seq_next, ", where the log ends"));
    }
    head.seq_next = at;
    head.position_next = at == 0 ? 0 : PositionAt(*view.rows, at - 1) + 1;
    head.committed_seq = std::min(head.committed_seq, at);
    head.tokens = at - view.forgotten->CountIn({0, at});
    head.entries = 0;
    head.entry_bytes = 0;
    for (size_t i = 0; view.text && i < view.text->entry_count; ++i) {
      const Entry& entry = *(*view.text->entries)[i];
      if (entry.seq_first >= at) {
        head.entry_next = entry.number;
        break;
      }
      const uint64_t end = entry.seq_first + entry.seq_count;
      if (end > at) {
        return base::InvalidField("at_seq", absl::StrCat(at),
                                  absl::StrCat("the border of an entry: ",
                                               entry.seq_first, " or ", end));
      }
      ++head.entries;
      head.entry_bytes += BytesOf(entry);
    }
    return head;
  }

  // What is not part of the trunk that its records become goes with it.
  absl::Status MoveOwn(uint64_t uid, WriteBatch& batch) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    PutHead(uid, head_, batch);
    batch.Delete(HeadKey(branch_->uid));
    const KeyRange forgotten = AllOf(branch_->uid, RecordKind::kForgotten);
    batch.DeleteRange(forgotten.first, forgotten.second);
    return ScanForgotten(*store_, branch_->uid, [&](const ForgottenRun& run) {
      PutForgotten(uid, run, batch);
    });
  }

  // What is made of a trunk's tokens alone is the trunk's, unless this session
  // has forgotten some of them.
  uint64_t UidOf(const Segment& segment) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    return segment.forgotten_tokens == 0
               ? branch_->UidOfDerived(segment.range.end)
               : branch_->uid;
  }

  // The segment of a run that another session has; null if none does.
  std::shared_ptr<const Segment> Borrowed(const LogView& view,
                                          SeqRange run) const {
    if (view.forgotten->CountIn(run) > 0) return nullptr;
    return shared_->segments.Find(view.branch->UidOfDerived(run.end),
                                  run.begin);
  }

  std::shared_ptr<const SegmentList> BorrowSegments(SegmentList list) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    for (auto& segment : list) {
      if (segment->forgotten_tokens > 0) continue;
      const uint64_t uid = UidOf(*segment);
      auto borrowed = shared_->segments.Find(uid, segment->range.begin);
      if (borrowed) {
        segment = std::move(borrowed);
      } else {
        shared_->segments.Lend(uid, segment->range.begin, segment);
      }
    }
    return std::make_shared<const SegmentList>(std::move(list));
  }

  // Without the segments of which a quota has evicted every token.
  std::shared_ptr<const SegmentList> DropEvicted(const LogView& view,
                                                 WriteBatch& batch) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    const uint64_t begin = view.ranges().knn.begin;
    auto kept = std::make_shared<SegmentList>();
    for (const auto& segment : *view.segments) {
      if (segment->range.end <= begin) {
        DeleteSegment(branch_->uid, *segment, batch);
      } else {
        kept->push_back(segment);
      }
    }
    return kept;
  }

  // Centres of clusters are means of keys, so segments that saw a forgotten key
  // go too, and are sealed anew.
  std::shared_ptr<const SegmentList> DropSegments(const SegmentList& segments,
                                                  const SeqSet& gone,
                                                  WriteBatch& batch) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    auto kept = std::make_shared<SegmentList>();
    for (const auto& segment : segments) {
      if (gone.CountIn(segment->range) > 0) {
        DeleteSegment(branch_->uid, *segment, batch);
      } else {
        kept->push_back(segment);
      }
    }
    return kept;
  }

  // The checkpoint, and the log from there.
  void ReplayFold(LogView& view) ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
    const uint64_t end = AbsorbedEnd(header_.profile, view.ranges());
    const bool is_whole = view.forgotten->CountIn({0, end}) == 0;
    const uint64_t uid = branch_->UidOfDerived(end);
    if (is_whole) view.fold = shared_->folds.Find(uid, end);
    if (view.fold) {
      view.checkpoint_seq = end;
      return;
    }
    auto fold = std::make_shared<Fold>(LoadCheckpoint(
        *store_, *branch_, header_.profile, end, *view.forgotten));
    view.checkpoint_seq = fold->absorbed_seq;
    fold->AbsorbUpTo(header_.profile, *log_.rows(), *view.forgotten, end);
    view.fold = std::move(fold);
    if (is_whole) shared_->folds.Lend(uid, end, view.fold);
  }

  // Housekeeping: a store that refuses writes must not keep a session shut.
  void DropOldRequests() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_) {
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
  const SessionHeader header_;
  const attention::PositionEncoder positions_;
  const HashEncoder text_encoder_;

  // Writers hold writer_ for a whole mutation, its sync included; view_mutex_
  // only guards the pointer, so readers never wait for the disk.
  mutable base::Mutex writer_;
  std::shared_ptr<const Branch> branch_ ABSL_GUARDED_BY(writer_);
  Requests requests_ ABSL_GUARDED_BY(writer_);
  Log log_ ABSL_GUARDED_BY(writer_);
  SharedParts* const shared_;
  TextIndex text_ ABSL_GUARDED_BY(writer_);
  Head head_ ABSL_GUARDED_BY(writer_);
  bool closed_ ABSL_GUARDED_BY(writer_) = false;
  bool broken_ ABSL_GUARDED_BY(writer_) = false;
  // Of the fold that is being rebuilt: drawing them takes time.
  std::shared_ptr<const attention::PerformerFeatures> features_
      ABSL_GUARDED_BY(writer_);

  mutable base::Mutex view_mutex_ ABSL_ACQUIRED_AFTER(writer_);
  std::shared_ptr<const LogView> view_ ABSL_GUARDED_BY(view_mutex_);
  SessionInfo info_ ABSL_GUARDED_BY(view_mutex_);
};

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::~Session() = default;

absl::StatusOr<std::shared_ptr<Session>> Session::Open(Store* store,
                                                       const base::Clock* clock,
                                                       SharedParts* shared,
                                                       SessionRecord record) {
  const std::string name = record.header.name.ToString();
  const Profile& profile = record.header.profile;
  ASSIGN_OR_RETURN(attention::PositionEncoder positions,
                   attention::PositionEncoder::Create(
                       profile.position, static_cast<int>(profile.key_dim)));
  auto impl = std::make_unique<Impl>(store, clock, shared, std::move(record),
                                     std::move(positions));
  const absl::Status loaded = impl->Load();
  RETURN_IF_ERROR(OfSession(name, loaded));
  return std::shared_ptr<Session>(new Session(std::move(impl)));
}

const SessionHeader& Session::header() const { return impl_->header(); }

Branch Session::branch() const { return *impl_->View()->branch; }

absl::StatusOr<AppendResult> Session::AppendText(const TextEntry& entry,
                                                 const AppendOptions& options,
                                                 const Cancelled& cancelled) {
  return OfSession(header().name, impl_->AppendText(entry, options, cancelled));
}

absl::StatusOr<AppendResult> Session::AppendTokens(const TokenRows& rows,
                                                   const AppendOptions& options,
                                                   const Cancelled& cancelled) {
  return OfSession(header().name,
                   impl_->AppendTokens(rows, options, cancelled));
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

absl::StatusOr<ForgetResult> Session::Forget(const ForgetTarget& target,
                                             bool dry_run, WriteBatch with) {
  return OfSession(header().name,
                   impl_->Forget(target, dry_run, std::move(with)));
}

absl::StatusOr<CommitResult> Session::CommitWindow(
    uint64_t keep_tokens, std::optional<uint64_t> expected_seq,
    const Cancelled& cancelled) {
  return impl_->CommitWindow(keep_tokens, expected_seq, cancelled);
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

Session::Snapshot Session::TakeSnapshot() const {
  return impl_->TakeSnapshot();
}

SessionInfo Session::Info() const { return impl_->Info(); }

SessionCounts Session::Counts() const { return impl_->Counts(); }

void Session::Close() { impl_->Close(); }

absl::Status Session::Clean(const Cancelled& cancelled) {
  return impl_->Clean(cancelled);
}

absl::Status Session::Fork(std::optional<uint64_t> at_seq, uint64_t own_uid,
                           SessionRecord& self, SessionRecord& fork,
                           WriteBatch with) {
  return impl_->Fork(at_seq, own_uid, self, fork, std::move(with));
}

absl::StatusOr<bool> Session::SealOne(const Cancelled& cancelled) {
  return impl_->SealOne(cancelled);
}

absl::StatusOr<SessionInfo> Session::ReadInfo(const Store& store,
                                              const SessionRecord& record) {
  const SessionHeader& header = record.header;
  ASSIGN_OR_RETURN(const Head head,
                   ReadHead(store, record.branch.uid, header.create_time_us));
  return InfoOf(head, header);
}

}  // namespace mneme::memory
