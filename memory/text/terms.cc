#include "memory/text/terms.h"

#include <unicode/utf8.h>

#include <algorithm>

#include "memory/text/words.h"

namespace mneme::memory {
namespace {

bool IsLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool IsBlank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\v' || c == '\f' ||
         c == '\r';
}

}  // namespace

std::vector<TermCount> TermsOf(std::string_view text) {
  std::vector<uint64_t> terms;
  ForEachWord(text, [&](Span, std::string_view folded) {
    terms.push_back(TermOf(folded));
  });
  std::sort(terms.begin(), terms.end());
  std::vector<TermCount> counts;
  for (const uint64_t term : terms) {
    if (counts.empty() || counts.back().term != term) counts.push_back({term});
    ++counts.back().count;
  }
  return counts;
}

std::vector<WordAt> WordsOf(std::string_view text) {
  std::vector<WordAt> words;
  ForEachWord(text, [&](Span bytes, std::string_view folded) {
    words.push_back({bytes, TermOf(folded)});
  });
  return words;
}

uint32_t TokenCount(std::string_view text) {
  constexpr size_t kLettersPerToken = 4;
  uint32_t tokens = 0;
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (IsLetter(c)) {
      const size_t begin = at;
      while (at < text.size() && IsLetter(text[at])) ++at;
      tokens += (at - begin + kLettersPerToken - 1) / kLettersPerToken;
    } else if (static_cast<unsigned char>(c) < 0x80) {
      ++at;
      const bool joins = c == ' ' && at < text.size() && !IsBlank(text[at]);
      if (!joins) ++tokens;
    } else {
      const size_t begin = at;
      UChar32 code_point;
      U8_NEXT(text.data(), at, text.size(), code_point);
      tokens += code_point < 0 ? at - begin : at - begin - 1;
    }
  }
  return tokens;
}

}  // namespace mneme::memory
