// memory/text/passages.h: an entry's text becomes passages of whole sentences.
// A passage is what recall returns; a sentence is one row of the log.

#ifndef MNEME_MEMORY_TEXT_PASSAGES_H_
#define MNEME_MEMORY_TEXT_PASSAGES_H_

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace mneme::memory {

// Bytes [begin, end) of a text.
struct Span {
  uint32_t begin = 0;
  uint32_t end = 0;
  friend bool operator==(const Span&, const Span&) = default;
};

struct Passage {
  Span bytes;
  std::vector<Span>
      sentences;  // In order; at least one; offsets into the text.
};

struct PassageLimits {
  // In code points. About 200 language-model tokens: long enough to be
  // understood alone, short enough that a dozen fit in a prompt.
  size_t characters_max = 800;
};

// Cuts `text` into passages of at most `characters_max`, at sentence ends.
// Together the sentences hold every character that is not white space, in
// order, without overlap, and none begins or ends with white space. A text
// within the limit is one passage. A blank line ends a passage that is at least
// half full. A sentence longer than the limit is cut at white space, or between
// code points where there is none. A lone line break after a long line is a
// wrapped line and ends nothing; after a short one it ends a sentence.
// Shapes:    a blank or empty text has no passages.
// Errors:    none; ill-formed UTF-8 is cut all the same.
// Threads:   any; the result depends on the arguments alone.
// REQUIRES:  text.size() < 2^31; characters_max > 0.
std::vector<Passage> CutPassages(std::string_view text,
                                 const PassageLimits& limits = {});

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_TEXT_PASSAGES_H_
