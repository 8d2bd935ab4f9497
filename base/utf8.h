// base/utf8.h: is it UTF-8, and how many characters is it.

#ifndef MNEME_BASE_UTF8_H_
#define MNEME_BASE_UTF8_H_

#include <cstddef>
#include <optional>
#include <string_view>

namespace mneme::base {

// Offset of the first byte that does not continue well-formed UTF-8 (RFC 3629:
// no overlong forms, no surrogates, nothing above U+10FFFF); none when all
// does.
std::optional<size_t> FirstInvalidUtf8(std::string_view text);

// The number of code points; a byte that is not well-formed counts as one.
size_t CodePointCount(std::string_view text);

// Whether `text` holds nothing but Unicode white space.
bool IsBlank(std::string_view text);

// Whether no code point of valid UTF-8 spans `offset`.
inline bool IsCodePointBoundary(std::string_view text, size_t offset) {
  return offset >= text.size() ||
         (static_cast<unsigned char>(text[offset]) & 0xC0) != 0x80;
}

}  // namespace mneme::base

#endif  // MNEME_BASE_UTF8_H_
