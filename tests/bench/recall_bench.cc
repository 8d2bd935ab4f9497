// Recall over a few megabytes of text against reading all of it for the words.

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/clock.h"
#include "memory/memory.h"
#include "memory/presets.h"
#include "tests/bench/contest.h"
#include "tests/bench/data.h"
#include "tests/testing/map_store.h"

namespace mneme::bench {
namespace {

bool Never() { return false; }

std::vector<std::string> WordsOf(std::string_view text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (c != ' ' && c != '\n' && c != '.' && c != ',') {
      words.back() += c;
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

// How often any of the words stands in the text, as grep would find out.
size_t Grep(const std::string& text, const std::vector<std::string>& words) {
  size_t found = 0;
  for (const std::string& word : words) {
    for (size_t at = text.find(word); at != std::string::npos;
         at = text.find(word, at + word.size())) {
      ++found;
    }
  }
  return found;
}

class Bench {
 public:
  Bench(int argc, const char* const* argv)
      : arena_("recall", argc, argv), random_(Seed()) {
    memory_ = Get(
        memory::Memory::Open(std::make_unique<testing::MapStore>(), &clock_));
    session_ = Get(memory_->Create({.space = "bench", .session = "s"},
                                   Get(memory::ProfileByName("text"))));
    text_ = Prose(arena_.smoke() ? 64 << 10 : 5 << 20, random_);
    for (size_t begin = 0; begin < text_.size(); begin += kEntryBytes) {
      memory::TextEntry entry;
      entry.text = std::string_view(text_).substr(begin, kEntryBytes);
      entry.source = "book";
      entry.source_offset = begin;
      Get(session_->AppendText(entry, {}));
    }
    while (Get(session_->SealOne())) {
    }
  }

  void Run() {
    Ask("question_of_10_words", 60);
    Ask("quotation_of_50_words", 300);
    Assemble();
  }

 private:
  static constexpr size_t kEntryBytes = 64 << 10;

  // Words as they stand in the text, from anywhere but the edges of a word.
  std::string Quote(size_t bytes) {
    const size_t from = text_.find(' ', random_() % (text_.size() - 2 * bytes));
    return text_.substr(from + 1, text_.find(' ', from + bytes) - from - 1);
  }

  // Asked in turns, so that no answer comes from the caches of the one before.
  std::vector<std::string> Quotes(size_t bytes) {
    std::vector<std::string> quotes;
    for (int i = 0; i < 16; ++i) quotes.push_back(Quote(bytes));
    return quotes;
  }

  void Ask(const std::string& name, size_t bytes) {
    if (!arena_.Wants(name)) return;
    const std::vector<std::string> quotes = Quotes(bytes);
    size_t asked = 0;
    size_t searched = 0;
    size_t found = 0;
    arena_.Compare(
        Latency(name),
        [&] {
          memory::RecallQuery query;
          query.query = quotes[asked++ % quotes.size()];
          if (Get(session_->Recall(query, Never)).passages.empty()) {
            Fail("nothing was recalled of a quotation");
          }
        },
        [&] { found += Grep(text_, WordsOf(quotes[searched++ % 16])); });
    if (found == 0) Fail("grep found nothing of a quotation");
  }

  void Assemble() {
    const std::string name = "context_of_2000_tokens";
    if (!arena_.Wants(name)) return;
    const std::vector<std::string> quotes = Quotes(60);
    size_t asked = 0;
    size_t searched = 0;
    size_t found = 0;
    arena_.Compare(
        Latency(name),
        [&] {
          memory::ContextQuery query;
          query.query = quotes[asked++ % quotes.size()];
          query.budget_tokens = 2000;
          query.recent_entries = 1;
          Get(session_->AssembleContext(query, Never));
        },
        [&] { found += Grep(text_, WordsOf(quotes[searched++ % 16])); });
    if (found == 0) Fail("grep found nothing of a quotation");
  }

  static Contest Latency(const std::string& name) {
    return {.name = name,
            .unit = "ms",
            .work = 1e3,
            .kind = Contest::Kind::kLatency,
            .against = "grep for each word"};
  }

  const Arena arena_;
  std::mt19937_64 random_;
  base::RealClock clock_;
  std::unique_ptr<memory::Memory> memory_;
  std::shared_ptr<memory::Session> session_;
  std::string text_;
};

}  // namespace
}  // namespace mneme::bench

int main(int argc, char** argv) { mneme::bench::Bench(argc, argv).Run(); }
