// memory/text/terms.h: what the lexical head knows of a text.

#ifndef MNEME_MEMORY_TEXT_TERMS_H_
#define MNEME_MEMORY_TEXT_TERMS_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "memory/text/passages.h"

namespace mneme::memory {

// How often a term, the hash of a word's stem, stands in a text.
struct TermCount {
  uint64_t term = 0;
  uint32_t count = 0;
  friend bool operator==(const TermCount&, const TermCount&) = default;
};

// Where a word stands, to highlight what matched.
struct WordAt {
  Span bytes;
  uint64_t term = 0;
};

// The terms of `text`, by term, each once. Nothing is left out: function words
// weigh little in a query (lexical.h) but remain searchable.
// Threads:   any.
std::vector<TermCount> TermsOf(std::string_view text);

// The words of `text` in order; their terms are those of TermsOf.
// Threads:   any.
std::vector<WordAt> WordsOf(std::string_view text);

// How many tokens of a language model `text` takes, estimated from above for
// the byte-pair vocabularies in use: a run of ASCII letters costs one token for
// every 4 begun; an ASCII digit or mark 1; a code point of 2, 3, 4 bytes 1, 2,
// 3; a byte that is not UTF-8 1; an ASCII white space 1, but a space before
// anything else than that nothing (it belongs to the next token). English prose
// comes out at 3.1 characters a token, where models take about 4. Parts never
// cost less than the whole: TokenCount(a + b) <= TokenCount(a) + TokenCount(b),
// wherever the cut. Threads:   any; a pure function.
uint32_t TokenCount(std::string_view text);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_TEXT_TERMS_H_
