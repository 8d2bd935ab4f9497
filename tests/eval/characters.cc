#include "tests/eval/characters.h"

#include <algorithm>

namespace mneme::eval {
namespace {

size_t CountStarts(std::string_view bytes) {
  return std::count_if(bytes.begin(), bytes.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;  // No continuation.
  });
}

}  // namespace

Characters::Characters(std::string_view text) : text_(text) {
  size_t count = 0;
  for (size_t begin = 0; begin <= text.size(); begin += kStep) {
    before_step_.push_back(count);
    count += CountStarts(text.substr(begin, kStep));
  }
}

size_t Characters::Before(size_t offset) const {
  offset = std::min(offset, text_.size());
  const size_t step = offset / kStep;
  return before_step_[step] +
         CountStarts(text_.substr(step * kStep, offset % kStep));
}

}  // namespace mneme::eval
