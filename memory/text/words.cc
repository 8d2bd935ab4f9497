#include "memory/text/words.h"

#include <libstemmer.h>
#include <unicode/brkiter.h>
#include <unicode/uchar.h>
#include <unicode/utext.h>
#include <unicode/utf8.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <memory>

#include "base/check.h"

namespace mneme::memory {
namespace {

// Runs of unspaced script are handed to ICU in pieces, so that a book without
// a space cannot make its dictionary search large.
constexpr uint32_t kUnspacedBytesMax = 3072;

constexpr UChar32 kRightSingleQuote = 0x2019;

enum class Kind { kOther, kSpaced, kUnspaced };

bool IsUnspaced(UChar32 c) {
  return (c >= 0x0E00 && c <= 0x0EFF) ||  // Thai, Lao.
         (c >= 0x1000 && c <= 0x109F) ||  // Myanmar.
         (c >= 0x1780 && c <= 0x17FF) ||  // Khmer.
         (c >= 0x3040 && c <= 0x30FF) ||  // Hiragana, Katakana.
         (c >= 0x3400 && c <= 0x9FFF) ||  // Han.
         (c >= 0xF900 && c <= 0xFAFF) ||  // Han, compatibility.
         (c >= 0x20000 && c <= 0x3FFFF);  // Han, extensions.
}

bool IsAsciiAlnum(UChar32 c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
         (c >= 'A' && c <= 'Z');
}

Kind KindOf(UChar32 c) {
  if (c < 0x80) return IsAsciiAlnum(c) ? Kind::kSpaced : Kind::kOther;
  constexpr uint32_t kWordMask = U_GC_L_MASK | U_GC_N_MASK | U_GC_M_MASK;
  if ((U_GET_GC_MASK(c) & kWordMask) == 0) return Kind::kOther;
  return IsUnspaced(c) ? Kind::kUnspaced : Kind::kSpaced;
}

// A mark belongs to the letter before it, and after anything else to no word:
// U+FE0F, a mark, follows many an emoji.
bool StartsWord(UChar32 c) {
  return c < 0x80 ||
         (U_GET_GC_MASK(c) & (uint32_t{U_GC_L_MASK} | U_GC_N_MASK)) != 0;
}

// A folded word under construction; bytes beyond the limit are dropped.
class Folded {
 public:
  void Append(UChar32 c) {
    if (full_) return;
    if (c < 0x80) {
      if (c >= 'A' && c <= 'Z') c += 'a' - 'A';
    } else {
      c = u_foldCase(c, U_FOLD_CASE_DEFAULT);
    }
    if (size_ + U8_LENGTH(c) > kWordBytesMax) {
      full_ = true;
      return;
    }
    U8_APPEND_UNSAFE(bytes_.data(), size_, c);
  }
  std::string_view view() const { return {bytes_.data(), size_}; }
  void Clear() {
    size_ = 0;
    full_ = false;
  }

 private:
  std::array<char, kWordBytesMax> bytes_;
  size_t size_ = 0;
  bool full_ = false;
};

icu::BreakIterator& WordBreaker() {
  thread_local const std::unique_ptr<icu::BreakIterator> breaker = [] {
    UErrorCode status = U_ZERO_ERROR;
    std::unique_ptr<icu::BreakIterator> made(
        icu::BreakIterator::createWordInstance(icu::Locale::getRoot(), status));
    CHECK(U_SUCCESS(status));
    return made;
  }();
  return *breaker;
}

void ForEachUnspacedWord(
    std::string_view text, Span run,
    absl::FunctionRef<void(Span, std::string_view)> visit) {
  UErrorCode status = U_ZERO_ERROR;
  UText utext = UTEXT_INITIALIZER;
  utext_openUTF8(&utext, text.data() + run.begin, run.end - run.begin, &status);
  icu::BreakIterator& breaker = WordBreaker();
  breaker.setText(&utext, status);
  utext_close(&utext);
  CHECK(U_SUCCESS(status));
  uint32_t begin = run.begin;
  breaker.first();
  for (int32_t next = breaker.next(); next != icu::BreakIterator::DONE;
       next = breaker.next()) {
    const uint32_t end = run.begin + static_cast<uint32_t>(next);
    Folded folded;
    for (uint32_t at = begin; at < end;) {
      UChar32 c;
      U8_NEXT(text.data(), at, end, c);
      folded.Append(c);
    }
    visit({begin, end}, folded.view());
    begin = end;
  }
}

struct StemmerDelete {
  void operator()(sb_stemmer* stemmer) const { sb_stemmer_delete(stemmer); }
};

sb_stemmer* Stemmer() {
  thread_local const std::unique_ptr<sb_stemmer, StemmerDelete> stemmer(
      sb_stemmer_new("english", "UTF_8"));
  CHECK(stemmer != nullptr);
  return stemmer.get();
}

constexpr std::string_view kStopWords[] = {
    "a",     "an",    "and",  "are",  "as",    "at",    "be",   "been",
    "but",   "by",    "did",  "do",   "does",  "for",   "from", "had",
    "has",   "have",  "he",   "her",  "hers",  "him",   "his",  "how",
    "i",     "if",    "in",   "into", "is",    "it",    "its",  "me",
    "my",    "no",    "nor",  "not",  "of",    "on",    "or",   "our",
    "she",   "so",    "such", "that", "the",   "their", "them", "then",
    "there", "these", "they", "this", "those", "to",    "us",   "was",
    "we",    "were",  "what", "when", "where", "which", "who",  "whom",
    "whose", "why",   "will", "with", "would", "you",   "your"};

}  // namespace

void ForEachWord(std::string_view text,
                 absl::FunctionRef<void(Span, std::string_view)> visit) {
  const uint32_t size = static_cast<uint32_t>(text.size());
  const char* const data = text.data();
  Folded folded;
  for (uint32_t at = 0; at < size;) {
    const uint32_t begin = at;
    UChar32 c;
    U8_NEXT(data, at, size, c);
    const Kind kind = c < 0 ? Kind::kOther : KindOf(c);
    if (kind == Kind::kOther || !StartsWord(c)) continue;
    uint32_t end = at;
    if (kind == Kind::kUnspaced) {
      while (at < size && end - begin < kUnspacedBytesMax) {
        U8_NEXT(data, at, size, c);
        if (c < 0 || KindOf(c) != Kind::kUnspaced) break;
        end = at;
      }
      ForEachUnspacedWord(text, {begin, end}, visit);
      at = end;
      continue;
    }
    folded.Clear();
    folded.Append(c);
    while (at < size) {
      U8_NEXT(data, at, size, c);
      if (c < 0) break;
      if (KindOf(c) == Kind::kSpaced) {
        folded.Append(c);
        end = at;
        continue;
      }
      if ((c != '\'' && c != kRightSingleQuote) || at == size) break;
      UChar32 after;
      U8_NEXT(data, at, size, after);
      if (after < 0 || KindOf(after) != Kind::kSpaced) break;
      folded.Append('\'');
      folded.Append(after);
      end = at;
    }
    visit({begin, end}, folded.view());
    at = end;
  }
}

uint64_t TermOf(std::string_view folded_word) {
  // libstemmer owns the bytes it returns until the next call.
  const sb_symbol* const stem = sb_stemmer_stem(
      Stemmer(), reinterpret_cast<const sb_symbol*>(folded_word.data()),
      static_cast<int>(folded_word.size()));
  CHECK(stem != nullptr);
  return XXH3_64bits(stem, static_cast<size_t>(sb_stemmer_length(Stemmer())));
}

bool IsStopTerm(uint64_t term) {
  static const auto* const terms = [] {
    auto* made = new std::array<uint64_t, std::size(kStopWords)>;
    std::transform(std::begin(kStopWords), std::end(kStopWords), made->begin(),
                   TermOf);
    std::sort(made->begin(), made->end());
    return made;
  }();
  return std::binary_search(terms->begin(), terms->end(), term);
}

}  // namespace mneme::memory
