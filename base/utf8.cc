#include "base/utf8.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace mneme::base {
namespace {

struct CodePoint {
  char32_t value = 0;
  size_t bytes = 0;  // 0: the bytes are not well-formed.
};

CodePoint Decode(std::string_view text) {
  const auto byte = [&](size_t i) {
    return static_cast<unsigned char>(text[i]);
  };
  const unsigned char first = byte(0);
  if (first < 0x80) return {first, 1};
  const size_t bytes = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < bytes) return {};
  char32_t value = first & (0x7F >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    value = value << 6 | (byte(i) & 0x3F);
  }
  const bool overlong =
      (bytes == 3 && value < 0x800) || (bytes == 4 && value < 0x10000);
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (overlong || surrogate || value > 0x10FFFF) return {};
  return {value, bytes};
}

// Length of the ASCII text at the front, eight bytes at a time: most text is
// mostly ASCII.
size_t AsciiPrefix(std::string_view text) {
  size_t at = 0;
  while (at + 8 <= text.size()) {
    uint64_t word;
    std::memcpy(&word, text.data() + at, 8);
    if ((word & 0x8080808080808080U) != 0) break;
    at += 8;
  }
  while (at < text.size() && static_cast<unsigned char>(text[at]) < 0x80) ++at;
  return at;
}

// Unicode's property White_Space.
bool IsSpace(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

}  // namespace

std::optional<size_t> FirstInvalidUtf8(std::string_view text) {
  size_t offset = 0;
  for (;;) {
    offset += AsciiPrefix(text.substr(offset));
    if (offset == text.size()) return std::nullopt;
    const size_t bytes = Decode(text.substr(offset)).bytes;
    if (bytes == 0) return offset;
    offset += bytes;
  }
}

size_t CodePointCount(std::string_view text) {
  size_t count = 0;
  for (;;) {
    const size_t ascii = AsciiPrefix(text);
    count += ascii;
    text.remove_prefix(ascii);
    if (text.empty()) return count;
    text.remove_prefix(std::max<size_t>(Decode(text).bytes, 1));
    ++count;
  }
}

bool IsBlank(std::string_view text) {
  while (!text.empty()) {
    const CodePoint c = Decode(text);
    if (c.bytes == 0 || !IsSpace(c.value)) return false;
    text.remove_prefix(c.bytes);
  }
  return true;
}

}  // namespace mneme::base
