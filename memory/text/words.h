// memory/text/words.h: the words of a text, folded, for terms and encoders.
// A word is a run of letters, digits and marks, with apostrophes inside it.
// Scripts written without spaces (Han, kana, Thai, ...) are cut by ICU's
// dictionaries, which are not needed for any other text and are slow.

#ifndef MNEME_MEMORY_TEXT_WORDS_H_
#define MNEME_MEMORY_TEXT_WORDS_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "memory/text/passages.h"

namespace mneme::memory {

// Longer words are identifiers and noise: their first bytes tell them apart.
inline constexpr size_t kWordBytesMax = 64;

// Calls `visit` with each word's place and its case-folded bytes, in order; at
// most kWordBytesMax of them, whole code points.
// Errors:    none; ill-formed UTF-8 separates words.
// Threads:   any. `visit` must not call ForEachWord.
// Lifetime:  the folded bytes live until `visit` returns.
void ForEachWord(
    std::string_view text,
    absl::FunctionRef<void(Span bytes, std::string_view folded)> visit);

// The hash of a folded word's stem (Porter2, "The English (Porter2) stemming
// algorithm", snowballstem.org). Equal on every machine; stored on disk.
uint64_t TermOf(std::string_view folded_word);

// True for the terms of English function words ("the", "what"): they say
// little about what a question is about.
bool IsStopTerm(uint64_t term);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_TEXT_WORDS_H_
