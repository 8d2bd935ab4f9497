#include "client/recall_command.h"

#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "client/client.h"
#include "client/output.h"
#include "client/render.h"

namespace mneme::client {
namespace {

v1::RecallFilter FilterOf(const FilterOptions& options) {
  v1::RecallFilter filter;
  filter.set_source(options.source);
  filter.set_role(options.role);
  filter.mutable_metadata()->insert(options.metadata.begin(),
                                    options.metadata.end());
  return filter;
}

}  // namespace

absl::StatusOr<int> RunRecall(const RecallOptions& options, Context& context) {
  v1::RecallRequest request;
  request.set_session(SessionName(options.session));
  request.set_query(absl::StrJoin(options.query, " "));
  if (options.limit) request.set_limit(*options.limit);
  *request.mutable_filter() = FilterOf(options.filter);
  ASSIGN_OR_RETURN(Client * client, context.Open());
  ASSIGN_OR_RETURN(const v1::RecallResponse response, client->Recall(request));
  if (context.json()) {
    context.out() << ToJson(response) << std::endl;
    return kExitOk;
  }
  if (response.passages().empty()) {
    context.err() << "nothing in " << ShortName(request.session())
                  << " answers that" << std::endl;
  }
  RenderRecall(response, options.explain, context.terminal().color,
               context.out());
  return kExitOk;
}

absl::StatusOr<int> RunContext(const ContextOptions& options,
                               Context& context) {
  v1::AssembleContextRequest request;
  request.set_session(SessionName(options.session));
  request.set_query(absl::StrJoin(options.query, " "));
  request.set_budget_tokens(options.budget);
  request.set_recent_entries(options.recent);
  *request.mutable_filter() = FilterOf(options.filter);
  ASSIGN_OR_RETURN(Client * client, context.Open());
  ASSIGN_OR_RETURN(const v1::AssembleContextResponse response,
                   client->AssembleContext(request));
  if (context.json()) {
    context.out() << ToJson(response) << std::endl;
    return kExitOk;
  }
  // A prompt gets the block byte for byte; a terminal gets no control sequence.
  const std::string& block = response.context();
  context.out() << (context.terminal().out_is_terminal ? Printable(block)
                                                       : block);
  if (!block.empty() && block.back() != '\n') context.out() << "\n";
  context.out() << std::flush;
  RenderCitations(response, options.budget, context.err());
  context.err() << std::flush;
  return kExitOk;
}

}  // namespace mneme::client
