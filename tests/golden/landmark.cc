// Landmark attention, through the server's window of blocks and chunked kNN
// tier.

#include "base/status_macros.h"
#include "tests/golden/methods.h"
#include "tests/golden/wire.h"

namespace mneme::golden {

absl::StatusOr<Outputs> Landmark(const Case& c, client::Client& client) {
  ASSIGN_OR_RETURN(const std::string variant, c.Text("variant"));
  if (variant != "full") {
    return absl::UnimplementedError("retrieved blocks, re-packed");
  }
  ASSIGN_OR_RETURN(const Heads in, ReadSelfAttention(c));
  ASSIGN_OR_RETURN(const double scale, Required(c, "scale"));
  ASSIGN_OR_RETURN(const int64_t block, WholeNumber(c, "block_size", 2, 4096));
  v1::Profile profile = PresetFor("landmark", in, scale);
  profile.mutable_position()->set_family(v1::POSITION_FAMILY_NONE);
  v1::WindowTier& window = *profile.mutable_window();
  window.set_tokens(1);
  window.set_commit(v1::COMMIT_POLICY_BLOCK);
  window.set_block_tokens(static_cast<uint32_t>(block));
  v1::KnnTier& knn = *profile.mutable_knn();
  knn.set_chunk_tokens(static_cast<uint32_t>(block));
  knn.set_chunk_score(v1::CHUNK_SCORE_LANDMARK);
  ASSIGN_OR_RETURN(const auto session, WireSession::Create(client, profile));
  Outputs outputs;
  // Token by token, so that each row's own block is the window.
  for (int64_t t = 0; t < in.tokens; ++t) {
    RETURN_IF_ERROR(session->Step(in, t, t + 1, outputs));
  }
  return outputs;
}

}  // namespace mneme::golden
