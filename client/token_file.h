// client/token_file.h: exported tokens as a safetensors file.
// keys [layers, kv_heads, tokens, key_dim], values, positions I64 [tokens] and
// forgotten BOOL [tokens]; the seq of the first token is metadata.

#ifndef MNEME_CLIENT_TOKEN_FILE_H_
#define MNEME_CLIENT_TOKEN_FILE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "client/safetensors.h"
#include "mneme/v1/transfer_service.pb.h"

namespace mneme::client {

// Errors: DATA_LOSS for parts that do not follow each other, or do not agree in
// themselves or with each other, which no server should give.
// REQUIRES: at least one part.
absl::StatusOr<Safetensors> TokenFileOf(
    const std::vector<v1::ExportedTokens>& parts);

// A token file, part by part.
// Threads: one.
class TokenFile {
 public:
  // Errors: INVALID_ARGUMENT that names the tensor, its shape or type, or the
  // metadata.
  static absl::StatusOr<TokenFile> Create(Safetensors file);

  uint64_t seq_first() const { return seq_first_; }
  uint64_t count() const { return count_; }
  uint64_t forgotten() const { return forgotten_; }
  bool done() const { return at_ == count_; }

  // The next tokens: as many as `bytes_max` holds, at least one.
  // REQUIRES: not done.
  v1::ExportedTokens Next(size_t bytes_max);

 private:
  TokenFile() = default;

  Safetensors file_;
  uint64_t seq_first_ = 0;
  uint64_t count_ = 0;
  uint64_t forgotten_ = 0;
  std::vector<int64_t> positions_;
  uint64_t at_ = 0;
};

}  // namespace mneme::client

#endif  // MNEME_CLIENT_TOKEN_FILE_H_
