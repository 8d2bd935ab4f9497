#include "client/tokens_command.h"

#include "absl/strings/str_format.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "client/client.h"
#include "client/output.h"
#include "client/render.h"

namespace mneme::client {
namespace {

// Pages from `request`'s first token on, until there are `limit` tokens or no
// more; without tensors.
absl::StatusOr<v1::ReadTokensResponse> ReadPages(
    Client& client, v1::ReadTokensRequest request) {
  const uint32_t limit = request.limit();
  v1::ReadTokensResponse all;
  while (true) {
    ASSIGN_OR_RETURN(const v1::ReadTokensResponse page,
                     client.ReadTokens(request));
    all.mutable_seqs()->MergeFrom(page.seqs());
    all.mutable_positions()->MergeFrom(page.positions());
    all.mutable_tiers()->MergeFrom(page.tiers());
    const auto tokens = static_cast<uint32_t>(all.seqs_size());
    if (!page.has_next_seq() || tokens >= limit) {
      if (page.has_next_seq()) all.set_next_seq(page.next_seq());
      return all;
    }
    // A server that does not move on would have us ask for ever.
    if (page.next_seq() <= request.seq_begin()) {
      return absl::InternalError("the server gave the same tokens twice");
    }
    request.set_seq_begin(page.next_seq());
    request.set_limit(limit - tokens);
  }
}

void RenderTokens(const v1::ReadTokensResponse& tokens, std::ostream& out) {
  out << absl::StrFormat("%12s %18s  %s\n", "SEQ", "POSITION", "TIER");
  for (int i = 0; i < tokens.seqs_size(); ++i) {
    out << absl::StrFormat("%12d %18d  %s\n", tokens.seqs(i),
                           tokens.positions(i), NameOf(tokens.tiers(i)));
  }
}

}  // namespace

absl::StatusOr<int> RunTokens(const TokensOptions& options, Context& context) {
  if (options.tensors && !context.json()) {
    return base::InvalidField("--tensors", "text output", "-o json");
  }
  v1::ReadTokensRequest request;
  request.set_tensors(options.tensors);
  request.set_session(SessionName(options.session));
  request.set_layer(options.layer);
  request.set_seq_begin(options.from);
  request.set_limit(options.limit);
  ASSIGN_OR_RETURN(Client * client, context.Open());
  ASSIGN_OR_RETURN(const v1::ReadTokensResponse tokens,
                   options.tensors ? client->ReadTokens(request)
                                   : ReadPages(*client, request));
  if (tokens.positions_size() != tokens.seqs_size() ||
      tokens.tiers_size() != tokens.seqs_size()) {
    return absl::InternalError(
        "the server gave tokens without a position or a tier");
  }
  if (context.json()) {
    context.out() << ToJson(tokens) << std::endl;
    return kExitOk;
  }
  if (tokens.seqs().empty()) {
    context.err() << "no tokens in " << ShortName(request.session())
                  << " from seq " << options.from << " on" << std::endl;
    return kExitOk;
  }
  RenderTokens(tokens, context.out());
  context.out() << std::flush;
  if (tokens.has_next_seq()) {
    context.err() << "more with --from " << tokens.next_seq() << std::endl;
  }
  return kExitOk;
}

}  // namespace mneme::client
