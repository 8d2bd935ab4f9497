#include "memory/text/utf8.h"

#include <unicode/utf8.h>

#include <cstring>

namespace mneme::memory {
namespace {

// Eight bytes at a time: most text is mostly ASCII.
size_t AsciiPrefix(std::string_view text, size_t from) {
  size_t at = from;
  while (at + 8 <= text.size()) {
    uint64_t word;
    std::memcpy(&word, text.data() + at, 8);
    if ((word & 0x8080808080808080u) != 0) break;
    at += 8;
  }
  while (at < text.size() && static_cast<unsigned char>(text[at]) < 0x80) ++at;
  return at;
}

}  // namespace

std::optional<size_t> FirstInvalidUtf8(std::string_view text) {
  size_t at = 0;
  while ((at = AsciiPrefix(text, at)) < text.size()) {
    const size_t first = at;
    UChar32 c;
    U8_NEXT(text.data(), at, text.size(), c);
    if (c < 0) return first;
  }
  return std::nullopt;
}

size_t CodePointCount(std::string_view text) {
  size_t count = 0;
  size_t at = 0;
  while (at < text.size()) {
    const size_t ascii_end = AsciiPrefix(text, at);
    count += ascii_end - at;
    at = ascii_end;
    if (at == text.size()) break;
    UChar32 c;
    U8_NEXT(text.data(), at, text.size(), c);
    ++count;
  }
  return count;
}

}  // namespace mneme::memory
