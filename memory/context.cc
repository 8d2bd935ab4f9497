#include "memory/context.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "memory/text/terms.h"

namespace mneme::memory {
namespace {

// Recalled passages that compete for the budget. A passage takes about 200
// tokens, so a larger budget than this fills is rare.
constexpr uint32_t kCandidates = kRecallLimitMax;

struct Part {
  RecalledPassage passage;
  bool recent = false;
};

// "[12] source, role: " without what is absent.
std::string Heading(size_t mark, const RecalledPassage& passage) {
  std::string heading = absl::StrCat("[", mark, "]");
  if (!passage.source.empty()) absl::StrAppend(&heading, " ", passage.source);
  if (!passage.role.empty()) {
    absl::StrAppend(&heading, passage.source.empty() ? " " : ", ",
                    passage.role);
  }
  return absl::StrCat(heading, ": ");
}

// An upper bound of what a part costs as the `mark`-th of a block: TokenCount
// of a whole never exceeds the sum of its parts.
uint32_t Cost(size_t mark, const Part& part) {
  return TokenCount(Heading(mark, part.passage)) +
         TokenCount(part.passage.text) + TokenCount("\n\n");
}

// Chooses parts as long as the block stays within its budget.
class Packer {
 public:
  Packer(const LogView& view, uint32_t budget_tokens)
      : view_(view), budget_tokens_(budget_tokens) {}

  // The passages of the last `count` entries, newest first. What follows one
  // that does not fit is older still, and left out with it.
  void AddRecent(uint32_t count, const Cancelled& cancelled) {
    const TextView& text = *view_.text;
    if (count == 0 || text.entry_count == 0) return;
    const size_t oldest =
        text.entry_count - std::min<size_t>(text.entry_count, count);
    const uint64_t seq_first = (*text.entries)[oldest]->seq_first;
    for (uint32_t p = text.passage_count;
         p-- > 0 && (*text.passages)[p].seq_first >= seq_first;) {
      if (cancelled() || !Add({DescribePassage(view_, p), true})) return;
    }
  }

  // A passage that does not fit leaves room for a shorter one behind it.
  void AddRecalled(RecalledPassage passage) {
    if (taken_.contains(passage.seq_first)) return;
    if (!Add({std::move(passage), false})) ++omitted_;
  }

  std::vector<Part> Take() { return std::move(parts_); }
  uint32_t omitted() const { return omitted_; }

 private:
  bool Add(Part part) {
    // Marks are given in the order of the log, and are 1 to n all the same.
    const uint64_t cost = Cost(parts_.size() + 1, part);
    if (used_ + cost > budget_tokens_) return false;
    used_ += cost;
    taken_.insert(part.passage.seq_first);
    parts_.push_back(std::move(part));
    return true;
  }

  const LogView& view_;
  const uint64_t budget_tokens_;
  uint64_t used_ = 0;
  uint32_t omitted_ = 0;
  std::set<uint64_t> taken_;  // By first seq.
  std::vector<Part> parts_;
};

ContextResult Print(std::vector<Part> parts) {
  std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) {
    return a.passage.seq_first < b.passage.seq_first;
  });
  ContextResult result;
  for (Part& part : parts) {
    const auto mark = static_cast<uint32_t>(result.citations.size() + 1);
    if (mark > 1) result.context += "\n\n";
    result.context += Heading(mark, part.passage);
    const uint64_t begin = result.context.size();
    result.context += part.passage.text;
    part.passage.text.clear();
    result.citations.push_back({.mark = mark,
                                .context_span = {begin, result.context.size()},
                                .passage = std::move(part.passage),
                                .recent = part.recent});
  }
  result.tokens_used = TokenCount(result.context);
  return result;
}

}  // namespace

absl::Status CheckContextQuery(const ContextQuery& query) {
  RETURN_IF_ERROR(CheckRecallQuery({.query = query.query, .filter = {}}));
  if (query.budget_tokens < 1 || query.budget_tokens > kBudgetTokensMax) {
    return base::InvalidField("budget_tokens",
                              absl::StrCat(query.budget_tokens),
                              absl::StrCat("1 to ", kBudgetTokensMax));
  }
  if (query.recent_entries > kRecentEntriesMax) {
    return base::InvalidField("recent_entries",
                              absl::StrCat(query.recent_entries),
                              absl::StrCat("0 to ", kRecentEntriesMax));
  }
  return absl::OkStatus();
}

absl::StatusOr<ContextResult> AssembleOver(
    const LogView& view, const attention::PositionEncoder& positions,
    const Encoder& encoder, const ContextQuery& query,
    const Cancelled& cancelled) {
  ASSIGN_OR_RETURN(RecallResult recalled, RecallOver(view, positions, encoder,
                                                     {.query = query.query,
                                                      .limit = kCandidates,
                                                      .filter = query.filter},
                                                     cancelled));
  Packer packer(view, query.budget_tokens);
  packer.AddRecent(query.recent_entries, cancelled);
  for (RecalledPassage& passage : recalled.passages) {
    if (cancelled()) return absl::CancelledError("the caller is gone");
    packer.AddRecalled(std::move(passage));
  }
  ContextResult result = Print(packer.Take());
  result.omitted = packer.omitted();
  return result;
}

}  // namespace mneme::memory
