// client/utf8.h: what a client checks about text before it sends any of it.

#ifndef MNEME_CLIENT_UTF8_H_
#define MNEME_CLIENT_UTF8_H_

#include <cstddef>
#include <optional>
#include <string_view>

namespace mneme::client {

// Offset of the first byte that does not continue well-formed UTF-8 (RFC 3629:
// no overlong forms, no surrogates, nothing above U+10FFFF); none when all
// does.
std::optional<size_t> FirstInvalidUtf8(std::string_view text);

// Whether `text` holds nothing but Unicode white space.
bool IsBlank(std::string_view text);

// Whether no code point of valid UTF-8 spans `offset`.
inline bool IsCodePointBoundary(std::string_view text, size_t offset) {
  return offset >= text.size() ||
         (static_cast<unsigned char>(text[offset]) & 0xC0) != 0x80;
}

}  // namespace mneme::client

#endif  // MNEME_CLIENT_UTF8_H_
