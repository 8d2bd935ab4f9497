// memory/text_index.h: the entries of a session, their passages and terms.

#ifndef MNEME_MEMORY_TEXT_INDEX_H_
#define MNEME_MEMORY_TEXT_INDEX_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/stable_list.h"
#include "memory/seq_set.h"
#include "memory/text/lexical.h"
#include "memory/text/passages.h"
#include "memory/text/terms.h"

namespace mneme::memory {

// An entry as it is stored: what was said and where it stands in the log.
struct Entry {
  uint64_t number = 0;
  std::string text = {};
  std::string role = {};
  int64_t time_us = 0;
  std::string source = {};
  uint64_t source_offset = 0;
  std::map<std::string, std::string> metadata = {};
  uint64_t seq_first = 0;
  uint32_t seq_count = 0;
};

// Bytes of what the caller said: text, role, source and metadata.
uint64_t BytesOf(const Entry& entry);

// How an entry was cut: what is derived from its text, kept so that opening
// does not repeat it.
struct EntryTerms {
  struct CutPassage {
    Span bytes;
    uint32_t tokens = 0;  // Sentences, one row each.
  };
  std::vector<CutPassage> passages;
  std::vector<std::vector<TermCount>> terms;  // [passages].
};

// As records' payloads; decoding gives false for what is malformed.
std::string EncodeEntry(const Entry& entry);
bool DecodeEntry(std::string_view payload, Entry& entry);
std::string EncodeEntryTerms(const EntryTerms& terms);
bool DecodeEntryTerms(std::string_view payload, EntryTerms& terms);

// One passage of the session, in the order of the log.
struct PassagePlace {
  Span bytes;  // In its entry's text.
  uint32_t tokens = 0;
  uint64_t seq_first = 0;
  std::shared_ptr<const Entry> entry;
};

// What the index held at one moment. Immutable.
struct TextView {
  std::shared_ptr<const base::StableList<std::shared_ptr<const Entry>>> entries;
  size_t entry_count = 0;
  std::shared_ptr<const base::StableList<PassagePlace>> passages;
  uint32_t passage_count = 0;
  std::shared_ptr<const LexicalView> lexical;
  uint64_t text_bytes = 0;

  // BytesOf all of its entries.
  uint64_t EntryBytes() const;
  // The passage that holds the token. REQUIRES: a live token.
  uint32_t PassageOf(uint64_t seq) const;
  // Whether passages p and p + 1 are context for each other: parts of one
  // source, or turns of a conversation, which are entries with a role.
  bool Joined(uint32_t passage) const;
};

// Threads: the caller serialises Add and View; views are free of it.
class TextIndex {
 public:
  TextIndex();

  // REQUIRES: entries come in the order of the log.
  void Add(Entry entry, const EntryTerms& terms);
  std::shared_ptr<const TextView> View() const;

  // The index as if the entries with seqs in `gone` had never been added.
  TextIndex Without(const SeqSet& gone) const;

 private:
  std::shared_ptr<base::StableList<std::shared_ptr<const Entry>>> entries_;
  std::shared_ptr<base::StableList<PassagePlace>> passages_;
  LexicalIndex lexical_;
  uint64_t text_bytes_ = 0;
};

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_TEXT_INDEX_H_
