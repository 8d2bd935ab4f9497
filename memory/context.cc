#include "memory/context.h"

#include <algorithm>
#include <string>
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

// An upper bound of what a part costs in any block: TokenCount of a whole never
// exceeds the sum of its parts, and a longer mark never costs less.
uint32_t Cost(size_t marks, const Part& part) {
  return TokenCount(Heading(marks, part.passage)) +
         TokenCount(part.passage.text) + TokenCount("\n\n");
}

// The passages of the last `count` entries, newest first.
std::vector<Part> RecentParts(const LogView& view, const ContextQuery& query) {
  std::vector<Part> parts;
  uint64_t oldest = view.text->entry_count;
  oldest -= std::min<uint64_t>(oldest, query.recent_entries);
  for (uint32_t p = view.text->passage_count; p-- > 0;) {
    if (oldest == view.text->entry_count ||
        (*view.text->passages)[p].seq_first <
            (*view.text->entries)[oldest]->seq_first) {
      break;
    }
    parts.push_back({DescribePassage(view, p), true});
  }
  return parts;
}

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
  std::vector<Part> candidates = RecentParts(view, query);
  for (RecalledPassage& passage : recalled.passages) {
    const bool there = std::any_of(
        candidates.begin(), candidates.end(), [&](const Part& part) {
          return part.recent && part.passage.seq_first == passage.seq_first;
        });
    if (!there) candidates.push_back({std::move(passage), false});
  }
  std::vector<Part> chosen;
  uint64_t used = 0;
  uint32_t omitted = 0;
  for (Part& part : candidates) {
    const uint32_t cost = Cost(candidates.size(), part);
    // A passage that does not fit leaves room for a shorter one behind it.
    if (used + cost > query.budget_tokens) {
      ++omitted;
      continue;
    }
    used += cost;
    chosen.push_back(std::move(part));
  }
  ContextResult result = Print(std::move(chosen));
  result.omitted = omitted;
  return result;
}

}  // namespace mneme::memory
