// memory/text/utf8.h: is it UTF-8, and how many characters is it.

#ifndef MNEME_MEMORY_TEXT_UTF8_H_
#define MNEME_MEMORY_TEXT_UTF8_H_

#include <cstddef>
#include <optional>
#include <string_view>

namespace mneme::memory {

// The byte at which `text` stops being UTF-8 (RFC 3629: no surrogates, no
// overlong forms, nothing above U+10FFFF); nothing when all of it is.
std::optional<size_t> FirstInvalidUtf8(std::string_view text);

// The number of code points; an ill-formed sequence counts as at least one.
size_t CodePointCount(std::string_view text);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_TEXT_UTF8_H_
