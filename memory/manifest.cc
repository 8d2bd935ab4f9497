#include "memory/manifest.h"

#include "absl/strings/str_cat.h"
#include "base/error.h"

namespace mneme::memory {
namespace {

absl::Status Bad(std::string_view field, uint64_t given,
                 std::string_view expected) {
  return base::InvalidField(absl::StrCat("manifest.", std::string(field)),
                            absl::StrCat(given), expected);
}

}  // namespace

absl::Status CheckManifest(const Manifest& manifest) {
  if (manifest.seq_next > kNumberMax) {
    return Bad("seq_next", manifest.seq_next, "at most 2^53");
  }
  if (manifest.entry_next == 0 || manifest.entry_next > kNumberMax) {
    return Bad("entry_next", manifest.entry_next, "1 to 2^53");
  }
  if (!manifest.is_text() && manifest.entry_next != 1) {
    return Bad("entry_next", manifest.entry_next,
               "1: a session of tensors has no entries");
  }
  if (manifest.position_next < 0 || manifest.position_next > kPositionMax + 1) {
    return base::InvalidField("manifest.position_next",
                              absl::StrCat(manifest.position_next),
                              "0 to 2^53 + 1");
  }
  if (manifest.is_text() &&
      static_cast<uint64_t>(manifest.position_next) != manifest.seq_next) {
    return Bad("position_next", manifest.position_next,
               absl::StrCat(manifest.seq_next,
                            ": the positions of text are its seqs"));
  }
  if (manifest.committed_seq > manifest.seq_next) {
    return Bad("committed_seq", manifest.committed_seq,
               absl::StrCat("at most seq_next, ", manifest.seq_next));
  }
  const auto& window = manifest.profile.window;
  if (manifest.committed_seq > 0 &&
      (!window || window->commit == CommitPolicy::kSegment)) {
    return Bad("committed_seq", manifest.committed_seq,
               "0: the profile has no window that is committed so");
  }
  return absl::OkStatus();
}

}  // namespace mneme::memory
