// client/request_id.h: names that make an append safe to repeat.

#ifndef MNEME_CLIENT_REQUEST_ID_H_
#define MNEME_CLIENT_REQUEST_ID_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace mneme::client {

// Names the part of `source` that starts at byte `offset` and says `words`:
// "part-" and 32 hexadecimal digits, the XXH3-128 (seed 0) of session, source,
// the offset in decimal and the words, each preceded by its length in bytes (8
// bytes, little-endian) so that no two lists of fields read alike. Equal on
// every machine and in every version: a change would append every document
// again.
std::string PartRequestId(std::string_view session, std::string_view source,
                          uint64_t offset, std::string_view words);

// "call-" and 32 random hexadecimal digits, for an append that may be retried
// but is not the same as any other, such as a second "yes" in a conversation.
std::string RandomRequestId();

}  // namespace mneme::client

#endif  // MNEME_CLIENT_REQUEST_ID_H_
