#include "memory/text/passages.h"

#include <unicode/brkiter.h>
#include <unicode/uchar.h>
#include <unicode/utext.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <string>

#include "base/check.h"
#include "base/utf8.h"

namespace mneme::memory {
namespace {

// A line break after a line this long was put there by a text editor. Verse,
// headings and list items are mostly shorter, typeset prose is longer.
constexpr size_t kWrappedLineBytes = 40;

std::string_view View(std::string_view text, Span span) {
  return text.substr(span.begin, span.end - span.begin);
}

Span Trimmed(std::string_view text, Span span) {
  const char* const data = text.data();
  int32_t begin = static_cast<int32_t>(span.begin);  // ICU's index type.
  int32_t end = static_cast<int32_t>(span.end);
  while (begin < end) {
    int32_t next = begin;
    UChar32 c;
    U8_NEXT(data, next, end, c);
    if (c < 0 || !u_isUWhiteSpace(c)) break;
    begin = next;
  }
  while (end > begin) {
    int32_t previous = end;
    UChar32 c;
    U8_PREV(data, begin, previous, c);
    if (c < 0 || !u_isUWhiteSpace(c)) break;
    end = previous;
  }
  return {static_cast<uint32_t>(begin), static_cast<uint32_t>(end)};
}

bool IsAsciiLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool IsBlankAscii(char c) { return c == ' ' || c == '\t' || c == '\r'; }

// `text` with the line breaks of wrapped lines replaced by spaces, byte for
// byte: the sentence rules (UAX 29, SB4) would end a sentence at each.
std::string Unwrapped(std::string_view text) {
  std::string unwrapped(text);
  size_t line_begin = 0;
  for (size_t at = text.find('\n'); at != std::string_view::npos;
       at = text.find('\n', at + 1)) {
    size_t next = at + 1;
    while (next < text.size() && IsBlankAscii(text[next])) ++next;
    constexpr std::string_view kBlankOrListItem = "\n-*#|>";
    if (at - line_begin >= kWrappedLineBytes && next < text.size() &&
        kBlankOrListItem.find(text[next]) == std::string_view::npos) {
      unwrapped[at] = ' ';
      if (unwrapped[at - 1] == '\r') unwrapped[at - 1] = ' ';
    }
    line_begin = at + 1;
  }
  return unwrapped;
}

// True for "... met Mr." and "... by J.", after which a name follows, not a
// sentence.
bool EndsInAbbreviation(std::string_view sentence) {
  if (sentence.empty() || sentence.back() != '.') return false;
  sentence.remove_suffix(1);
  size_t begin = sentence.size();
  while (begin > 0 && IsAsciiLetter(sentence[begin - 1])) --begin;
  const std::string_view word = sentence.substr(begin);
  if (word.size() == 1) return word[0] >= 'A' && word[0] <= 'Z' && word != "I";
  constexpr std::array<std::string_view, 14> kTitles = {
      "Mr",  "Mrs", "Ms", "Dr",   "Prof", "St",  "Rev",
      "Gen", "Col", "Lt", "Capt", "Sgt",  "Hon", "vs"};
  return std::find(kTitles.begin(), kTitles.end(), word) != kTitles.end();
}

// Sentence breakers are costly to make and not to be shared.
icu::BreakIterator& SentenceBreaker() {
  thread_local const std::unique_ptr<icu::BreakIterator> breaker = [] {
    UErrorCode status = U_ZERO_ERROR;
    std::unique_ptr<icu::BreakIterator> made(
        icu::BreakIterator::createSentenceInstance(icu::Locale::getRoot(),
                                                   status));
    CHECK(U_SUCCESS(status));
    return made;
  }();
  return *breaker;
}

std::vector<Span> Sentences(std::string_view text) {
  const std::string unwrapped = Unwrapped(text);
  UErrorCode status = U_ZERO_ERROR;
  UText utext = UTEXT_INITIALIZER;
  utext_openUTF8(&utext, unwrapped.data(),
                 static_cast<int64_t>(unwrapped.size()), &status);
  icu::BreakIterator& breaker = SentenceBreaker();
  breaker.setText(&utext, status);
  utext_close(&utext);
  CHECK(U_SUCCESS(status));
  std::vector<Span> sentences;
  uint32_t begin = 0;
  breaker.first();
  for (int32_t end = breaker.next(); end != icu::BreakIterator::DONE;
       end = breaker.next()) {
    const Span sentence = Trimmed(text, {begin, static_cast<uint32_t>(end)});
    const bool last = static_cast<size_t>(end) == text.size();
    // A break within a line may be an abbreviation's; a new line is a break.
    if (!last && unwrapped[static_cast<size_t>(end) - 1] != '\n' &&
        EndsInAbbreviation(View(text, sentence))) {
      continue;
    }
    if (sentence.begin < sentence.end) sentences.push_back(sentence);
    begin = static_cast<uint32_t>(end);
  }
  return sentences;
}

// Appends `sentence` to `pieces`, cut to at most `characters_max` each.
void CutSentence(std::string_view text, Span sentence, size_t characters_max,
                 std::vector<Span>& pieces) {
  if (base::CodePointCount(View(text, sentence)) <= characters_max) {
    pieces.push_back(sentence);
    return;
  }
  while (sentence.begin < sentence.end) {
    uint32_t at = sentence.begin;
    uint32_t blank = sentence.begin;  // The last white space within the limit.
    for (size_t count = 0; at < sentence.end; ++count) {
      const uint32_t before = at;
      UChar32 c;
      U8_NEXT(text.data(), at, sentence.end, c);
      if (c >= 0 && u_isUWhiteSpace(c)) blank = before;
      if (count == characters_max) {
        at = blank > sentence.begin ? blank : before;
        break;
      }
    }
    pieces.push_back(Trimmed(text, {sentence.begin, at}));
    sentence = Trimmed(text, {at, sentence.end});
  }
}

bool BlankLineBetween(std::string_view text, Span before, Span after) {
  const std::string_view gap =
      text.substr(before.end, after.begin - before.end);
  return std::count(gap.begin(), gap.end(), '\n') >= 2;
}

}  // namespace

std::vector<Passage> CutPassages(std::string_view text,
                                 const PassageLimits& limits) {
  CHECK(text.size() < static_cast<size_t>(std::numeric_limits<int32_t>::max()));
  CHECK(limits.characters_max > 0);
  std::vector<Span> sentences;
  for (const Span& sentence : Sentences(text)) {
    CutSentence(text, sentence, limits.characters_max, sentences);
  }
  if (sentences.empty()) return {};
  const Span whole = {sentences.front().begin, sentences.back().end};
  if (base::CodePointCount(View(text, whole)) <= limits.characters_max) {
    return {Passage{whole, std::move(sentences)}};
  }
  std::vector<Passage> passages;
  size_t characters = 0;  // Of the last passage.
  for (const Span& sentence : sentences) {
    if (!passages.empty()) {
      Passage& last = passages.back();
      const size_t longer =
          characters +
          base::CodePointCount(View(text, {last.bytes.end, sentence.end}));
      const bool paragraph_cut = characters * 2 >= limits.characters_max &&
                                 BlankLineBetween(text, last.bytes, sentence);
      if (longer <= limits.characters_max && !paragraph_cut) {
        last.bytes.end = sentence.end;
        last.sentences.push_back(sentence);
        characters = longer;
        continue;
      }
    }
    passages.push_back({sentence, {sentence}});
    characters = base::CodePointCount(View(text, sentence));
  }
  return passages;
}

}  // namespace mneme::memory
