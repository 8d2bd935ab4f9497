#include "tests/e2e/corpus.h"

#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/utf8.h"
#include "client/document.h"
#include "client/request_id.h"
#include "tests/eval/set.h"

namespace mneme::e2e {
namespace {

// Any moment will do, as long as it is the same in every run.
constexpr int64_t kTimeSeconds = 1'700'000'000;

void AddDocument(const std::string& session, const std::string& source,
                 std::string_view text, Corpus& corpus) {
  for (const auto& [begin, end] : client::CutParts(text)) {
    const std::string_view words = text.substr(begin, end - begin);
    if (base::IsBlank(words)) continue;
    const size_t index = corpus.parts.size();
    v1::AppendRequest& part = corpus.parts.emplace_back();
    part.set_session(session);
    part.set_request_id(client::PartRequestId(session, source, begin, words));
    v1::TextEntry& entry = *part.mutable_text();
    entry.set_text(words.data(), words.size());
    entry.set_source(source);
    entry.set_source_offset(begin);
    entry.mutable_time()->set_seconds(kTimeSeconds +
                                      static_cast<int64_t>(index));
    (*entry.mutable_metadata())["part"] = absl::StrCat(index);
  }
}

// A few thousand words of two or three syllables, the small ones frequent.
std::string Word(std::mt19937_64& random) {
  static constexpr const char* kSyllables[] = {
      "ba", "cor", "du", "fen", "gi",  "hol", "jam", "ke",
      "lo", "mir", "ne", "pol", "qua", "ra",  "sil", "tum"};
  std::geometric_distribution<unsigned> rank(0.002);
  const unsigned number = rank(random) % 4096;
  std::string word;
  absl::StrAppend(&word, kSyllables[number % 16], kSyllables[number / 16 % 16]);
  if (number >= 256) absl::StrAppend(&word, kSyllables[number / 256]);
  return word;
}

std::string Sentence(std::mt19937_64& random) {
  std::string sentence;
  for (int words = std::uniform_int_distribution<int>(4, 18)(random); words > 0;
       --words) {
    absl::StrAppend(&sentence, sentence.empty() ? "" : " ", Word(random));
  }
  return sentence + ".";
}

}  // namespace

Corpus Generate(std::mt19937_64& random, const std::string& session,
                size_t documents, size_t bytes, size_t questions) {
  Corpus corpus;
  std::vector<std::string> sentences;
  for (size_t i = 0; i < documents; ++i) {
    std::string text;
    while (text.size() < bytes) {
      sentences.push_back(Sentence(random));
      const bool paragraph = random() % 8 == 0;
      absl::StrAppend(&text, sentences.back(), paragraph ? "\n\n" : " ");
    }
    AddDocument(session, absl::StrCat("document-", i, ".txt"), text, corpus);
  }
  for (size_t i = 0; i < questions; ++i) {
    corpus.questions.push_back(sentences[random() % sentences.size()]);
  }
  return corpus;
}

absl::StatusOr<Corpus> Load(const std::string& directory,
                            const std::string& session, size_t questions) {
  ASSIGN_OR_RETURN(const eval::EvalSet set, eval::LoadSet(directory));
  Corpus corpus;
  for (const eval::Record& record : set.corpus) {
    AddDocument(session, record.id, record.text, corpus);
  }
  for (const eval::Query& query : set.queries) {
    if (corpus.questions.size() == questions) break;
    corpus.questions.push_back(query.text);
  }
  return corpus;
}

}  // namespace mneme::e2e
